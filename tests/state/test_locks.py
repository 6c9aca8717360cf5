"""Locks that a killed git left: removed when they stay as they are, left alone while somebody works."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from stateguard.errors import StorageError
from stateguard.host.clock import boot_seconds
from stateguard.model.identity import APPLIED, ZERO
from stateguard.state.locks import free_locks
from stateguard.state.repository import RefMove, Repository


def test_a_lock_that_nobody_holds_any_more_is_removed(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo.git", served=True)
    names = ["refs/heads/main.lock", "refs/stateguard/audit.lock", "packed-refs.lock", "HEAD.lock"]
    for name in names:
        lock = repository.path / name
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text("")
    assert free_locks(repository.path) == sorted(names)
    assert not list(repository.path.rglob("*.lock"))


def test_a_lock_that_changes_or_goes_by_itself_is_left_alone(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo.git", served=True)
    working, going = repository.path / "packed-refs.lock", repository.path / "HEAD.lock"
    working.write_text("")
    going.write_text("")

    def work() -> None:
        working.write_text("more")
        going.unlink()

    at_work = threading.Timer(0.2, work)
    at_work.start()
    assert free_locks(repository.path) == []
    at_work.join()
    assert working.read_text() == "more"


def test_without_locks_nobody_waits(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo.git", served=False)
    began = boot_seconds()
    assert free_locks(repository.path) == []
    assert boot_seconds() - began < 1


def test_a_ref_moves_although_a_killed_git_left_its_lock(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo.git", served=True)
    blob = repository.write(ObjectType.BLOB, b"one\n")
    lock = repository.path / f"{APPLIED}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    repository.move([RefMove(APPLIED, blob, ZERO)])
    assert repository.ref(APPLIED) == blob
    assert not lock.exists()
    with pytest.raises(StorageError, match="cannot lock ref"):
        repository.move([RefMove(APPLIED, blob, ZERO)])
