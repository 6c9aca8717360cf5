"""Repositories are made small in the background, and nothing that is held is ever lost by it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import ObjectType

from driving import git
from helpers import eventually
from stateguard.errors import StorageError
from stateguard.host.command import Cancel
from stateguard.model.identity import ZERO
from stateguard.model.tree import Entry
from stateguard.state.repository import RefMove, Repository
from stateguard.state.snapshot import write_snapshot
from stateguard.state.upkeep import (
    Background,
    CalledOffError,
    Extent,
    Release,
    consolidate,
    extent,
    occupied_bytes,
    release,
    sweep,
)  # fmt: skip

DEADLINE_SECONDS = 60.0


@pytest.fixture
def captured(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path / "captured.git", served=False)


def background(cancel: Cancel | None = None) -> Background:
    return Background(cancel or Cancel(), DEADLINE_SECONDS)


def text(number: int) -> bytes:
    return f"line {number}\n".encode() * 40


def snapshot(captured: Repository, number: int, ref: str, parent: str | None = None) -> str:
    """Write a snapshot of two files of its own and one that all share."""
    files = {"a/own": text(number), "own": text(-number), "shared": b"shared\n"}
    paths = {path: Entry(0o100644, captured.write(ObjectType.BLOB, content)) for path, content in files.items()}
    return write_snapshot(captured, paths, ref, f"{number}\n", 1e9 + number, [parent] if parent else [])


def line(captured: Repository, ref: str, numbers: range, parent: str | None = None) -> list[str]:
    made: list[str] = []
    for number in numbers:
        made.append(snapshot(captured, number, ref, made[-1] if made else parent))
    return made


def drop(captured: Repository, ref: str) -> None:
    captured.move([RefMove(ref, ZERO, captured.ref(ref) or ZERO)])


def now(discard: object) -> bool:
    assert callable(discard)
    return bool(discard())


def whole(captured: Repository) -> bool:
    """Say whether stock git finds everything that is held."""
    return "missing" not in git(captured.path, "fsck", "--full", "--connectivity-only", "--no-dangling")


def test_many_pieces_become_few_and_all_is_still_there(captured: Repository) -> None:
    commits = line(captured, "refs/x", range(30))
    unnamed = captured.write(ObjectType.BLOB, b"held by nothing yet")
    assert extent(captured.path).loose > 100
    consolidate(captured, background())
    assert extent(captured.path) == Extent(0, 1)
    assert all(captured.commit(c).committed_at for c in commits)
    assert captured.blob(unnamed) == b"held by nothing yet"
    assert whole(captured)


def test_packs_stay_few_however_many_are_made(captured: Repository) -> None:
    last = None
    for turn in range(12):
        last = line(captured, "refs/x", range(turn * 3, turn * 3 + 3), last)[-1]
        consolidate(captured, background())
        assert extent(captured.path).packs <= 5
    assert git(captured.path, "rev-list", "--count", "refs/x") == "36"
    assert whole(captured)


def test_a_hundred_packs_of_one_snapshot_each_become_few(captured: Repository) -> None:
    for number in range(100):
        batch = pygit2.PackBuilder(captured.handle)
        blob = captured.handle.create_blob(text(number))
        batch.add(blob)
        batch.write(str(captured.path / "objects" / "pack"))
    git(captured.path, "prune-packed", "-q")
    assert extent(captured.path) == Extent(0, 100)
    consolidate(captured, background())
    assert extent(captured.path).packs <= 2
    assert captured.blob(str(blob)) == text(99)
    assert git(captured.path, "count-objects", "-v").splitlines()[2] == "in-pack: 100"


def test_a_handle_opened_before_reads_what_came_after(captured: Repository) -> None:
    first = line(captured, "refs/x", range(3))
    other = Repository(captured.path)
    kept = other.handle
    consolidate(Repository(captured.path), background())
    later = line(captured, "refs/x", range(3, 30), first[-1])
    consolidate(Repository(captured.path), background())
    assert other.handle is kept
    assert [other.commit(c).id for c in (*first, *later)] == [*first, *later]
    assert other.blob(str(kept.revparse_single(f"{later[-1]}:own").id)) == text(-29)


def test_what_no_ref_holds_is_released_and_the_rest_stays(captured: Repository) -> None:
    kept, gone = line(captured, "refs/kept", range(10)), line(captured, "refs/gone", range(100, 140))
    lost = captured.commit(gone[0]).tree
    consolidate(captured, background())
    before = occupied_bytes(captured.path)
    drop(captured, "refs/gone")
    assert release(Release(captured, lambda: captured.moves), background(), now)
    assert not any(captured.has(one) for one in (*gone, lost))
    assert all(captured.commit(c).tree for c in kept)
    assert occupied_bytes(captured.path) < before
    assert extent(captured.path) == Extent(0, 1)
    assert not (captured.path / "discarded").exists()
    assert whole(captured)


def test_what_is_named_anew_meanwhile_is_not_released(captured: Repository) -> None:
    """The dangerous case: content that no ref holds is found there, not written again, and named by a new snapshot."""
    line(captured, "refs/kept", range(5))
    old = snapshot(captured, 77, "refs/gone")
    tree = captured.commit(old).tree
    consolidate(captured, background())
    drop(captured, "refs/gone")
    work = Release(captured, lambda: captured.moves)
    assert work.gather(background())
    commit = captured.write(
        ObjectType.COMMIT, f"tree {tree}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\n".encode()
    )
    captured.move([RefMove("refs/new", commit, ZERO)])
    assert not work.discard()
    assert work.gather(background())
    assert work.discard()
    assert captured.commit(commit).tree == tree
    assert whole(captured)
    assert not captured.has(old)


def test_a_release_interrupted_anywhere_loses_nothing(captured: Repository) -> None:
    kept = line(captured, "refs/kept", range(5))
    line(captured, "refs/gone", range(50, 60))
    consolidate(captured, background())
    drop(captured, "refs/gone")
    work = Release(captured, lambda: captured.moves)
    work.gather(background())
    packs = captured.path / "objects" / "pack"
    (captured.path / "discarded").mkdir()
    old = next(p for p in packs.glob("*.idx") if p.stem in work.old)
    old.rename(captured.path / "discarded" / old.name)  # killed after the first of its moves
    fresh = Repository(captured.path)
    assert all(fresh.commit(c).tree for c in kept)
    assert whole(fresh)
    sweep(captured.path)
    assert release(Release(fresh, lambda: fresh.moves), background(), now)
    assert whole(fresh)


def test_a_pack_that_somebody_marked_is_kept(captured: Repository) -> None:
    line(captured, "refs/gone", range(5))
    consolidate(captured, background())
    (pack,) = (captured.path / "objects" / "pack").glob("*.pack")
    pack.with_suffix(".keep").touch()
    drop(captured, "refs/gone")
    snapshot(captured, 9, "refs/kept")
    assert release(Release(captured, lambda: captured.moves), background(), now)
    assert pack.exists()
    assert whole(captured)


def test_called_off_it_ends_and_nothing_has_changed(captured: Repository) -> None:
    commits = line(captured, "refs/x", range(5))
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(CalledOffError):
        consolidate(captured, background(cancel))
    with pytest.raises(CalledOffError):
        consolidate(captured, Background(Cancel(), 0.0))
    assert all(captured.commit(c).tree for c in commits)


def test_a_damaged_repository_is_an_error_and_keeps_what_it_has(captured: Repository) -> None:
    commits = line(captured, "refs/x", range(3))
    tree = captured.commit(commits[1]).tree
    (captured.path / "objects" / tree[:2] / tree[2:]).unlink()
    left = extent(captured.path).loose
    with pytest.raises(StorageError, match="ended with status"):
        release(Release(captured, lambda: captured.moves), background(), now)
    assert (
        extent(captured.path).loose + len(git(captured.path, "cat-file", "--batch-all-objects", "--batch-check"))
        >= left
    )
    assert captured.commit(commits[2]).tree


_KILLED = """
import sys
from pathlib import Path
from stateguard.host.command import Cancel
from stateguard.state.repository import Repository
from stateguard.state.upkeep import Background, Release, consolidate, release
captured = Repository(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    consolidate(captured, Background(Cancel(), 60))
    release(Release(captured, lambda: captured.moves), Background(Cancel(), 60), lambda discard: discard())
"""


def test_killed_at_any_moment_it_loses_nothing(captured: Repository) -> None:
    kept = line(captured, "refs/kept", range(10))
    for turn in range(6):
        snapshot(captured, 1000 + turn, "refs/gone")
        drop(captured, "refs/gone")
        with subprocess.Popen([sys.executable, "-c", _KILLED, str(captured.path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            threading.Event().wait(0.03 * turn)
            child.send_signal(signal.SIGKILL)
        eventually(lambda: not list(captured.path.rglob("*.lock")), DEADLINE_SECONDS)  # git is ended, and cleans up
        assert all(Repository(captured.path).commit(c).tree for c in kept)
        assert whole(captured)
    consolidate(captured, background())
    assert extent(captured.path).packs <= 3


def test_what_killed_programs_left_is_swept_when_it_is_old(captured: Repository) -> None:
    packs = captured.path / "objects" / "pack"
    old = [packs / "tmp_pack_x", packs / ".tmp-1-pack-x.pack", captured.path / "packed-refs.lock"]
    young = packs / "tmp_pack_y"
    for path in (*old, young):
        path.touch()
    for path in old:
        os.utime(path, (1e9, 1e9))
    sweep(captured.path)
    assert not any(path.exists() for path in old)
    assert young.exists()
