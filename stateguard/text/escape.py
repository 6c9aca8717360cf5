"""One escape for each place that text ends up in: Markdown, the terminal."""

from __future__ import annotations

import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!&])")


def terminal(text: str) -> str:
    r"""Return text that cannot steer a terminal: control characters become ``\xNN``, line ends stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else _hexed(c) for c in text)


def line(text: str) -> str:
    """Return text that stays on one line of a terminal, a log or a pkt-line."""
    return terminal(text.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def markdown(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", line(text))


def code(text: str) -> str:
    """Return text as a Markdown code span on one line, whatever backticks it holds."""
    clean = line(text)
    longest = max((len(run) for run in re.findall("`+", clean)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if clean.startswith("`") or clean.endswith("`") else ""
    return f"{fence}{pad}{clean}{pad}{fence}" if clean else ""


def _hexed(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # noqa: PLR2004 - the surrogates by which Python carries undecodable bytes
        number -= 0xDC00
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"  # noqa: PLR2004 - two hex digits
