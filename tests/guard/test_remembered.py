"""A guard goes on with what the one before it knew of the live directory, as far as nothing says otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from driving import Driver
from helpers import eventually
from stateguard.guard.compose import Guard, compose
from stateguard.guard.remembered import Remembered
from stateguard.guard.view import drift_now
from stateguard.host.clock import wall_seconds
from stateguard.host.home import Home
from stateguard.state import fingerprint

TALK = "conversations/talk.jsonl"
REF = "refs/stateguard/snapshots/test"


class Kept(Driver):
    """A home of plain files and one conversation; guards come and go in this process."""

    def guard(self) -> Guard:
        return compose(Home(self.home), lambda *_: None)

    @property
    def file(self) -> Path:
        return Home(self.home).known

    def remember(self) -> bytes:
        """Let a guard look at everything, once nothing is too new to be trusted, and end; returns what it left."""
        newest = max(path.lstat().st_ctime for path in self.live.rglob("*"))
        eventually(lambda: wall_seconds() > newest + 0.1, 5.0)
        guard = self.guard()
        assert drift_now(guard) == ()
        guard.archive.force(guard.applied)
        guard.archive.write(guard.archive.all(guard.applied, guard.applied), REF, "kept\n", [])
        Remembered(guard.home, self.live, many=1).keep(guard.scanner(), guard.books.digests, guard.archive)
        guard.close()
        return self.file.read_bytes()

    def reads(self, work: Callable[[Guard], None] = lambda _: None) -> tuple[int, int]:
        """Let a new guard do some work after a look at everything; returns the files read and the digests computed."""
        guard = self.guard()
        try:
            drift_now(guard)
            work(guard)
            return guard.scanner().read, guard.books.digests.computed
        finally:
            guard.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    root = tmp_path_factory.mktemp("kept")
    (root / "source" / "conversations").mkdir(parents=True)
    for number in range(5):
        (root / "source" / f"plain-{number}.conf").write_text(f"n = {number}\n")
    (root / "source" / TALK).write_text('{"content": "hello"}\n')
    driver = Kept(root, root / "source")
    driver.init("--no-baseline")
    yield driver
    driver.close()


def print_and_keep(guard: Guard) -> None:
    """Do what a rollback begins with."""
    guard.archive.force(guard.applied)
    guard.archive.write(guard.archive.all(guard.applied, guard.applied), REF, "kept again\n", [])


def test_nothing_is_read_again_but_what_agents_own(kept: Kept) -> None:
    kept.remember()
    assert kept.reads() == (0, 0)
    assert kept.reads(print_and_keep) == (1, 0), "the conversation"


def test_without_it_everything_is(kept: Kept) -> None:
    kept.remember()
    kept.file.unlink()
    read, computed = kept.reads(print_and_keep)
    assert read >= 5
    assert computed >= 5


def test_what_changed_meanwhile_is_seen(kept: Kept) -> None:
    kept.remember()
    path = kept.live / "plain-1.conf"
    path.write_text("n = 9\n")
    guard = kept.guard()
    try:
        assert [one.path for one in drift_now(guard)] == ["plain-1.conf"]
        assert guard.scanner().read == 1
        snapshot = guard.archive.write(guard.archive.all(guard.applied, guard.applied), REF, "changed\n", [])
        kept_now = guard.archive.kept_in(snapshot)
        assert guard.captured.blob(kept_now["plain-1.conf"].id) == b"n = 9\n"
        assert len(kept_now) == 6
        assert fingerprint.full(guard.captured.path, guard.captured.commit(snapshot).tree)
    finally:
        guard.close()
        path.write_text("n = 1\n")


def test_a_snapshot_that_lost_its_name_is_not_gone_on_from(kept: Kept) -> None:
    kept.remember()
    guard = kept.guard()
    assert guard.archive.packed()
    guard.archive.write(guard.archive.all(guard.applied, guard.applied), REF, "another\n", [])
    guard.close()
    guard = kept.guard()
    assert guard.archive.packed() == b"", "no object of it may be taken to be there"
    guard.close()


def resealed(content: bytes, **changes: object) -> bytes:
    """Return what a guard left with something else in its head."""
    head, _, body = content.partition(b"\n")[2].partition(b"\n")
    content = json.dumps(json.loads(head) | changes).encode() + b"\n" + body
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def test_stats_of_another_boot_are_not_believed_but_digests_are(kept: Kept) -> None:
    kept.file.write_bytes(resealed(kept.remember(), boot="another"))
    read, computed = kept.reads(print_and_keep)
    assert read >= 5
    assert computed == 0


@pytest.mark.parametrize("changes", [{"format": 0}, {"version": "0.0.1"}, {"live": ["/elsewhere", 1, 2]}])
def test_nothing_is_believed_of_another_place_or_version(kept: Kept, changes: dict[str, object]) -> None:
    kept.file.write_bytes(resealed(kept.remember(), **changes))
    assert min(kept.reads(print_and_keep)) >= 5


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_noticed_wherever_it_is(kept: Kept, data: st.DataObject) -> None:
    content = bytearray(kept.file.read_bytes() if kept.file.exists() else kept.remember())
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = data.draw(st.sampled_from((content[:place], content[:place] + b"~" + content[place + 1 :])))
    if damaged == content:
        return
    kept.file.write_bytes(damaged)
    try:
        left = Remembered(Home(kept.home), kept.live)
        assert left.seen() == (b"", b"")
        assert left.digests().packed() == b""
    finally:
        kept.file.write_bytes(bytes(content))


def test_little_is_not_kept(kept: Kept) -> None:
    kept.file.unlink(missing_ok=True)
    kept.guard().close()
    kept.reads(print_and_keep)
    assert not kept.file.exists()


def test_a_disk_that_refuses_fails_nothing(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.file.unlink(missing_ok=True)
    kept.file.mkdir()
    try:
        guard = kept.guard()
        drift_now(guard)
        Remembered(guard.home, kept.live, many=1).keep(guard.scanner(), guard.books.digests, guard.archive)
        guard.close()
    finally:
        kept.file.rmdir()
    assert "next start takes longer" in caplog.text


def test_a_repository_that_was_put_back_keeps_no_guard_down(kept: Kept) -> None:
    content = kept.remember()
    head, _, body = content.partition(b"\n")[2].partition(b"\n")
    lengths = json.loads(head)["lengths"]
    last = json.loads(body[sum(lengths[:3]) :])
    unknown = json.dumps([*last[:2], "f" * 40, last[3]]).encode()
    body = body[: sum(lengths[:3])] + unknown
    kept.file.write_bytes(resealed(b"\n" + head + b"\n" + body, lengths=[*lengths[:3], len(unknown)]))
    guard = kept.guard()
    assert guard.archive.packed() == b""
    assert drift_now(guard) == ()
    guard.close()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_there_is_not_waited_for(kept: Kept, make: Callable[[Path], None]) -> None:
    kept.file.unlink(missing_ok=True)
    make(kept.file)
    try:
        assert kept.reads()[0] >= 5
    finally:
        shutil.rmtree(kept.file) if kept.file.is_dir() else kept.file.unlink()
