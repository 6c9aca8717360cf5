"""Strict YAML: 1.2 scalars, no duplicate keys, bounded, every value with its line and column.

The parser's events are read one by one with a stack of our own. Nothing is constructed by the library and nothing
recurses, so depth, aliases and size are checked before they cost anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import yaml

from stateguard.config.document import START, Document, Node, Position
from stateguard.config.problem import InvalidDocument, Problem, shown

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_ALIASES = 20
MAX_ALIASED_NODES = 10_000
MAX_NUMBER_CHARACTERS = 100
_MAX_PROBLEMS = 50

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def load(data: bytes, path: str) -> Document:
    """Parse the bytes of one YAML document.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    text = decoded(data, path)
    reading = _Reading(path)
    try:
        root = reading.document(yaml.parse(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError) as error:
        reading.problems.append(_syntax(path, text, error))
        root = None
    if reading.problems or root is None:
        raise InvalidDocument(path, sorted(reading.problems)[:_MAX_PROBLEMS])
    return Document(path, root.value, root)


def decoded(data: bytes, path: str) -> str:
    """Return the text of a file: bounded, UTF-8, without a byte order mark and without control characters.

    Raises:
        InvalidDocument: it is none of these.
    """
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data)} bytes, at most {MAX_BYTES} are read; split it"
        raise InvalidDocument(path, [Problem(path, 0, "too-large", message)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = place(data[: error.start].decode("utf-8", "replace"), None)
        message = "this is not UTF-8; save the file as UTF-8"
        raise InvalidDocument(path, [Problem(path, line, "encoding", message, column)]) from None
    found = CONTROL.search(text)
    if found:
        line, column = place(text, found.start())
        message = f"control character U+{ord(found.group()):04X}; remove it"
        raise InvalidDocument(path, [Problem(path, line, "control-character", message, column)])
    return text


def place(text: str, index: int | None) -> Position:
    """Return line and column, from 1, of an index into a text; None means its end."""
    before = text if index is None else text[:index]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def scalar(text: str) -> object:
    """Return the value of a plain scalar by YAML 1.2's core schema; leading zeros and dates are text.

    Raises:
        ValueError: it is a number that cannot be held.
    """
    if text in _WORDS:
        return _WORDS[text]
    base = 10 if _INTEGER.fullmatch(text) else 8 if _OCTAL.fullmatch(text) else 16
    if base != 16 or _HEXADECIMAL.fullmatch(text):  # noqa: PLR2004 - hexadecimal
        _bounded(text)
        return int(text, base) if base == 10 else int(text[2:], base)  # noqa: PLR2004 - decimal
    if _NOT_FINITE.fullmatch(text):
        msg = f"{text} is not a finite number; quote it if it is text"
        raise ValueError(msg)
    if _FLOAT.fullmatch(text):
        _bounded(text)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            msg = f"{shown(text)} is too large a number; quote it if it is text"
            raise ValueError(msg)
        return number
    return text


def _bounded(text: str) -> None:
    if len(text) > MAX_NUMBER_CHARACTERS:
        msg = f"this number has {len(text)} characters, at most {MAX_NUMBER_CHARACTERS} are read; quote it"
        raise ValueError(msg)


def _at(event: yaml.Event) -> Position:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else START


def _syntax(path: str, text: str, error: yaml.YAMLError | ValueError) -> Problem:
    line, column, message = 1, 1, "this is not YAML"
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = f"this is not YAML: {error.problem or error.context}"
    lines = text.split("\n")
    indent = re.match(r"[ \t]*", lines[line - 1]) if line <= len(lines) else None
    if indent and "\t" in indent.group():
        return Problem(path, line, "tab", "a tab indents this line; use spaces", indent.group().index("\t") + 1)
    return Problem(path, line, "syntax", message, column)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is not closed yet; ``key`` waits for its value."""

    node: Node
    anchor: str | None
    key: str | None = None
    key_at: Position = START
    skipping: bool = False


@dataclass(slots=True)
class _Reading:
    """One pass over the events of a document."""

    path: str
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)
    aliases: int = 0
    aliased_nodes: int = 0
    root: Node | None = None
    documents: int = 0

    def report(self, at: Position, code: str, message: str) -> None:
        self.problems.append(Problem(self.path, at[0], code, message, at[1]))

    def document(self, events: Iterable[yaml.Event]) -> Node:
        """Read every event; stops early where going on could cost much."""
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    self.report(_at(event), "documents", "a second document begins here; keep one document a file")
                    break
            elif not self.take(event) or len(self.problems) >= _MAX_PROBLEMS:
                break
        return self.root or Node(None, START)

    def take(self, event: yaml.Event) -> bool:
        """Take one event in; False ends the reading."""
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            return self.opening(event)
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            closed = self.stack.pop()
            if closed.anchor:
                self.anchors[closed.anchor] = closed.node
            self.place(closed.node, closed.node.at)
        elif isinstance(event, yaml.ScalarEvent):
            self.scalar(event)
        return True

    def opening(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> bool:
        at = _at(event)
        if len(self.stack) >= MAX_DEPTH:
            self.report(at, "depth", f"this is nested more than {MAX_DEPTH} deep; make it flatter")
            return False
        self.untagged(event.tag, at)
        if self.wants_key():
            self.report(at, "key", "a key must be text, not a list or a mapping")
            return False
        value: object = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Open(Node(value, at, flow=bool(event.flow_style)), event.anchor))
        return True

    def scalar(self, event: yaml.ScalarEvent) -> None:
        at, plain = _at(event), bool(event.implicit[0])
        self.untagged(event.tag, at)
        found = CONTROL.search(event.value)
        if found:
            self.report(at, "control-character", f"control character U+{ord(found.group()):04X}; remove it")
        value: object = event.value
        if plain and not (event.value == "<<" and self.wants_key()):
            try:
                value = scalar(event.value)
            except ValueError as error:
                self.report(at, "number", str(error))
        if self.wants_key():
            self.key(value, at, merge=plain and event.value == "<<")
            if event.anchor:
                self.anchors[event.anchor] = Node(value, at)
            return
        node = Node(value, at)
        if event.anchor:
            self.anchors[event.anchor] = node
        self.place(node, at)

    def alias(self, event: yaml.AliasEvent) -> bool:
        at, name = _at(event), event.anchor
        if name not in self.anchors:
            self.report(at, "alias", f"the anchor {shown(name)} is not defined above")
            return False
        node = self.anchors[name]
        if node is None:
            self.report(at, "alias", f"the anchor {shown(name)} contains itself; write the value out")
            return False
        self.aliases += 1
        self.aliased_nodes += node.size
        if self.aliases > MAX_ALIASES or self.aliased_nodes > MAX_ALIASED_NODES:
            limits = f"{MAX_ALIASES} aliases and {MAX_ALIASED_NODES} values through them"
            self.report(at, "alias-budget", f"more than {limits}; write the values out")
            return False
        if self.wants_key():
            self.key(node.value, at, merge=False)
        else:
            self.place(replace(node, at=at), at)
        return True

    def untagged(self, tag: str | None, at: Position) -> None:
        if tag is not None:
            self.report(at, "tag", f"the tag {shown(tag)} means nothing here; remove it")

    def wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].node.value, dict) and self.stack[-1].key is None

    def key(self, value: object, at: Position, *, merge: bool) -> None:
        """Note the key whose value comes next; a bad one is reported and its value dropped."""
        top = self.stack[-1]
        top.skipping = False
        top.key, top.key_at = str(value) if isinstance(value, str) else "", at
        if merge:
            self.report(at, "merge-key", "merge keys (<<) are not read; write the keys out")
        elif not isinstance(value, str):
            self.report(at, "key", f"the key {shown(value)} is not text; quote it")
        elif value in top.node.places:
            line = top.node.places[value][0]
            self.report(at, "duplicate-key", f"the key {shown(value)} is already on line {line}; remove one of them")
        else:
            return
        top.skipping = True

    def place(self, node: Node, at: Position) -> None:
        """Put a finished value where it belongs."""
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if top.key is None:
            top.node.put(len(top.node.places), at, node)
            return
        if not top.skipping:
            top.node.put(top.key, top.key_at, node)
        top.key = None
