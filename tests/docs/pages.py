"""Markdown pages as the documentation tests read them: code blocks, inline code, headings.

A block that a reader types is tagged ``sh``. Words after the tag are for the tests and are not shown to readers:
``exit=N`` the block's last failing command ends so; ``retry`` it only looks, and what it shows may take a moment;
``skip=WHY`` it cannot run in a test. A block tagged ``text output`` is what the block before it prints: its lines, in
this order, among others; ``…`` stands for anything, and numbers, times and object ids for any others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "example-state" / "README.md"], key=lambda page: page.as_posix()
)

_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>.*)$")
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
_OBJECT = r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"
_NUMBER = r"\d+(?:\.\d+)?"
_ANY = "…"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block; ``line`` is that of its first line of text, from 1."""

    page: Path
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def skipped(self) -> str:
        """Why it cannot run in a test; nothing if it can."""
        return next((word.removeprefix("skip=") for word in self.words if word.startswith("skip=")), "")

    @property
    def status(self) -> int:
        """The exit status that its last failing command has; 0: none fails."""
        return int(next((word.removeprefix("exit=") for word in self.words if word.startswith("exit=")), "0"))

    @property
    def place(self) -> str:
        """Page and line, as an editor takes them."""
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    """Return a page's path below the root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    found: list[Block] = []
    fence, begun, info, lines = "", 0, "", list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        match = _FENCE.match(line)
        if not fence and match:
            fence, begun, info, lines = match["fence"], number + 1, match["info"].strip(), []
        elif fence and line.strip() == fence:
            language, *words = info.split() or [""]
            found.append(Block(page, begun, language, tuple(words), "\n".join(lines) + "\n"))
            fence = ""
        elif fence:
            lines.append(line)
    assert not fence, f"{name(page)}:{begun} is not closed"
    return found


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    lines, fence = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        match = _FENCE.match(line)
        if match and not fence:
            fence = match["fence"]
        elif fence:
            fence = "" if line.strip() == fence else fence
        else:
            lines.append(line)
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def missing(expected: str, printed: str) -> str:
    """Return the first line of what a page shows that was not printed in its turn; nothing if all were."""
    real = [_general(line) for line in printed.splitlines()]
    at = 0
    for line in expected.splitlines():
        if not line.strip() or line.strip() == _ANY:
            continue
        at = _after(_pattern(line), real, at)
        if at < 0:
            return line
    return ""


def _after(pattern: re.Pattern[str], lines: Sequence[str], begin: int) -> int:
    return next((n + 1 for n in range(begin, len(lines)) if pattern.fullmatch(lines[n])), -1)


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in _general(line).split(_ANY)))


def _general(line: str) -> str:
    line = re.sub(r"\x1b\[[0-9;]*[mK]", "", line)
    line = re.sub(_TIME, "TIME", line)
    line = re.sub(_OBJECT, "ID", line)
    line = re.sub(_NUMBER, "0", line)
    return " ".join(line.split())


def typed(text: str) -> Iterator[str]:
    """Yield the command lines of a block, continued lines joined, prompts and here-documents left out."""
    end, held = "", ""
    for line in text.splitlines():
        if end:
            end = "" if line.strip() == end else end
            continue
        held += line.removeprefix("$ ")
        if held.endswith("\\"):
            held = held[:-1]
            continue
        found = re.search(r"<<-?\s*'?\"?(\w+)", held)
        end = found[1] if found else ""
        yield held
        held = ""
