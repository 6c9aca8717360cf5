"""Files that steer git itself: those of attributes, and the names beside them that must be no links."""

from __future__ import annotations

import re

from stateguard.config.problem import Problem

MAX_LINE_BYTES = 2048
"""Git ignores longer lines of attributes (since 2.38.2); older ones could be made to overwrite memory."""

_ATTRIBUTES = re.compile(r"\.gitattributes|gitatt~[0-9]+", re.IGNORECASE)
_STEERING = re.compile(r"\.git(?:attributes|ignore|modules)|\.mailmap|git(?:att|ign|mod)~[0-9]+", re.IGNORECASE)
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')


def is_attributes(path: str) -> bool:
    """Say whether some file system takes a path for one of git's attributes."""
    return _ATTRIBUTES.fullmatch(path.rpartition("/")[2]) is not None


def steers_git(path: str) -> bool:
    """Say whether git may read a path for itself when it lies in a work tree."""
    return _STEERING.fullmatch(path.rpartition("/")[2]) is not None


def attribute_problems(path: str, content: bytes) -> list[Problem]:
    """Return what may not be in a file of attributes: filters, which are programs of the host, and endless lines."""
    problems = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if len(line) > MAX_LINE_BYTES:
            message = f"the line has more than {MAX_LINE_BYTES} bytes; split it"
            problems.append(Problem(path, number, "attributes", message))
        elif any(word == b"filter" or word.startswith(b"filter=") for word in _words(line)):
            message = "this names a filter, which would run a program wherever it is checked out; remove it"
            problems.append(Problem(path, number, "attributes", message))
    return problems


def _words(line: bytes) -> list[bytes]:
    """Return the attributes of a line, without its pattern; none of a comment."""
    text = line.strip(b" \t\r")
    if not text or text.startswith(b"#"):
        return []
    quoted = _QUOTED.match(text)
    rest = text[quoted.end() :] if quoted else text[len(re.split(rb"[ \t\r]", text, maxsplit=1)[0]) :]
    return re.split(rb"[ \t\r]+", rest)
