"""Trees as path maps, and path maps as trees."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from pygit2.enums import ObjectType

from stateguard.errors import StorageError
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.tree import DIRECTORY, Entry, PathMap
from stateguard.state.batch import object_id
from stateguard.state.repository import Repository

_TREE = 2
_READ = 60_000
_ROW = re.compile(rb"([0-7]{1,7} ([^\0]+)\0.{20})", re.DOTALL)
ID_BYTES = 20
"""A row ends with so many bytes of an object's id."""

Rows = Mapping[bytes, bytes]
"""What a tree object holds: names to rows, as they stand there; :func:`parsed` reads one."""

Node = dict[str, "Node | Entry | None"]
"""Changes of one directory: names to what shall be there, None for nothing, a node for changes further down."""


class Objects(Protocol):
    """Holds objects: a repository, or one with some in front of it that are in memory only."""

    @property
    def path(self) -> Path:
        """Where the repository lies."""
        ...

    def raw(self, object_id: str) -> tuple[int, bytes]:
        """Return type number and bytes of any object."""
        ...


class _Lately:
    """Tree objects that were read lately, up to so many rows: what has an id is the same everywhere and for ever."""

    def __init__(self, most: int) -> None:
        self._most, self._rows = most, 0
        self._known: dict[str, Rows] = {}
        self._lock = threading.Lock()

    def get(self, tree: str) -> Rows | None:
        with self._lock:
            found = self._known.pop(tree, None)
            if found is not None:
                self._known[tree] = found  # asked for last, forgotten last
            return found

    def keep(self, tree: str, rows: Rows) -> None:
        with self._lock:
            if tree not in self._known:
                self._known[tree] = rows
                self._rows += len(rows)
            while self._rows > self._most and len(self._known) > 1:
                oldest = next(iter(self._known))
                self._rows -= len(self._known.pop(oldest))


_lately = _Lately(_READ)


class Sink(Protocol):
    """Takes objects: a repository, or a batch of one."""

    def write(self, kind: ObjectType, content: bytes) -> str:
        """Take an object; returns its id."""
        ...


def entries(repository: Objects, tree: str) -> Iterator[tuple[bytes, int, str]]:
    """Yield name, mode and object id of every entry of one tree object.

    Raises:
        StorageError: it is missing, damaged or no tree.
    """
    return ((name, *parsed(row)) for name, row in in_order(repository, tree))


def in_order(repository: Objects, tree: str) -> list[tuple[bytes, bytes]]:
    """Return names and rows of one tree object, as they stand there.

    Raises:
        StorageError: it is missing, damaged or no tree.
    """
    if tree == EMPTY_TREE:
        return []
    kind, content = repository.raw(tree)
    if kind != _TREE:
        message = f"object {tree} in {repository.path.name} is no tree"
        raise StorageError(message)
    found = _ROW.findall(content)
    if sum(len(row) for row, _ in found) != len(content):  # bytes between its rows, or the last one is cut short
        message = f"tree {tree} in {repository.path.name} is malformed"
        raise StorageError(message)
    return [(name, row) for row, name in found]


def parsed(row: bytes) -> tuple[int, str]:
    """Return mode and object id of a row of a tree object."""
    return int(row[: row.index(b" ")], 8), row[-ID_BYTES:].hex()


def _row(mode: int, name: bytes, object_id: str) -> bytes:
    return b"%o %s\0%s" % (mode, name, bytes.fromhex(object_id))


def flatten(repository: Repository, tree: str, budget: int = 1_000_000) -> dict[bytes, tuple[int, str]]:
    """Return every path of a tree, as raw bytes, with mode and object id.

    Raises:
        StorageError: an object is missing, or there are more paths, directories included, than the budget.
    """
    found: dict[bytes, tuple[int, str]] = {}
    todo = [(b"", tree)]
    visited = 0
    while todo:
        prefix, current = todo.pop()
        visited += 1
        for name, mode, child in entries(repository, current):
            path = prefix + name
            if mode == DIRECTORY:
                todo.append((path + b"/", child))
            else:
                found[path] = (mode, child)
            if visited + len(found) + len(todo) > budget:
                message = f"tree {tree} holds more than {budget} paths"
                raise StorageError(message)
    return found


def path_map(repository: Repository, tree: str) -> dict[str, Entry]:
    """Return every path of an admitted tree, sorted.

    Raises:
        StorageError: an object is missing or a path is no UTF-8.
    """
    try:
        found = {path.decode(): Entry(mode, oid) for path, (mode, oid) in flatten(repository, tree).items()}
    except UnicodeDecodeError as error:
        message = f"tree {tree} holds a path that is no UTF-8"
        raise StorageError(message) from error
    return dict(sorted(found.items()))


def build(repository: Sink, paths: PathMap) -> str:
    """Write the tree objects of a path map; returns the id of the root.

    Raises:
        StorageError: the disk refused, or a path is a file and a directory at once.
    """
    return build_with(paths, lambda content: repository.write(ObjectType.TREE, content))


def build_with(paths: PathMap, write: Callable[[bytes], str]) -> str:
    """Return the id of the tree of a path map; ``write`` takes the bytes of each tree object and returns its id.

    Raises:
        StorageError: the disk refused, or a path is a file and a directory at once.
    """
    return _updated(_nothing, EMPTY_TREE, changes_by_directory(paths), write) or write(b"")


def tree_id(paths: PathMap) -> str:
    """Return the id of the tree of a path map without writing it.

    Raises:
        StorageError: a path is a file and a directory at once.
    """
    return build_with(paths, tree_id_of)


def differing(repository: Repository, before: str, after: str) -> dict[str, tuple[Entry | None, Entry | None]]:
    """Return the paths by which two trees differ, each with its entry in either; equal directories are not read.

    Raises:
        StorageError: an object is missing or a path is no UTF-8.
    """
    found: dict[str, tuple[Entry | None, Entry | None]] = {}
    try:
        _differing(repository, before, after, "", found)
    except UnicodeDecodeError as error:
        message = f"tree {before} or {after} holds a path that is no UTF-8"
        raise StorageError(message) from error
    return found


def _differing(
    repository: Repository,
    before: str,
    after: str,
    lead: str,
    found: dict[str, tuple[Entry | None, Entry | None]],
) -> None:
    if before == after:
        return
    old, new = rows(repository, before), rows(repository, after)
    unlike = [name for name, row in old.items() if new.get(name) != row]
    for name in (*unlike, *(name for name in new if name not in old)):
        one, other = (parsed(row) if row is not None else None for row in (old.get(name), new.get(name)))
        path = lead + name.decode()
        _differing(repository, _directory(one), _directory(other), path + "/", found)
        there, here = (Entry(*row) if row is not None and row[0] != DIRECTORY else None for row in (one, other))
        if there != here:
            found[path] = (there, here)


def _directory(row: tuple[int, str] | None) -> str:
    return row[1] if row is not None and row[0] == DIRECTORY else EMPTY_TREE


def updated(
    repository: Repository, base: str, changes: Mapping[str, Entry | None], write: Callable[[bytes], str]
) -> str:
    """Return the tree that a tree becomes by some changes (None: nothing is there); only what they concern is read.

    ``write`` takes the bytes of each tree object that may be new, and returns its id.

    Raises:
        StorageError: an object is missing, or a path is a file and a directory at once.
    """
    return _updated(lambda tree: rows(repository, tree), base, changes_by_directory(changes), write) or write(b"")


def changes_by_directory(changes: Mapping[str, Entry | None]) -> Node:
    """Return changes as directories within directories; what takes a path's place wins over what leaves it.

    Raises:
        StorageError: a path is to be a file and a directory at once.
    """
    root: Node = {}
    for path, entry in sorted(changes.items(), key=lambda item: (item[1] is not None, item[0])):
        node = root
        *directories, name = path.split("/")
        for part in directories:
            deeper = node.get(part)
            if isinstance(deeper, Entry):
                message = f"{path}: {part} is a file and a directory at once"
                raise StorageError(message)
            if deeper is None:
                deeper = node[part] = {}
            node = deeper
        present = node.get(name)
        if isinstance(present, dict) and (entry is None or _holds_something(present)):
            if entry is not None:
                message = f"{path} is a file and a directory at once"
                raise StorageError(message)
            continue
        node[name] = entry
    return root


def _holds_something(node: Node) -> bool:
    todo = [node]
    while todo:
        for value in todo.pop().values():
            if isinstance(value, dict):
                todo.append(value)
            elif value is not None:
                return True
    return False


def _nothing(_tree: str) -> Rows:
    return {}


def _updated(read: Callable[[str], Rows], base: str, node: Node, write: Callable[[bytes], str]) -> str | None:
    """Return the id of a changed directory, None if nothing is left in it."""
    found, in_order = dict(read(base)), True
    for name, value in node.items():
        raw = name.encode()
        present = found.get(raw)
        below = _below(present)
        if isinstance(value, Entry):
            mode, child = value.mode, value.id
        elif isinstance(value, dict):
            tree = _updated(read, below or EMPTY_TREE, value, write)
            if tree is None:
                if below is not None:
                    del found[raw]
                continue
            mode, child = DIRECTORY, tree
        else:
            if below is None:
                found.pop(raw, None)  # a directory that took the place of a file that left stays
            continue
        in_order &= present is not None and (below is not None) == (mode == DIRECTORY)
        found[raw] = _row(mode, raw, child)
    return write(b"".join((found if in_order else _sorted(found)).values())) if found else None


def _below(row: bytes | None) -> str | None:
    """Return the id of the directory that a row names, None if it names none."""
    if row is None:
        return None
    mode, child = parsed(row)
    return child if mode == DIRECTORY else None


def rows(repository: Objects, tree: str) -> Rows:
    """Return what a tree object holds, from memory if it was read lately; not to be changed.

    Raises:
        StorageError: it is missing, damaged or no tree.
    """
    known = _lately.get(tree)
    if known is None:
        known = dict(in_order(repository, tree))
        _lately.keep(tree, known)
    return known


def _sorted(found: Rows) -> Rows:
    """Return what a tree object holds as git sorts it: a directory as if its name ended with a slash."""
    return dict(sorted(found.items(), key=lambda item: item[0] if _below(item[1]) is None else item[0] + b"/"))


def tree_id_of(content: bytes) -> str:
    """Return the id of the tree object with these bytes, without writing it."""
    return object_id(ObjectType.TREE, content)
