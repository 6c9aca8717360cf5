"""Two real repositories with a history, a database, and mirrors of them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from pygit2.enums import ObjectType

from driving import git, sh
from stateguard.host.database import Database
from stateguard.mirror.store import MirrorStore, Standing
from stateguard.mirror.sync import Sources, Syncing
from stateguard.mirror.witness import Witness
from stateguard.model.identity import APPLIED, AUDIT, MAIN, ZERO
from stateguard.model.mirror import MirrorSpec
from stateguard.state.commits import raw_commit
from stateguard.state.repository import RefMove, Repository
from stateguard.trust.ssh import SigningKey

KEY = SigningKey.generate()
"""The guard's key; nothing that it signed is here unless a test says so."""


NO_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
BRANCH, TAG = "refs/heads/topic", "refs/tags/v1"
BACKUP = "refs/stateguard/backups/1"


_NOTES = """#!/bin/sh
echo "$1 $2 $3" >> moves
"""


def bare(path: Path) -> Path:
    """Make an empty bare repository that notes each move of its refs."""
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", str(path)], check=True)
    hook = path / "hooks" / "update"
    hook.write_text(_NOTES, encoding="utf-8")
    hook.chmod(0o755)
    return path


def forced(path: Path) -> list[str]:
    """Return the moves of main, the audit chain and tags in a repository made by ``bare`` that lost something."""
    notes = path / "moves"
    found = []
    for row in notes.read_text(encoding="utf-8").splitlines() if notes.exists() else ():
        ref, old, new = row.split(" ")
        if old == ZERO or not ref.startswith((MAIN, AUDIT, "refs/tags/")):
            continue
        goes_on = new != ZERO and sh("git", "-C", path, "merge-base", "--is-ancestor", old, new, check=False)
        if not goes_on or goes_on.returncode:
            found.append(row)
    return found


def refs(path: Path) -> dict[str, str]:
    """Return every ref of a repository."""
    rows = git(path, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(row.split(" ", 1) for row in rows)


class Setting:
    """What is mirrored, and what is known of the mirrors."""

    def __init__(self, root: Path) -> None:
        """Everything lies below ``root``; main has one commit."""
        self.root = root
        self.served = Repository.create(root / "repo.git", served=True)
        self.captured = Repository.create(root / "captured.git", served=False)
        self.database = Database(root / "guard.db")
        self.count = 0
        self.syncing = self.anew()
        self.grow()

    def anew(self) -> Syncing:
        """Return what a guard that starts again works with."""
        witness = Witness(self.served, KEY.public)
        self.syncing = Syncing(Sources(self.served, self.captured), MirrorStore(self.database), witness, self.root)
        return self.syncing

    def spec(self, name: str, url: str | Path, **fields: object) -> MirrorSpec:
        """Return a mirror that is given up on quickly."""
        given: dict[str, object] = {"deadline_seconds": 10.0, **fields}
        return replace(MirrorSpec(name, str(url)), **given)

    def commit(self, repository: Repository | None = None, parent: str | None = None) -> str:
        """Write a commit that no other equals."""
        self.count += 1
        where = repository or self.served
        where.write(ObjectType.TREE, b"")
        content = raw_commit(NO_TREE, [parent] if parent else [], f"change {self.count}\n", 1_700_000_000 + self.count)
        return where.write(ObjectType.COMMIT, content)

    def put(self, ref: str, new: str, repository: Repository | None = None) -> str:
        """Make a ref name an object; 40 zeros: nothing."""
        where = repository or self.served
        where.move([RefMove(ref, new, where.ref(ref) or ZERO)])
        return new

    def grow(self) -> str:
        """Accept a change: main, what is live and the audit chain move."""
        self.put(AUDIT, self.commit(parent=self.served.ref(AUDIT)))
        head = self.put(MAIN, self.commit(parent=self.served.ref(MAIN)))
        return self.put(APPLIED, head)

    def sync(self, spec: MirrorSpec) -> Standing:
        """Bring one mirror up to date, which nobody else works on."""
        after = self.syncing.sync(spec)
        assert after
        return after

    def state(self, spec: MirrorSpec) -> str:
        """Return the state of a mirror."""
        return str(self.syncing.store.standing(spec).state(self.syncing.missing(spec)))
