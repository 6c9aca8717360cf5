"""Commits of complete state in captured.git: emergency backups and the snapshots of baselines."""

from __future__ import annotations

from collections.abc import Sequence

from pygit2.enums import ObjectType

from stateguard.model.identity import BACKUPS, SNAPSHOTS, ZERO
from stateguard.model.tree import PathMap
from stateguard.state import trees
from stateguard.state.repository import RefMove, Repository, raw_commit


def write_snapshot(
    captured: Repository, paths: PathMap, ref: str, message: str, at: float, parents: Sequence[str]
) -> str:
    """Write a commit of these paths and name it, durably; returns its id. An earlier one of that name is replaced.

    Raises:
        StorageError: the disk refused.
    """
    tree = trees.build(captured, paths)
    commit = captured.write(ObjectType.COMMIT, raw_commit(tree, parents, message, at))
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
