"""Commits of complete state in captured.git: emergency backups and the snapshots of baselines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pygit2.enums import ObjectType

from stateguard.model.identity import BACKUPS, SNAPSHOTS, ZERO
from stateguard.model.tree import PathMap
from stateguard.state import trees
from stateguard.state.batch import Batch
from stateguard.state.commits import raw_commit
from stateguard.state.repository import RefMove, Repository


def write_snapshot(
    captured: Repository, paths: PathMap, ref: str, message: str, at: float, parents: Sequence[str]
) -> str:
    """Write a commit of these paths and name it, durably; returns its id. An earlier one of that name is replaced.

    Raises:
        StorageError: the disk refused.
    """
    batch = Batch(captured)
    return name_snapshot(captured, batch, trees.build(batch, paths), ref, message, at, parents)


def name_snapshot(
    captured: Repository, batch: Batch, tree: str, ref: str, message: str, at: float, parents: Sequence[str]
) -> str:
    """Write a commit of a tree whose objects are in a batch, with them, and name it, as :func:`write_snapshot` does.

    Raises:
        StorageError: the disk refused.
    """
    commit = batch.write(ObjectType.COMMIT, raw_commit(tree, parents, message, at))
    batch.flush()
    old = captured.ref(ref)
    if old != commit:
        captured.move([RefMove(ref, commit, old or ZERO)])
    return commit


def backup_ref(operation: int) -> str:
    """Return the ref of an operation's emergency backup."""
    return f"{BACKUPS}{operation}"


def baseline_ref(number: int) -> str:
    """Return the ref of a baseline's snapshot."""
    return f"{SNAPSHOTS}baseline/{number}"


def running_ref(number: int) -> str:
    """Return the ref of the snapshots made since a baseline (0: since the beginning), each a child of the one before.

    They hang on nothing else: without the ref they are gone, and every baseline is as it was.
    """
    return f"{SNAPSHOTS}since/{number}"


MARKED = "refs/stateguard/marked"
"""Names the blobs that watermarks refer to, whatever else becomes of the snapshots that they were in."""

_LAST = 10**18
_LINE = re.compile(
    re.escape(SNAPSHOTS) + r"(?:since/(0|[1-9][0-9]{0,17})|earlier/(0|[1-9][0-9]{0,17})/([1-9][0-9]{0,17}))"
)
_BACKUP = re.compile(re.escape(BACKUPS) + r"([1-9][0-9]{0,17})(?:-[a-z]+)?")


def earlier_refs(number: int) -> str:
    """Return the prefix of the refs of the lines of snapshots since a baseline that were closed; each has a number."""
    return f"{SNAPSHOTS}earlier/{number}/"


def line_place(ref: str) -> tuple[int, int] | None:
    """Return where the line of snapshots under a ref stands: since which baseline, and its number among those.

    The one that grows has a number beyond all others. None: it is no such ref.
    """
    found = _LINE.fullmatch(ref)
    if found is None:
        return None
    return (int(found[1]), _LAST) if found[1] else (int(found[2]), int(found[3]))


def backed_up(ref: str) -> int | None:
    """Return the operation to whose emergency backup a ref belongs, None if it is no such ref."""
    found = _BACKUP.fullmatch(ref)
    return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Line:
    """Snapshots of which each is a child of the one before: how many, and when the first and the last were made.

    Times are Unix time in seconds.
    """

    snapshots: int
    began_at: float
    ended_at: float


def line_to(captured: Repository, tip: str, since: str | None) -> Line:
    """Return what is known of the line of snapshots that ends with a commit, begun after the snapshot ``since``.

    Raises:
        StorageError: an object is missing.
    """
    view = captured.commit(tip)
    ended, number = view.committed_at, 1
    while view.parents and view.parents[0] != since:
        view = captured.commit(view.parents[0])
        number += 1
    return Line(number, view.committed_at, ended)


def close_line(captured: Repository, number: int) -> None:
    """Let the next snapshot since a baseline begin a new line, so that this one can be let go as a whole some day.

    Raises:
        StorageError: git refused.
    """
    line, prefix = running_ref(number), earlier_refs(number)
    tip = captured.ref(line)
    if tip is not None:
        last = max((place[1] for ref in captured.refs(prefix) if (place := line_place(ref))), default=0)
        captured.move([RefMove(f"{prefix}{last + 1}", tip, ZERO), RefMove(line, ZERO, tip)])
