"""What plain git takes of what is hostile: a bare repository with the checks that git has, and real pushes to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

from admission.objects import COMMIT, TREE
from admission.trees import FILES
from driving import git, sh
from hostile.mutation import mutated
from hostile.objects import SEEDS
from hostile.trees import by_hand
from packing import BLOB, Part, identity, indexed, pack, received
from stateguard.admission.objects import MalformedError, commit_of, rows_of, tag_of

Entry = tuple[int, bytes]
"""A mode and what the file or link holds."""
Counts = tuple[int, int]
"""How many were tried, and how many plain git took."""
_WHO = b"a <a@example.org> 1782900000 +0000"


def bare(place: Path) -> Path:
    """Make plain git's repository, as careful as it can be configured."""
    sh("git", "init", "-q", "--bare", place)
    for key in ("receive.fsckObjects", "receive.denyNonFastForwards", "receive.denyDeletes"):
        git(place, "config", key, "true")
    return place


def packed(entries: Mapping[bytes, Entry], parents: tuple[str, ...] = ()) -> tuple[list[Part], str]:
    """Return the objects of a commit with these raw paths, and its id."""
    parts: dict[str, Part] = {}

    def put(kind: int, content: bytes) -> str:
        name = identity(kind, content)
        parts[name] = Part(kind, content)
        return name

    def laid_out(paths: Mapping[bytes, Entry]) -> str:
        rows, below = list[tuple[bytes, int, str]](), dict[bytes, dict[bytes, Entry]]()
        for path, (mode, content) in paths.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(name, {})[rest] = (mode, content)
            else:
                rows.append((name, mode, put(BLOB, content)))
        rows += [(name, 0o40000, laid_out(held)) for name, held in below.items()]
        rows.sort(key=lambda row: row[0] + b"/" * (row[1] == 0o40000))
        return put(TREE, b"".join(b"%o %b\0%b" % (mode, name, bytes.fromhex(child)) for name, mode, child in rows))

    tree = laid_out(entries).encode()
    lines = [b"tree " + tree, *(b"parent " + one.encode() for one in parents), b"author " + _WHO, b"committer " + _WHO]
    commit = put(COMMIT, b"\n".join([*lines, b"", b"Try\n"]))
    return list(parts.values()), commit


def takes(repository: Path, parts: list[Part], commit: str, branch: str) -> bool:
    """Push a commit to a branch; say whether git took it."""
    ref = f"refs/heads/{branch}"
    return f"ok {ref}\n" in received(repository, pack(parts), commit, ref)


def trees(chance: random.Random, trials: int, place: Path) -> Counts:
    """Push the trees that were made by hand, each as a commit to a branch of its own."""
    repository, files = bare(place / "plain.git"), {p.encode(): (0o100644, data) for p, data in FILES.items()}
    cases = by_hand()
    cases = cases if trials >= len(cases) else chance.sample(cases, trials)
    taken = 0
    for number, (_, paths, links) in enumerate(cases):
        entries = files | {path: (mode, b"x\n") for path, mode in paths.items()}
        entries |= {path: (0o120000, target) for path, target in links.items()}
        taken += takes(repository, *packed(entries), f"case{number}")
    return len(cases), taken


def objects(chance: random.Random, trials: int, place: Path) -> Counts:
    """Take in commits, tags and trees with other bytes, of those that we refuse, as receive-pack does but for links."""
    repository, tried, taken = bare(place / "plain.git"), 0, 0
    while tried < trials:
        kind, content = chance.choice(SEEDS)
        content = mutated(chance, content)
        if _fits(kind, content):
            continue
        done = indexed(pack([Part(kind, content)]), place / str(tried), repository, checks="--fsck-objects")
        tried, taken = tried + 1, taken + (done.returncode == 0)
    return tried, taken


def _fits(kind: int, content: bytes) -> bool:
    read: Callable[[bytes], object] = rows_of if kind == TREE else commit_of if kind == COMMIT else tag_of
    try:
        read(content)
    except MalformedError:
        return False
    return True


ROWS: dict[str, tuple[int, Callable[[random.Random, int, Path], Counts]]] = {
    "trees made by hand": (10_000, trees),
    "commits, tags and trees with other bytes": (2_000, objects),
}
"""What plain git is tried with, and how often."""
