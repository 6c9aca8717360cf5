"""Fingerprints: the object id that git itself gives a tree in a SHA-256 repository.

Two independent implementations: :func:`incremental` reads through pygit2 and remembers what it saw, by SHA-1
id; :func:`full` reads every object through dulwich, checks that its bytes have the SHA-1 id they are filed
under, and remembers nothing. Whatever is signed uses the full one.
"""

from __future__ import annotations

import contextlib
import hashlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dulwich.object_store import DiskObjectStore
from dulwich.objects import ObjectID

from stateguard.errors import StorageError
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.tree import DIRECTORY, Entry, PathMap
from stateguard.state import trees
from stateguard.state.repository import Repository

_PREFIX = "sha256:"
_TOO_DEEP = "tree {} is nested too deep"


def _object(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha256(b"%s %d\0" % (kind, len(content)) + content).digest()


class DigestCache:
    """SHA-256 digests by SHA-1 id, for objects that were read once; as trustworthy as SHA-1 is."""

    def __init__(self, most: int = 2_000_000) -> None:
        """``most`` entries are kept; beyond that the cache starts anew."""
        self._known: dict[str, bytes] = {}
        self._most = most

    def get(self, object_id: str, compute: Callable[[], bytes]) -> bytes:
        """Return the digest of an object, computing it at most once."""
        found = self.known(object_id)
        if found is None:
            found = compute()
            self.keep(object_id, found)
        return found

    def known(self, object_id: str) -> bytes | None:
        """Return the digest of an object if it was computed before."""
        return self._known.get(object_id)

    def keep(self, object_id: str, digest: bytes) -> None:
        """Remember the digest of an object."""
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[object_id] = digest


def incremental(repository: Repository, tree: str, cache: DigestCache) -> str:
    """Return the fingerprint of a tree, reading only objects that the cache does not know.

    Raises:
        StorageError: an object is missing or malformed.
    """

    def of_tree(object_id: str) -> bytes:
        rows = []
        for name, mode, child in trees.entries(repository, object_id):
            digest = cache.known(child)
            if digest is None:
                digest = of_tree(child) if mode == DIRECTORY else _object(b"blob", repository.blob(child))
                cache.keep(child, digest)
            rows.append(b"%o %s\0" % (mode, name) + digest)
        return _object(b"tree", b"".join(rows))

    try:
        return _PREFIX + cache.get(tree, lambda: of_tree(tree)).hex()
    except RecursionError as error:
        raise StorageError(_TOO_DEEP.format(tree)) from error


def digest_of(cache: DigestCache, object_id: str, read: Callable[[], bytes]) -> bytes:
    """Return the SHA-256 digest of a blob, reading it only if the cache does not know it."""
    return cache.get(object_id, lambda: _object(b"blob", read()))


def of_paths(paths: PathMap, digest: Callable[[str, Entry], bytes]) -> str:
    """Return the fingerprint of a path map whose blobs need be in no repository; ``digest`` gives each blob's.

    Raises:
        StorageError: a path is a file and a directory at once.
    """
    return _PREFIX + _of_node(trees.nested(paths), "", digest).hex()


def of_changed(
    repository: Repository,
    base: str,
    changes: Mapping[str, Entry | None],
    cache: DigestCache,
    digest: Callable[[str, Entry], bytes],
) -> str:
    """Return the fingerprint that a tree has by some changes (None: nothing is there); the rest is not read anew.

    Raises:
        StorageError: an object is missing, or a path is a file and a directory at once.
    """
    root = _of_changed(repository, base, trees.changes_by_directory(changes), "", cache, digest)
    return _PREFIX + (root or _object(b"tree", b"")).hex()


def _of_changed(
    repository: Repository,
    base: str,
    node: trees.Node,
    lead: str,
    cache: DigestCache,
    digest: Callable[[str, Entry], bytes],
) -> bytes | None:
    rows: dict[bytes, tuple[int, bytes]] = {}
    below: dict[bytes, str] = {}
    for raw, mode, child in trees.entries(repository, base):
        value = node.get(raw.decode(), child)
        if mode == DIRECTORY:
            below[raw] = child
        if value is child or (value is None and mode == DIRECTORY):
            rows[raw] = (mode, _known(repository, mode, child, cache))
    for name, value in node.items():
        raw = name.encode()
        if isinstance(value, Entry):
            rows[raw] = (value.mode, digest(lead + name, value))
        elif isinstance(value, dict):
            rows.pop(raw, None)
            tree = _of_changed(repository, below.get(raw, EMPTY_TREE), value, f"{lead}{name}/", cache, digest)
            if tree is not None:
                rows[raw] = (DIRECTORY, tree)
    order = sorted((name + b"/" if mode == DIRECTORY else name, name, mode, one) for name, (mode, one) in rows.items())
    content = b"".join(b"%o %s\0" % (mode, name) + one for _, name, mode, one in order)
    return _object(b"tree", content) if content else None


def _known(repository: Repository, mode: int, object_id: str, cache: DigestCache) -> bytes:
    if mode != DIRECTORY:
        return cache.get(object_id, lambda: _object(b"blob", repository.blob(object_id)))
    return bytes.fromhex(incremental(repository, object_id, cache).removeprefix(_PREFIX))


def _of_node(node: Mapping[str, object], lead: str, digest: Callable[[str, Entry], bytes]) -> bytes:
    rows: list[tuple[bytes, bytes]] = []
    for name, value in node.items():
        raw, path = name.encode(), lead + name
        if isinstance(value, Entry):
            rows.append((raw, b"%o %s\0" % (value.mode, raw) + digest(path, value)))
        elif isinstance(value, Mapping):
            rows.append((raw + b"/", b"40000 %s\0" % raw + _of_node(value, path + "/", digest)))
    return _object(b"tree", b"".join(row for _, row in sorted(rows)))


def full(path: Path, tree: str, pace: Callable[[], None] = lambda: None) -> str:
    """Return the fingerprint of a tree from its bytes alone; ``pace`` is called between two objects.

    Raises:
        StorageError: an object is missing or malformed, or its bytes are not those of its id.
    """
    store = DiskObjectStore(path / "objects")
    try:
        return _PREFIX + _full_tree(store, tree.encode(), pace).hex()
    except RecursionError as error:
        raise StorageError(_TOO_DEEP.format(tree)) from error
    finally:
        with contextlib.suppress(BufferError):  # a pack in whose midst damage was found is closed when collected
            store.close()


def _full_tree(store: DiskObjectStore, tree: bytes, pace: Callable[[], None]) -> bytes:
    rows = []
    for mode, name, child in _entries(tree, _verified(store, tree, b"tree", 2)):
        pace()
        if mode == DIRECTORY:
            digest = _full_tree(store, child, pace)
        else:
            digest = _object(b"blob", _verified(store, child, b"blob", 3))
        rows.append(b"%o %s\0" % (mode, name) + digest)
    return _object(b"tree", b"".join(rows))


def _entries(tree: bytes, content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    try:
        while content:
            head, _, rest = content.partition(b"\0")
            mode, _, name = head.partition(b" ")
            yield int(mode, 8), name, rest[:20].hex().encode()
            content = rest[20:]
    except ValueError as error:
        message = f"tree {tree.decode()} is malformed"
        raise StorageError(message) from error


def _verified(store: DiskObjectStore, object_id: bytes, kind: bytes, number: int) -> bytes:
    if object_id == EMPTY_TREE.encode() and kind == b"tree":
        return b""
    try:
        found, content = store.get_raw(ObjectID(object_id))
    except RecursionError:
        raise
    except Exception as error:  # damaged bytes make dulwich raise nearly anything
        traceback.clear_frames(error.__traceback__)  # they hold parts of the pack, which could not be closed
        message = f"object {object_id.decode()} is missing or damaged"
        raise StorageError(message, next_step="restore the repository from a mirror") from error
    name = hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content, usedforsecurity=False).hexdigest()
    if found != number or name.encode() != object_id:
        message = f"object {object_id.decode()} does not hold what its name says"
        raise StorageError(message, next_step="restore the repository from a mirror")
    return content
