from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stateguard.errors import LockHeldError
from stateguard.host.lock import WriterLock

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from stateguard.host.lock import WriterLock
with WriterLock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""

Hold = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "writer.lock"


@pytest.fixture
def hold(path: Path) -> Iterator[Hold]:
    """Hold the lock in another process."""
    made: list[subprocess.Popen[str]] = []

    def start(role: str, seconds: float = 60.0) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", HOLDER, str(path), role, str(seconds)]
        made.append(subprocess.Popen(argv, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True))
        assert made[-1].stdout
        assert made[-1].stdout.readline() == "held\n"
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_a_second_process_is_refused_and_told_who_holds_it(path: Path, hold: Hold) -> None:
    holder = hold("apply")
    with pytest.raises(LockHeldError, match=rf"held by apply \(process {holder.pid}\)") as refused:
        WriterLock(path, "daemon").acquire()
    assert refused.value.exit == 11
    assert refused.value.next_step


def test_it_is_free_after_kill_9(path: Path, hold: Hold) -> None:
    holder = hold("daemon")
    holder.kill()
    holder.wait()
    with WriterLock(path, "apply") as lock:
        assert lock.holder()[0] == "apply"


def test_a_command_is_waited_for(path: Path, hold: Hold) -> None:
    hold("apply", 0.3)
    begun = time.monotonic()
    WriterLock(path, "rollback").acquire(patience_seconds=10).release()
    assert 0.1 <= time.monotonic() - begun <= 5


def test_patience_ends(path: Path, hold: Hold) -> None:
    hold("apply")
    begun = time.monotonic()
    with pytest.raises(LockHeldError):
        WriterLock(path, "rollback").acquire(patience_seconds=0.2)
    assert 0.2 <= time.monotonic() - begun <= 5


def test_a_daemon_is_not_waited_for(path: Path, hold: Hold) -> None:
    hold("daemon")
    begun = time.monotonic()
    with pytest.raises(LockHeldError):
        WriterLock(path, "rollback").acquire(patience_seconds=30)
    assert time.monotonic() - begun < 5


def test_two_locks_of_one_process_exclude_each_other_too(path: Path) -> None:
    with WriterLock(path, "a"), pytest.raises(LockHeldError):
        WriterLock(path, "b").acquire()
    WriterLock(path, "b").acquire().release()


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"pid": "x"}', b"[]"])
def test_a_damaged_note_names_nobody(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert WriterLock(path, "a").holder() == ("another process", 0)


def test_a_child_does_not_inherit_it(path: Path) -> None:
    lock = WriterLock(path, "a").acquire()
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        WriterLock(path, "b").acquire().release()
    finally:
        child.kill()
        child.wait()
