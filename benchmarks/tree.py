"""Trees of many small files, and changes of a few of them; the same ones for the same seed, on every machine."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from stateguard.host.files import TEMPORARY

POLICY = "stateguard.yaml"
_POLICY_TEXT = b"apiVersion: stateguard/v1\nresponse: {soak: 30d}\n"
_PER_DIRECTORY = 100
_SMALL = 2
"""How many files a small directory holds: those are emptied, and give way to a file."""
_SHORTEST, _SPREAD = 1024, 3073
_NOT_OURS = (".git", ".stateguard.lock")
_PATIENCE_SECONDS, _BETWEEN_LOOKS_SECONDS = 10.0, 0.01


class File(NamedTuple):
    """A regular file of a tree; its bytes follow from where it came from and how often it was changed."""

    origin: str
    version: int = 0
    executable: bool = False

    def content(self) -> bytes:
        """Return the bytes of it, 1 to 4 KB that hardly compress."""
        if self.origin == POLICY:
            return _POLICY_TEXT
        words = hashlib.shake_128(f"{self.origin} {self.version}".encode())
        size = _SHORTEST + int.from_bytes(words.digest(4), "big") % _SPREAD
        return words.hexdigest(size // 2).encode()


Tree = Mapping[str, File]


class WrongTreeError(Exception):
    """A directory does not hold the tree that it should hold."""


def grown(files: int, seed: int = 1) -> dict[str, File]:
    """Return a tree of so many files, one in fifty of them in a directory of two."""
    small = max(2 * _SMALL, files // 50 // _SMALL * _SMALL)
    found = {POLICY: File(POLICY)}
    for number in range(files - small - 1):
        path = f"data/d{number // 10000}/d{number // _PER_DIRECTORY % 100}/f{number}.md"
        found[path] = File(f"{seed} {path}", executable=number % 20 == 0)
    for number in range(small):
        path = f"small/d{number // _SMALL // _PER_DIRECTORY}/d{number // _SMALL}/f{number}.md"
        found[path] = File(f"{seed} {path}")
    return found


def changed(tree: Tree, files: int, turn: int = 1) -> dict[str, File]:
    """Return the tree with so many files changed: 80 % modified, 10 % added, 10 % removed.

    One in eight of the modified is another mode only. Among the added and removed are renames and, from 100 files on,
    files whose place a directory takes, directories whose place a file takes, and directories that are emptied.
    """
    found = dict(tree)
    plain = [p for p in tree if p.startswith("data/")]
    step = max(1, len(plain) // files)
    chosen = plain[turn % step :: step][:files]
    tenth = max(1, files // 10)
    fresh = f"data/new{turn}"
    removed, added = 0, 0
    if files >= 100:
        lots = files // 100
        pairs = _small_directories(tree)
        for number in range(lots):
            (place, inside), (_, others) = pairs[2 * number], pairs[2 * number + 1]
            swapped = chosen.pop()
            for path in (*inside, *others, swapped):
                del found[path]
            found[place] = File(f"file {place}", turn)
            found[f"{swapped}/inner.md"] = File(f"inner {swapped}", turn)
            removed, added = removed + 2 * _SMALL + 1, added + 2
    for number in range(tenth - added):
        if removed < tenth:
            old = chosen.pop()
            found[f"{fresh}/renamed{number}.md"] = found.pop(old)
            removed += 1
        else:
            found[f"{fresh}/added{number}.md"] = File(f"added {number}", turn)
    for number, path in enumerate(chosen[: files - 2 * tenth]):
        before = tree[path]
        other = before._replace(executable=not before.executable)
        found[path] = other if number % 8 == 0 else before._replace(version=before.version + turn)
    return found


def _small_directories(tree: Tree) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for path in tree:
        if path.startswith("small/"):
            found.setdefault(path.rpartition("/")[0], []).append(path)
    return list(found.items())


def difference(before: Tree, after: Tree) -> int:
    """Return by how many paths two trees differ."""
    return sum(before.get(path) != after.get(path) for path in {*before, *after})


def write(root: Path, tree: Tree) -> None:
    """Write a tree into a new directory."""
    made = set()
    for path, file in tree.items():
        place = root / path
        if place.parent not in made:
            place.parent.mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        place.write_bytes(file.content())
        if file.executable:
            place.chmod(0o755)


def turn_into(root: Path, before: Tree, after: Tree) -> None:
    """Make a directory that holds one tree hold another, by writing where they differ."""
    for path in before.keys() - after.keys():
        (root / path).unlink()
        for above in (root / path).parents:
            if above == root or any(above.iterdir()):
                break
            above.rmdir()
    write(root, {path: file for path, file in after.items() if before.get(path) != file})
    for path, file in after.items():
        if before.get(path) != file and not file.executable:
            (root / path).chmod(0o644)


def check(root: Path, tree: Tree) -> None:
    """Read a whole directory and compare it with a tree: every path, byte and executable bit, and no other directory.

    Replaced files lie beside the new ones for a moment, and are waited for: that is outside of all timing.

    Raises:
        WrongTreeError: they differ.
    """
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at and any(e.name.startswith(TEMPORARY) for _, e in _walk(os.fspath(root), "")):
        time.sleep(_BETWEEN_LOOKS_SECONDS)
    directories = {above.as_posix() for path in tree for above in Path(path).parents if above.as_posix() != "."}
    left = set(tree)
    for path, entry in _walk(os.fspath(root), ""):
        if entry.is_dir(follow_symlinks=False):
            if path not in directories:
                raise WrongTreeError(f"{path}/ should not be there")
            continue
        wanted = tree.get(path)
        if wanted is None:
            raise WrongTreeError(f"{path} should not be there")
        executable = bool(entry.stat(follow_symlinks=False).st_mode & stat.S_IXUSR)
        if entry.is_symlink() or executable != wanted.executable:
            raise WrongTreeError(f"{path} has another mode")
        if Path(entry.path).read_bytes() != wanted.content():
            raise WrongTreeError(f"{path} holds other bytes")
        left.discard(path)
    if left:
        raise WrongTreeError(f"{min(left)} is missing")


def _walk(root: str, lead: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(f"{root}/{lead}") as found:
        entries = list(found)
    for entry in entries:
        path = lead + entry.name
        if not lead and entry.name in _NOT_OURS:
            continue
        yield path, entry
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path + "/")
