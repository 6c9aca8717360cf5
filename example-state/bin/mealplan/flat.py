"""Read the flat part of the YAML files that the agents need.

Only lines of the form ``key: value`` at the left margin count. Everything
indented below a key, list items and comments are left to readers that
understand all of YAML, so the agents need nothing but the standard library.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LINE = re.compile(r"(?P<key>[A-Za-z_][\w-]*):(?:[ \t]+(?P<value>.*))?$")
_QUOTED = re.compile(r"""(?P<mark>["'])(?P<text>.*?)(?P=mark)\s*(?:#.*)?$""")
_COMMENT = re.compile(r"(?:^|\s)#.*$")


class FlatError(ValueError):
    """A flat file does not say what it should."""


def _scalar(raw: str) -> str:
    """Take the quotes, or the trailing comment, off one value."""
    quoted = _QUOTED.match(raw)
    if quoted:
        return quoted["text"]
    return _COMMENT.sub("", raw).strip()


def parse_flat(text: str) -> dict[str, str]:
    """Return the ``key: value`` pairs at the left margin of a text."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        found = _LINE.match(line.rstrip())
        if found is None:
            continue
        if found["key"] in values:
            message = f"line {number}: {found['key']} is given twice"
            raise FlatError(message)
        values[found["key"]] = _scalar((found["value"] or "").strip())
    return values


def read_flat(path: Path) -> dict[str, str]:
    """Parse a file; an error names it."""
    try:
        return parse_flat(path.read_text(encoding="utf-8"))
    except ValueError as error:
        message = f"{path}: {error}"
        raise FlatError(message) from error


def number(values: dict[str, str], key: str) -> float:
    """Return a value that has to be a number."""
    raw = values.get(key)
    if raw is None:
        message = f"{key} is missing"
        raise FlatError(message)
    try:
        return float(raw)
    except ValueError as error:
        message = f"{key}: {raw!r} is not a number"
        raise FlatError(message) from error
