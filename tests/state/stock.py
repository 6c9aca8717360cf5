"""Stock git, as the oracle, and path maps to ask it about."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st
from pygit2.enums import ObjectType

from stateguard.model.tree import EXECUTABLE, REGULAR, SYMLINK, Entry
from stateguard.state.repository import Repository

Files = dict[str, tuple[int, bytes]]
"""Modes and contents by path."""

NAMES = ("a", "a.b", "a0", "a-", "ab", "A", "b", "a b", "é", "あ", "-rf", 'quo"te', "tab\t", "line\n")

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "LC_ALL": "C",
    **{f"GIT_{who}_{what}": "p@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(path: Path, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> bytes:
    """Run git on a bare repository; it must succeed."""
    environment = _ENVIRONMENT | dict(extra or {})
    command = ["git", "--git-dir", str(path), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def text(path: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Return what git prints, without the last line end."""
    return git(path, *arguments, stdin=stdin).decode().removesuffix("\n")


def fails(path: Path, *arguments: str) -> bool:
    """Say whether git refuses."""
    command = ["git", "--git-dir", str(path), *arguments]
    return subprocess.run(command, capture_output=True, env=_ENVIRONMENT, check=False).returncode != 0


def literally(path: Path, kind: str, content: bytes) -> str:
    """Write an object however malformed it is; returns its id."""
    return text(path, "hash-object", "-w", "--literally", "-t", kind, "--stdin", stdin=content)


def write_tree(path: Path, paths: Mapping[str, Entry]) -> str:
    """Return the tree that git makes of a path map by way of an index."""
    index = {"GIT_INDEX_FILE": str(path / "test-index")}
    Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    rows = b"".join(b"%o %s\t%s\0" % (e.mode, e.id.encode(), p.encode()) for p, e in paths.items())
    git(path, "update-index", "-z", "--index-info", stdin=rows, extra=index)
    return git(path, "write-tree", extra=index).decode().strip()


def ls_tree(path: Path, tree: str) -> dict[bytes, tuple[int, str]]:
    """Return what ``git ls-tree -r`` says."""
    found = {}
    for row in git(path, "ls-tree", "-r", "-z", tree).split(b"\0")[:-1]:
        words, name = row.split(b"\t", 1)
        mode, _, object_id = words.split()
        found[name] = (int(mode, 8), object_id.decode())
    return found


def loose(path: Path, object_id: str) -> Path:
    """Return the file of a loose object, made writable."""
    file = path / "objects" / object_id[:2] / object_id[2:]
    file.chmod(0o644)
    return file


def overwrite(path: Path, object_id: str, kind: bytes, content: bytes) -> None:
    """Put a well-formed object under the id of another one."""
    loose(path, object_id).write_bytes(zlib.compress(b"%s %d\0" % (kind, len(content)) + content))


def put(repository: Repository, files: Files) -> dict[str, Entry]:
    """Write the blobs of some files; returns their path map."""
    return {p: Entry(mode, repository.write(ObjectType.BLOB, content)) for p, (mode, content) in files.items()}


def _joined(node: object, lead: str = "") -> Files:
    if not isinstance(node, dict):
        mode, content = node  # type: ignore[misc]
        return {lead: (mode, content)}
    found: Files = {}
    for name, child in node.items():
        found |= _joined(child, f"{lead}/{name}" if lead else name)
    return found


_names = st.sampled_from(NAMES) | st.text(
    st.characters(blacklist_characters="/\0.", blacklist_categories=("Cs",)), min_size=1, max_size=4
)
_contents = st.sampled_from([b"", b"x", b"line\n", b"\0\xff" * 40])
_leaves = st.tuples(st.sampled_from([REGULAR, EXECUTABLE]), _contents) | st.tuples(
    st.just(SYMLINK), st.sampled_from([b"a", b"../b", b"/nowhere"])
)


def directories(*, min_size: int = 0) -> st.SearchStrategy[Files]:
    """Draw small directories, with names that sort differently as text and as git has them."""
    nested = st.recursive(_leaves, lambda inner: st.dictionaries(_names, inner, min_size=1, max_size=4), max_leaves=8)
    return st.dictionaries(_names, nested, min_size=min_size, max_size=5).map(_joined)
