"""Strict JSON: no duplicate keys, no numbers that are none, bounded, every value with its line and column."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from stateguard.config.document import START, Document, Node, Position
from stateguard.config.problem import InvalidDocument, Problem, shown
from stateguard.config.yaml import CONTROL, MAX_DEPTH, MAX_NUMBER_CHARACTERS, decoded

_ATOM = re.compile(r"[^\s\[\]{},:\"]+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BETWEEN = re.compile(r"[\s,:]*")
_DEEP = f"this is nested more than {MAX_DEPTH} deep; make it flatter"


class _UnreadableError(ValueError):
    """Well-formed JSON that is not taken all the same."""


def load_json(data: bytes, path: str) -> Document:
    """Parse the bytes of one JSON document.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    text = decoded(data, path)
    try:
        _parsed(text)
    except json.JSONDecodeError as error:
        problem = Problem(path, error.lineno, "syntax", f"this is not JSON: {error.msg}", error.colno)
        raise InvalidDocument(path, [problem]) from None
    except _UnreadableError as error:
        raise InvalidDocument(path, [Problem(path, 1, "number", str(error))]) from None
    except RecursionError:
        raise InvalidDocument(path, [Problem(path, 1, "depth", _DEEP)]) from None
    walk = _Walk(path, text)
    root = walk.root()
    if walk.problems:
        raise InvalidDocument(path, walk.problems)
    return Document(path, root.value, root)


def line_problem(line: bytes, path: str, number: int) -> Problem | None:
    """Return what is wrong with one line of a JSON Lines file, which must be one JSON object."""
    try:
        value = _parsed(line.decode("utf-8"), unique=True)
    except UnicodeDecodeError:
        return Problem(path, number, "encoding", "this line is not UTF-8; write it as UTF-8")
    except json.JSONDecodeError as error:
        return Problem(path, number, "syntax", f"this line is not JSON: {error.msg}", error.colno)
    except _UnreadableError as error:
        return Problem(path, number, "syntax", str(error))
    except RecursionError:
        return Problem(path, number, "depth", _DEEP)
    if not isinstance(value, dict):
        return Problem(path, number, "type", f"each line must be a JSON object, not {shown(value)}")
    return None


def _parsed(text: str, *, unique: bool = False) -> object:
    return json.loads(
        text,
        parse_int=_integer,
        parse_float=_float,
        parse_constant=_constant,
        object_pairs_hook=_unique if unique else None,
    )


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS:
        msg = f"a number has {len(text)} characters, at most {MAX_NUMBER_CHARACTERS} are read"
        raise _UnreadableError(msg)
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        msg = f"{shown(text)} is too large a number"
        raise _UnreadableError(msg)
    return number


def _constant(text: str) -> float:
    msg = f"{text} is no JSON number"
    raise _UnreadableError(msg)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"the key {shown(twice)} is there twice; remove one of them"
        raise _UnreadableError(msg)
    return found


@dataclass(slots=True)
class _Walk:
    """A pass over text that is known to be JSON, building values with their positions."""

    path: str
    text: str
    problems: list[Problem] = field(default_factory=list)
    stack: list[tuple[Node, str, Position]] = field(default_factory=list)
    key: str | None = None
    key_at: Position = START
    result: Node | None = None

    def report(self, at: Position, code: str, message: str) -> None:
        self.problems.append(Problem(self.path, at[0], code, message, at[1]))

    def root(self) -> Node:
        """Walk all of it; stops where it is nested too deep."""
        index, line, line_start = 0, 1, 0
        while True:
            begin = index
            index = self._between(index)
            breaks = self.text.count("\n", begin, index)
            if breaks:
                line, line_start = line + breaks, self.text.rfind("\n", begin, index) + 1
            if index >= len(self.text) or len(self.stack) > MAX_DEPTH:
                return self.result or Node(None, START)
            index = self._token(index, (line, index - line_start + 1))

    def _between(self, index: int) -> int:
        match = _BETWEEN.match(self.text, index)
        return match.end() if match else index

    def _token(self, index: int, at: Position) -> int:
        """Take the token at an index and return the index behind it."""
        character = self.text[index]
        if character in "[{":
            self._open({} if character == "{" else [], at)
        elif character in "]}":
            node, key, key_at = self.stack.pop()
            self._place(node, key, key_at)
        else:
            match = (_STRING if character == '"' else _ATOM).match(self.text, index)
            token = match.group() if match else character
            value = _parsed(token)
            if isinstance(value, str):
                self._string(value, at)
            else:
                self._value(Node(value, at))
            return index + len(token)
        return index + 1

    def _open(self, value: object, at: Position) -> None:
        if len(self.stack) == MAX_DEPTH:
            self.report(at, "depth", _DEEP)
        self.stack.append((Node(value, at), self.key or "", self.key_at if self.key is not None else at))
        self.key = None

    def _string(self, value: str, at: Position) -> None:
        found = CONTROL.search(value)
        if found:
            self.report(at, "control-character", f"control character U+{ord(found.group()):04X}; remove it")
        top = self.stack[-1][0] if self.stack else None
        if top is None or not isinstance(top.value, dict) or self.key is not None:
            self._value(Node(value, at))
            return
        if value in top.places:
            line = top.places[value][0]
            self.report(at, "duplicate-key", f"the key {shown(value)} is already on line {line}; remove one of them")
        self.key, self.key_at = value, at

    def _value(self, node: Node) -> None:
        key, at = self.key or "", self.key_at if self.key is not None else node.at
        self.key = None
        self._place(node, key, at)

    def _place(self, node: Node, key: str, at: Position) -> None:
        if not self.stack:
            self.result = node
            return
        top = self.stack[-1][0]
        top.put(key if isinstance(top.value, dict) else len(top.places), at, node)
