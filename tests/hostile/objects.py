"""Commits, tags and trees with other bytes: what is still taken must say the same to pygit2 and dulwich."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from dulwich import objects as dulwich
from pygit2.enums import ObjectType

from admission.objects import COMMIT, PGP, SSH, TAG, TREE, dulwichs, libgit2s, ours
from hostile.kinds import Attempt, Kind
from hostile.mutation import mutated
from stateguard.admission.objects import MalformedError, commit_of, rows_of, tag_of
from stateguard.state.repository import Repository

_WHO = "Ada É <ada@example.org> 1782900000 +0130".encode()
_ID = b"%040x" % 7
_TAG = b"object %b\ntype commit\ntag v1\ntagger %b\n\nA tag\n" % (_ID, _WHO)
_HEAD = b"tree %b\nparent %b\nparent %b\nauthor %b\ncommitter %b\n" % (_ID, _ID, b"%040x" % 8, _WHO, _WHO)


def _folded(armored: bytes) -> bytes:
    return armored.strip().replace(b"\n", b"\n ")


SEEDS = (
    (COMMIT, _HEAD + b"\nA merge\n"),
    (COMMIT, _HEAD + b"encoding ISO-8859-1\ngpgsig " + _folded(SSH) + b"\n\nSigned\n"),
    (COMMIT, _HEAD + b"mergetag " + _folded(_TAG) + b"\nchange-id kzyx\ngpgsig " + _folded(PGP) + b"\n\n"),
    (TAG, _TAG),
    (TAG, _TAG + SSH),
    (TAG, _TAG + PGP),
    (TREE, b"".join(b"%b %b\0%b" % (mode, name, bytes(20)) for mode, name in (
        (b"100644", b"a"), (b"40000", b"a-b"), (b"100755", b"a.b"), (b"120000", b"b"), (b"160000", "é".encode()),
    ))),
)  # fmt: skip


def _attempts(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    repository = Repository.create(place / "repo.git", served=False)
    for _ in range(trials):
        kind, content = chance.choice(SEEDS)
        content = mutated(chance, content)
        yield f"{kind} {content!r}", lambda kind=kind, content=content: _agreed(repository, kind, content)  # type: ignore[misc]


def _agreed(repository: Repository, kind: int, content: bytes) -> bool:
    try:
        if kind == TREE:
            rows = [(name, int(mode, 8), child.hex().encode()) for mode, name, child in rows_of(content)]
            return rows == [(e.path, e.mode, e.sha) for e in dulwich.Tree.from_string(content).items()] and (
                [(n, m) for n, m, _ in rows] == _libgit2s_rows(repository, content)
            )
        read: Callable[[bytes], object] = commit_of if kind == COMMIT else tag_of
        found = read(content)
    except MalformedError as error:
        return str(error).isprintable()
    told = ours(found)  # type: ignore[arg-type]
    return libgit2s(repository.handle, kind, content) == told == dulwichs(kind, content)


def _libgit2s_rows(repository: Repository, content: bytes) -> list[tuple[bytes, int]]:
    tree = repository.handle[repository.write(ObjectType.TREE, content)]
    return [(entry.raw_name, int(entry.filemode)) for entry in tree]  # type: ignore[attr-defined]


KINDS = (Kind("objects", "refused, or read alike by pygit2 and dulwich", 30_000, 300, _attempts),)
