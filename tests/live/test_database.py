from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from helpers import eventually
from stateguard.live import database
from stateguard.live.write import make_equal
from stateguard.model.tree import REGULAR, Entry, blob_id

WRITER = Path(__file__).with_name("writing.py")
NAME = "memory # 1?.db"
CAPTURED = bool  # every path that has a name
MODES = ["delete", "truncate", "persist", "wal"]


@contextlib.contextmanager
def writing(root: Path, mode: str, *how: str) -> Iterator[subprocess.Popen[str]]:
    """Run an agent that writes; at the end it closes its database, unless it was killed."""
    command = [sys.executable, str(WRITER), str(root / NAME), mode, *how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "writing\n"
        try:
            yield writer
        finally:
            assert writer.stdin
            writer.stdin.close()
            writer.wait(30)
    assert writer.returncode in (0, -9), "the writer met an error"


def image(root: Path, patience_seconds: float = 10.0) -> bytes:
    directory = os.open(root, os.O_RDONLY)
    try:
        return database.image(directory, NAME, patience_seconds)
    finally:
        os.close(directory)


def last(content: bytes, scratch: Path) -> int:
    """Return the number of the last transaction of a copy, all of it sound and that one whole."""
    copy = scratch / "read-back"
    copy.write_bytes(content)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (number,) = connection.execute("SELECT n FROM a").fetchone()
        assert connection.execute("SELECT sum(n) FROM b").fetchone() == (4 * number,), "half a transaction"
    copy.unlink()
    return int(number)


def listing(root: Path) -> dict[str, tuple[int, ...]]:
    """Return everything in a directory with all that its stat says, access times apart."""
    return {
        entry.name: (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode)
        for entry in os.scandir(root)
        for found in [entry.stat(follow_symlinks=False)]
    } | {".": (root.stat().st_mtime_ns,)}


@pytest.mark.parametrize(
    ("mode", "how"), [*((mode, ()) for mode in MODES), ("delete", ("reopen",)), ("wal", ("reopen",))]
)
def test_twenty_copies_beside_a_writer(root: Path, tmp_path: Path, mode: str, how: tuple[str, ...]) -> None:
    with writing(root, mode, *how) as writer:
        seen = [last(image(root), tmp_path) for _ in range(20)]
        assert writer.poll() is None
    assert seen == sorted(seen)
    assert seen[-1] > seen[0], "it was written meanwhile"
    left = {NAME, f"{NAME}-journal"} if mode in ("truncate", "persist") else {NAME}
    assert {entry.name for entry in root.iterdir()} == left, "the writer could tidy up"
    assert last(image(root), tmp_path) >= seen[-1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("state", ["open", "held", "closed", "killed"])
def test_nothing_in_the_directory_changes(root: Path, tmp_path: Path, mode: str, state: str) -> None:
    with writing(root, mode, "hold" if state == "held" else "idle") as writer:
        if state == "killed":
            writer.kill()
            writer.wait()
        if state in ("open", "held", "killed"):
            before = listing(root)
            assert last(image(root), tmp_path) == 1
            assert listing(root) == before
    if state == "closed":
        before = listing(root)
        assert last(image(root), tmp_path) == 1
        assert listing(root) == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("killed", [False, True])
def test_half_a_transaction_is_left_out(root: Path, tmp_path: Path, mode: str, killed: bool) -> None:
    with writing(root, mode, "spill") as writer:
        if killed:
            writer.kill()
            writer.wait()
        before, began = listing(root), time.monotonic()
        assert last(image(root), tmp_path) == 1
        assert time.monotonic() - began < 5, "it did not wait for the writer"
        assert listing(root) == before


@pytest.mark.parametrize("mode", MODES)
def test_a_long_transaction_is_not_waited_for(root: Path, tmp_path: Path, mode: str) -> None:
    with writing(root, mode, "long") as writer:
        assert [last(image(root, 5), tmp_path) for _ in range(3)] == [1, 1, 1]
        assert writer.poll() is None


@pytest.mark.parametrize("mode", MODES)
def test_the_same_content_has_the_same_bytes(root: Path, mode: str) -> None:
    with writing(root, mode, "idle"):
        beside = image(root)
        assert image(root) == beside
    assert image(root) == beside, "closing it tidied up, and changed nothing"


def test_one_that_never_rests_is_an_error_in_the_end(root: Path) -> None:
    with writing(root, "off", "hold"), (root / NAME).open("r+b") as stream:
        touch = [sys.executable, "-c", "import os, sys\nwhile True: os.utime(sys.argv[1])", str(root / NAME)]
        with subprocess.Popen(touch) as touching:
            try:
                changed = os.fstat(stream.fileno()).st_ctime_ns
                eventually(lambda: os.fstat(stream.fileno()).st_ctime_ns > changed)
                with pytest.raises(OSError, match="written all the time"):
                    image(root, 0.1)
            finally:
                touching.kill()


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_log_that_is_none_is_passed_over(root: Path, tmp_path: Path, suffix: str) -> None:
    with writing(root, "wal" if suffix == "-wal" else "delete", "idle"):
        pass
    sound = image(root)
    (root / f"{NAME}{suffix}").write_bytes(b"no log" * 100)
    assert last(image(root), tmp_path) == 1
    assert image(root) == sound


def test_one_that_is_gone(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        image(root)


def test_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    with writing(tmp_path, "delete", "idle"):
        pass
    (root / NAME).symlink_to(tmp_path / NAME)
    with pytest.raises(OSError, match="symbolic links"):
        image(root)


@pytest.mark.parametrize("tail", [b"", b"x", b"x" * 5000])
@pytest.mark.parametrize("log", ["-wal", "-journal"])
def test_a_damaged_one_is_taken_as_it_is(root: Path, tail: bytes, log: str) -> None:
    content = b"SQLite format 3\0" + tail
    (root / NAME).write_bytes(content)
    (root / f"{NAME}{log}").write_bytes(bytes.fromhex("d9d505f920a163d7") + b"\1" * 5000)
    assert image(root) == content


class TestReplacing:
    """A log that its writer left behind is about other bytes than those that are put in their place."""

    @pytest.fixture
    def older(self, root: Path) -> Entry:
        with writing(root, "wal", "idle"):
            content = image(root)
        (root / NAME).unlink()
        self.blobs = {blob_id(content): content}
        return Entry(REGULAR, blob_id(content))

    def killed(self, root: Path) -> None:
        """Leave a database behind whose newest transactions stand in its log alone."""
        with writing(root, "wal") as writer:
            eventually(lambda: last(image(root), root.parent) > 3)
            writer.kill()
            writer.wait()
        assert (root / f"{NAME}-wal").exists()

    def test_the_log_of_a_killed_writer_goes(self, root: Path, tmp_path: Path, older: Entry) -> None:
        self.killed(root)
        assert make_equal(root, [(NAME, older)], self.blobs.__getitem__, CAPTURED) == 1
        assert [entry.name for entry in root.iterdir()] == [NAME]
        assert last((root / NAME).read_bytes(), tmp_path) == 1
        assert make_equal(root, [(NAME, older)], self.blobs.__getitem__, CAPTURED) == 0

    def test_also_if_the_database_itself_is_as_wanted(self, root: Path, older: Entry) -> None:
        make_equal(root, [(NAME, older)], self.blobs.__getitem__, CAPTURED)
        (root / f"{NAME}-wal").write_bytes(b"newer")
        assert make_equal(root, [(NAME, older)], self.blobs.__getitem__, CAPTURED) == 1
        assert [entry.name for entry in root.iterdir()] == [NAME]

    def test_a_removed_one_leaves_nothing_behind(self, root: Path) -> None:
        self.killed(root)
        assert make_equal(root, [(NAME, None)], self.blobs_of_none, CAPTURED) == 1
        assert list(root.iterdir()) == []

    def test_what_is_no_database_keeps_its_neighbours(self, root: Path) -> None:
        for name in ("a", "a-wal", "a-journal"):
            (root / name).write_bytes(b"mine")
        content = b"theirs"
        make_equal(root, [("a", Entry(REGULAR, blob_id(content)))], lambda _id: content, CAPTURED)
        make_equal(root, [("a", None)], self.blobs_of_none, CAPTURED)
        assert sorted(entry.name for entry in root.iterdir()) == ["a-journal", "a-wal"]

    @staticmethod
    def blobs_of_none(object_id: str) -> bytes:
        raise AssertionError(object_id)
