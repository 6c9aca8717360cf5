"""Git objects in the one form that git gives them; pure.

Git, libgit2 and dulwich forgive different things: a second header of one name, one behind its place, a mode with a
zero before it. What they might read differently is not read at all: a parser takes an object only if what it understood
gives the very same bytes again, and says what is wrong otherwise.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from stateguard.config.problem import clipped
from stateguard.text import escape

_ROW = re.compile(rb"(100644|100755|120000|40000|160000) ([^\0/]+)\0(.{20})", re.DOTALL)
_ANY_ROW = re.compile(rb"([^\0 ]*) ([^\0]*)\0.{20}", re.DOTALL)
_DIRECTORY = b"40000"

_ID = re.compile(rb"[0-9a-f]{40}")
_PERSON = re.compile(rb"[^\0\n<>]* <[^\0\n<>]*> (?:0|[1-9][0-9]{0,17}) [+-](?:0[0-9]|1[0-4])[0-5][0-9]")
_WORD = re.compile(rb"[!-~]+")
_COMMITS_ONLY = re.compile(rb"commit")
_LINE = re.compile(rb"[^\n]+")
_ARMOR = re.compile(rb"-----BEGIN ([A-Z ]+)-----\n(?:(?:[^-\n][^\n]*)?\n)+-----END \1-----\n")
_ARMORED = re.compile(rb"^-----BEGIN (?:(?:PGP|SSH) SIGNATURE|(?:PGP|SIGNED) MESSAGE)-----", re.MULTILINE)
_SIGNATURE, _MERGED = b"gpgsig", b"mergetag"
_SHOWN = 60
_RESERVED = frozenset(
    b"tree parent author committer encoding gpgsig gpgsig-sha256 mergetag object type tag tagger".split()
)

Row = tuple[bytes, bytes, bytes]
"""One row of a tree: mode and name as they stand there, and the object id in binary."""

Header = tuple[bytes, bytes]
"""Name and value; the lines of a value stand below each other without the blank that each later one begins with."""


class MalformedError(Exception):
    """An object has not the form that git gives it; the sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit says: ids in hexadecimal digits, people with time and zone.

    ``others`` are the headers between committer and signature: tags that were merged, and what other tools write.
    """

    tree: bytes
    parents: tuple[bytes, ...]
    author: bytes
    committer: bytes
    encoding: bytes | None
    others: tuple[Header, ...]
    signature: bytes | None
    message: bytes

    def serialised(self) -> bytes:
        """Return its bytes as git writes them."""
        headers = [(b"tree", self.tree), *((b"parent", parent) for parent in self.parents)]
        headers += [(b"author", self.author), (b"committer", self.committer)]
        headers += [(b"encoding", self.encoding)] if self.encoding is not None else []
        headers += self.others
        headers += [(_SIGNATURE, self.signature)] if self.signature is not None else []
        return _serialised(headers, self.message)


@dataclass(frozen=True, slots=True)
class Tag:
    """What an annotated tag of a commit says; the message ends where the signature begins, which is empty for none."""

    target: bytes
    name: bytes
    tagger: bytes
    message: bytes
    signature: bytes

    def serialised(self) -> bytes:
        """Return its bytes as git writes them."""
        headers = [(b"object", self.target), (b"type", b"commit"), (b"tag", self.name), (b"tagger", self.tagger)]
        return _serialised(headers, self.message + self.signature)


def rows_of(content: bytes) -> list[Row]:
    """Return what a tree object holds.

    Whether its names and modes may come in is another question: see :mod:`stateguard.admission.names`.

    Raises:
        MalformedError: a row has another form, the rows are not in git's order, or a name is there twice.
    """
    found: list[Row] = _ROW.findall(content)
    if serialised_rows(found) != content:
        raise MalformedError(_misfit(content))
    keys = [name + b"/" if mode == _DIRECTORY else name for mode, name, _ in found]
    if keys != sorted(keys):
        raise MalformedError("its rows are not in the order in which git sorts them")
    if len({name for _, name, _ in found}) != len(found):
        raise MalformedError("it holds a name twice")
    return found


def serialised_rows(rows: Sequence[Row]) -> bytes:
    """Return the bytes of a tree object."""
    return b"".join([b"%b %b\0%b" % row for row in rows])


def _misfit(content: bytes) -> str:
    """Say what is wrong with the first row that is not as git writes it."""
    at = 0
    while row := _ROW.match(content, at):
        at = row.end()
    found = _ANY_ROW.match(content, at)
    if found is None:
        return "a row of it is cut short"
    mode, name = found.groups()
    if _ROW.match(b"%b x\0%b" % (mode, bytes(20))) is None:
        return f"{_shown(name)} has the mode {_shown(mode)}, which git does not write"
    return f"the name {_shown(name)} has a slash" if name else "a row of it has no name"


def commit_of(content: bytes) -> Commit:
    """Return what a commit object says.

    Headers that nobody knows may stand where git keeps them, between committer and signature, each once and on one
    line: tools like jujutsu write some.

    Raises:
        MalformedError: a header is missing, twice, out of its place or of another form, or there is a NUL.
    """
    headers = _Headers(content)
    tree, parents = headers.take(b"tree", _ID), []
    while headers.follows(b"parent"):
        parents.append(headers.take(b"parent", _ID))
    if len(set(parents)) != len(parents):
        raise MalformedError("it names a parent twice")
    author, committer = headers.take(b"author", _PERSON), headers.take(b"committer", _PERSON)
    encoding = headers.take(b"encoding", _WORD) if headers.follows(b"encoding") else None
    signature = headers.take_signature()
    others = tuple(headers.left)
    _check_others(others, parents)
    return _same(Commit(tree, tuple(parents), author, committer, encoding, others, signature, headers.body), content)


def tag_of(content: bytes) -> Tag:
    """Return what a tag object says.

    Raises:
        MalformedError: it tags no commit, a header is missing, too much, out of its place or of another form, there is
            a NUL, or a signature that is not alone and at the end.
    """
    headers = _Headers(content)
    target = headers.take(b"object", _ID)
    if headers.follows(b"type") and headers.left[0][1] != b"commit":
        raise MalformedError(f"it tags a {_shown(headers.left[0][1])}; a tag is for a commit")
    headers.take(b"type", _COMMITS_ONLY)
    name, tagger = headers.take(b"tag", _LINE), headers.take(b"tagger", _PERSON)
    if headers.left:
        raise MalformedError(f"its header {_shown(headers.left[0][0])} is none of a tag, or not in its place")
    begins = [found.start() for found in _ARMORED.finditer(headers.body)]
    if len(begins) > 1:
        raise MalformedError("it has more than one signature")
    end = begins[0] if begins else len(headers.body)
    message, signature = headers.body[:end], headers.body[end:]
    if signature and _ARMOR.fullmatch(signature) is None:
        raise MalformedError("its signature is cut short, or something stands behind it")
    return _same(Tag(target, name, tagger, message, signature), content)


class _Headers:
    """The headers of a commit or a tag, taken from the front one by one, and the ``body`` behind them."""

    def __init__(self, content: bytes) -> None:
        if b"\0" in content:
            raise MalformedError("it has a NUL, where some programs stop to read")
        head, blank, self.body = content.partition(b"\n\n")
        if not blank:
            raise MalformedError("it has no empty line behind its headers")
        self.left: deque[Header] = deque()
        for line in head.split(b"\n"):
            key, _, value = line.partition(b" ")
            if key:
                self.left.append((key, value))
            elif self.left:
                name, before = self.left.pop()
                self.left.append((name, before + b"\n" + value))
            else:
                raise MalformedError("its first line is the rest of another one")

    def follows(self, name: bytes) -> bool:
        """Say whether this header is the next one."""
        return bool(self.left) and self.left[0][0] == name

    def take(self, name: bytes, form: re.Pattern[bytes]) -> bytes:
        """Return the value of the next header."""
        if not self.follows(name):
            raise MalformedError(f"its header {name.decode()} is missing or not in its place")
        value = self.left.popleft()[1]
        if form.fullmatch(value) is None:
            raise MalformedError(f"its header {name.decode()} has not the form that git gives it")
        return value

    def take_signature(self) -> bytes | None:
        """Return the signature of a commit, which is the last header, or None."""
        if not self.left or self.left[-1][0] != _SIGNATURE:
            return None
        value = self.left.pop()[1]
        if _ARMOR.fullmatch(value.rstrip(b"\n") + b"\n") is None:
            raise MalformedError("its signature is cut short, or more than one")
        return value


def _check_others(others: Sequence[Header], parents: Sequence[bytes]) -> None:
    """Refuse what may not stand between committer and signature."""
    seen: set[bytes] = set()
    for name, value in others:
        if name == _MERGED:
            if tag_of(value + b"\n").target not in parents:
                raise MalformedError("it says that a tag was merged, and none of its parents is what that names")
        elif name.lower() in _RESERVED:
            raise MalformedError(f"its header {_shown(name)} is twice, not in its place, or none of a commit")
        elif name in seen:
            raise MalformedError(f"its header {_shown(name)} is there twice")
        elif _WORD.fullmatch(name) is None or not _is_text(value):
            raise MalformedError(f"its header {_shown(name)} is no line of text")
        seen.add(name)


def _is_text(value: bytes) -> bool:
    """Say whether a value is one line that can be shown."""
    try:
        return value.decode().isprintable()
    except UnicodeDecodeError:
        return False


_Form = TypeVar("_Form", Commit, Tag)


def _same(found: _Form, content: bytes) -> _Form:
    """Return what was understood if that gives the same bytes again."""
    if found.serialised() != content:
        raise MalformedError("git would write it in other bytes")
    return found


def _serialised(headers: Sequence[Header], body: bytes) -> bytes:
    lines = [name + b" " + value.replace(b"\n", b"\n ") for name, value in headers]
    return b"\n".join([*lines, b"", body])


def _shown(raw: bytes) -> str:
    return escape.line(clipped(raw.decode("utf-8", "backslashreplace"), _SHOWN))
