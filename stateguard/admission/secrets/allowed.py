"""The comment by which a line says that what looks like a secret is none."""

from __future__ import annotations

import re

_WORDS = (b"stateguard:allow", b"gitleaks:allow")
_NEAR = 200
"""How many bytes from the value the word can stand: a look at a line costs the same however long the line is."""

_SIGN = rb"(?:\A|(?<=[\s,;(){}\[\]\"'`]))(?:#{1,8}|/{2,8}|<!--|--|;{1,4}|/\*{1,8}|%{1,4})"
_OPENED = re.compile(_SIGN)
_JUST_OPENED = re.compile(_SIGN + rb"[ \t]{0,16}\Z")
_CLOSED = re.compile(rb"\Z|[ \t\r]|--+>|\*{1,8}/")
_LAST = re.compile(rb"[ \t]{0,16}(?:--+>|\*{1,8}/)?[ \t\r]{0,16}\Z")


def is_allowed(content: bytes, start: int, end: int, line_start: int, line_end: int) -> bool:
    """Say whether the line of a value has the word in a comment, near the value."""
    low, high = max(line_start, start - _NEAR), min(line_end, end + _NEAR)
    for word in _WORDS:
        at = content.find(word, low, high)
        while at >= 0:
            if _allows(content, at, at + len(word), line_start, line_end):
                return True
            at = content.find(word, at + len(word), high)
    return False


def _allows(content: bytes, at: int, after: int, line_start: int, line_end: int) -> bool:
    """Say whether the word is the first one of a comment, or in a comment the last one of the line."""
    rest = content[after : min(line_end, after + _NEAR)]
    if not _CLOSED.match(rest):
        return False
    before = content[max(line_start, at - _NEAR) : at]
    if at - _NEAR > line_start:
        before = b"x" + before  # what was cut off: here no line begins
    if _JUST_OPENED.search(before):
        return True
    return _LAST.match(rest) is not None and _OPENED.search(before) is not None
