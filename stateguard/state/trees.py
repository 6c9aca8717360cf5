"""Trees as path maps, and path maps as trees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

from pygit2.enums import ObjectType

from stateguard.errors import StorageError
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.tree import DIRECTORY, Entry, PathMap
from stateguard.state.repository import Repository

_TREE, _BLOB = 2, 3


def entries(repository: Repository, tree: str) -> Iterator[tuple[bytes, int, str]]:
    """Yield name, mode and object id of every entry of one tree object.

    Raises:
        StorageError: it is missing, damaged or no tree.
    """
    if tree == EMPTY_TREE:
        return
    kind, content = repository.raw(tree)
    if kind != _TREE:
        message = f"object {tree} in {repository.path.name} is no tree"
        raise StorageError(message)
    try:
        yield from _parsed(content)
    except ValueError as error:
        message = f"tree {tree} in {repository.path.name} is malformed"
        raise StorageError(message) from error


def _parsed(content: bytes) -> Iterator[tuple[bytes, int, str]]:
    """Yield name, mode and object id of every entry in the bytes of a tree object.

    Raises:
        ValueError: they are not those of a tree.
    """
    position = 0
    while position < len(content):
        space = content.index(b" ", position)
        end = content.index(b"\0", space)
        child = content[end + 1 : end + 21]
        if len(child) < 20:  # noqa: PLR2004 - the length of a SHA-1
            raise ValueError("the last object id is cut short")
        yield content[space + 1 : end], int(content[position:space], 8), child.hex()
        position = end + 21


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
        for name, mode, object_id in entries(repository, current):
            path = prefix + name
            if mode == DIRECTORY:
                todo.append((path + b"/", object_id))
            else:
                found[path] = (mode, object_id)
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


def build(repository: Repository, paths: PathMap) -> str:
    """Write the tree objects of a path map durably; returns the id of the root.

    Raises:
        StorageError: the disk refused, or a path is a file and a directory at once.
    """
    return _build(nested(paths), lambda content: repository.write(ObjectType.TREE, content))


def tree_id(paths: PathMap) -> str:
    """Return the id of the tree of a path map without writing it.

    Raises:
        StorageError: a path is a file and a directory at once.
    """
    return _build(nested(paths), lambda content: _object_id(b"tree", content))


def nested(paths: PathMap) -> dict[str, object]:
    """Return a path map as directories within directories: names to entries, or to mappings of the same kind.

    Raises:
        StorageError: a path is a file and a directory at once.
    """
    root: dict[str, object] = {}
    for path, entry in paths.items():
        node = root
        *directories, name = path.split("/")
        for part in directories:
            deeper = node.setdefault(part, {})
            if not isinstance(deeper, dict):
                message = f"{path}: {part} is a file and a directory at once"
                raise StorageError(message)
            node = deeper
        if name in node:
            message = f"{path} is a file and a directory at once"
            raise StorageError(message)
        node[name] = entry
    return root


def _build(node: Mapping[str, object], write: Callable[[bytes], str]) -> str:
    rows: list[tuple[bytes, bytes]] = []
    for name, value in node.items():
        raw = name.encode()
        if isinstance(value, Entry):
            rows.append((raw, b"%o %s\0" % (value.mode, raw) + bytes.fromhex(value.id)))
        elif isinstance(value, Mapping):
            rows.append((raw + b"/", b"40000 %s\0" % raw + bytes.fromhex(_build(value, write))))
    return write(b"".join(row for _, row in sorted(rows)))


def _object_id(kind: bytes, content: bytes) -> str:
    return hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content, usedforsecurity=False).hexdigest()
