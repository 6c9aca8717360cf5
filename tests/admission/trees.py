"""Trees in memory, for tests of admission."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from stateguard.admission.admit import judge
from stateguard.admission.known import Row
from stateguard.admission.tree import Tree
from stateguard.config.defaults import default_policy
from stateguard.config.problem import Problem
from stateguard.errors import StorageError
from stateguard.model.tree import DIRECTORY

AGENT = b"name: a\ncommand: [run, bin/a.py]\nprompt: prompt.md\n"

FILES: dict[str, bytes] = {
    "stateguard.yaml": b"apiVersion: stateguard/v1\n",
    "agents/a/agent.yaml": AGENT,
    "agents/a/prompt.md": b"Be kind.\n",
    "bin/a.py": b"print()\n",
    "config/limits.yaml": b"days: 7\n",
    "config/limits.schema.json": b'{"type": "object", "properties": {"days": {"type": "integer"}},\n'
    b' "additionalProperties": false}',
    "config/free.yaml": b"a: 1\n---\na: 2\n",
    "protocols/c.yaml": b"{name: c, from: user, to: a}\n",
    "conversations/a.jsonl": b'{"id": "1"}\n',
}


class Objects:
    """Blobs by object id, some of them missing."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.claimed: dict[str, int] = {}

    def put(self, blob: bytes) -> str:
        identity = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
        self.blobs[identity] = blob
        return identity

    def read(self, identity: str) -> bytes:
        if identity not in self.blobs:
            raise StorageError(f"no object {identity}")
        return self.blobs[identity]

    def size(self, identity: str) -> int:
        return self.claimed.get(identity) or len(self.read(identity))


def flat(entries: Mapping[bytes, tuple[int, str]], objects: Objects) -> Tree:
    """Make a tree of raw paths with mode and object id, as git lays it out: a directory is an object of its own."""
    directories: dict[str, tuple[Row, ...]] = {}

    def laid_out(paths: Mapping[bytes, tuple[int, str]]) -> str:
        rows: list[Row] = []
        below: dict[bytes, dict[bytes, tuple[int, str]]] = {}
        for path, entry in paths.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(name, {})[rest] = entry
            else:
                rows.append((name, *entry))
        rows += [(name, DIRECTORY, laid_out(held)) for name, held in below.items()]
        rows.sort(key=lambda row: row[0] + b"/" * (row[1] == DIRECTORY))
        identity = hashlib.sha1(repr(rows).encode(), usedforsecurity=False).hexdigest()
        directories[identity] = tuple(rows)
        return identity

    def listing(identity: str) -> tuple[Row, ...]:
        if identity not in directories:
            raise StorageError(f"no directory {identity}")
        return directories[identity]

    return Tree(laid_out(entries), listing, objects.read, objects.size)


def tree(
    files: Mapping[str, bytes] | None = None,
    *,
    raw: Mapping[bytes, tuple[int, str]] | None = None,
    links: Mapping[str, bytes] | None = None,
    objects: Objects | None = None,
) -> Tree:
    """Make a tree of files and symbolic links, with raw entries put in."""
    store = objects or Objects()
    entries = {path.encode(): (0o100644, store.put(data)) for path, data in (FILES if files is None else files).items()}
    entries.update({path.encode(): (0o120000, store.put(target)) for path, target in (links or {}).items()})
    entries.update(raw or {})
    return flat(entries, store)


def directory(root: Path) -> Tree:
    """Make a tree of a directory on disk, without what Python leaves there."""
    store = Objects()
    entries = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            mode = 0o100755 if path.stat().st_mode & 0o100 else 0o100644
            entries[path.relative_to(root).as_posix().encode()] = (mode, store.put(path.read_bytes()))
    return flat(entries, store)


def collisions(paths: Iterable[str]) -> list[Problem]:
    """Return those problems with a tree of some paths that tell which of them collide."""
    found = judge(tree(dict.fromkeys(paths, b"")), None, default_policy())
    return [problem for problem in found.problems if problem.code == "collision"]
