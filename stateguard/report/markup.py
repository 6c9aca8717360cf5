"""Fill Markdown templates so that no value can become markup.

Whatever a template inserts is escaped unless a filter of this module has already made it safe: a value that somebody
forgets to filter is shown as plain text, never interpreted.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from stateguard.config.resources import shipped
from stateguard.model.moment import parse_rfc3339, rfc3339
from stateguard.text import escape
from stateguard.text.redact import redact

LONGEST_TEXT = 500
"""Characters of one inserted sentence; what is longer is cut, and says so."""

LONGEST_CODE = 4000
"""Characters of one inserted path or command."""

_BULLET = re.compile(r"^([-+](?=[-+\s]|$)|[=:])")
_NUMBER = re.compile(r"^(\d+)([.)])(?=\s|$)")
_NOTHING = "–"


class Safe(str):
    """Markdown that was made here: it is inserted as it is."""

    __slots__ = ()


def fill(template: str, values: Mapping[str, object]) -> str:
    """Return a shipped template with its values filled in.

    Raises:
        NotFoundError: the templates are not installed.
    """
    return _environment().get_template(template).render(values)


def plain(value: object) -> Safe:
    """Return a value as one line of text that is no markup, wherever in a line it stands."""
    if isinstance(value, Safe):
        return value
    text = " ".join(redact(_cut(str(value), LONGEST_TEXT)).split())
    shown = escape.markdown(text).replace("$", "\\$")
    return Safe(_NUMBER.sub(r"\1\\\2", _BULLET.sub(r"\\\1", shown)) or _NOTHING)


def code(value: object) -> Safe:
    """Return a value as a code span; not for table cells, where a ``|`` ends even a code span."""
    return Safe(escape.code(redact(_cut(str(value), LONGEST_CODE))) or _NOTHING)


def cell(value: object) -> Safe:
    """Return a value as a code span for a table cell, or as plain text if it holds a ``|``."""
    return plain(value) if "|" in str(value) else code(value)


def fenced(text: str, language: str = "") -> Safe:
    """Return lines as a fenced block; the fence is longer than any run of backticks inside."""
    body = escape.terminal("\n".join(redact(line) for line in text.rstrip("\n").split("\n")))
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return Safe(f"{fence}{language}\n{body}\n{fence}")


def when(at: str) -> str:
    """Return an RFC 3339 time as people read it, ``2026-07-01 10:02:11 UTC``; anything else as it is."""
    try:
        return rfc3339(parse_rfc3339(at))[:19].replace("T", " ") + " UTC"
    except (ValueError, OverflowError):
        return at


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… (cut)"


@functools.cache
def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(shipped("templates")),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=plain,  # the escape for Markdown; autoescape would be HTML's
    )
    environment.filters |= {"code": code, "cell": cell, "fenced": fenced, "when": when}
    return environment
