from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import eventually
from stateguard.host import process


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[str]]:
    """Run a session leader with one child, whose pid it prints."""
    running = subprocess.Popen(
        ["sh", "-c", "sleep 600 & echo $!; wait"],
        env={"STATEGUARD_TEST": "here:1", "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield running
    process.signal_group(running.pid, signal.SIGKILL)
    running.wait()
    if running.stdout:
        running.stdout.close()


def child_of(leader: subprocess.Popen[str]) -> int:
    assert leader.stdout
    return int(leader.stdout.readline())


def test_identity_is_more_than_the_pid(leader: subprocess.Popen[str]) -> None:
    found = process.identify(leader.pid)
    assert found
    assert process.alive(found)
    assert not process.alive(process.ProcessIdentity(found.pid, found.began_ticks + 1))


def test_a_zombie_is_dead(leader: subprocess.Popen[str]) -> None:
    found = process.identify(leader.pid)
    assert found
    pidfd = process.open_pidfd(found)
    assert pidfd is not None
    leader.kill()
    assert select.select([pidfd], [], [], 5)[0]
    os.close(pidfd)
    assert Path(f"/proc/{leader.pid}").exists(), "not reaped yet"
    assert process.identify(leader.pid) is None
    assert process.session_of(leader.pid) is None
    assert process.open_pidfd(found) is None


def test_a_pid_that_nobody_has() -> None:
    nobody = 2**22 + 1
    assert process.identify(nobody) is None
    assert process.open_pidfd(process.ProcessIdentity(nobody, 1)) is None
    assert not process.is_session_leader(nobody)
    assert process.session_of(nobody) is None
    assert process.ancestors(nobody) == ()
    assert process.group_members(nobody) == []


def test_a_reused_pid_is_somebody_else(leader: subprocess.Popen[str]) -> None:
    assert process.open_pidfd(process.ProcessIdentity(leader.pid, 1)) is None


def test_sessions_and_ancestors(leader: subprocess.Popen[str]) -> None:
    child = child_of(leader)
    assert process.is_session_leader(leader.pid)
    assert not process.is_session_leader(child)
    assert process.session_of(child) == leader.pid
    assert process.ancestors(child)[:2] == (leader.pid, os.getpid())


def test_groups_are_listed_and_signalled(leader: subprocess.Popen[str]) -> None:
    child = child_of(leader)
    assert sorted(process.group_members(leader.pid)) == sorted([leader.pid, child])
    assert process.signal_group(leader.pid, signal.SIGKILL)
    leader.wait()
    eventually(lambda: not process.group_members(leader.pid))


def test_a_group_that_is_gone_cannot_be_signalled() -> None:
    gone = subprocess.Popen(["true"], start_new_session=True)
    gone.wait()
    assert not process.signal_group(gone.pid, signal.SIGTERM)


def test_processes_are_found_by_a_variable(leader: subprocess.Popen[str]) -> None:
    child = child_of(leader)
    assert {pid: value for pid, value in process.with_variable("STATEGUARD_TEST") if pid in (leader.pid, child)} == {
        leader.pid: "here:1",
        child: "here:1",
    }
    assert leader.pid not in [pid for pid, _ in process.with_variable("STATEGUARD")]


def test_a_name_with_brackets_does_not_confuse() -> None:
    script = "import ctypes, sys, time; ctypes.CDLL(None).prctl(15, b'a) R 1 (b'); print(1, flush=True); time.sleep(60)"
    odd = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert odd.stdout
        odd.stdout.readline()
        assert process.is_session_leader(odd.pid)
    finally:
        odd.kill()
        odd.wait()
        if odd.stdout:
            odd.stdout.close()
