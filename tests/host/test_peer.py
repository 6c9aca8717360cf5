from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stateguard.host.peer import admits

CALLER = """\
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
sys.stdin.read()
"""


class WithoutDescriptors(socket.socket):
    """A connection on a kernel that names peers by number only."""

    def getsockopt(self, level: int, optname: int, *size: int) -> Any:  # type: ignore[override]  # noqa: ANN401
        if not size:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        return super().getsockopt(level, optname, *size)


@contextlib.contextmanager
def called(path: Path, older: bool) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        caller = subprocess.Popen([sys.executable, "-c", CALLER, str(path)], stdin=subprocess.PIPE)
        try:
            kind = WithoutDescriptors if older else socket.socket
            with kind(fileno=listening.accept()[0].detach()) as connection:
                yield connection, caller
        finally:
            caller.kill()
            caller.communicate()


@pytest.mark.parametrize("older", [False, True])
def test_a_living_peer_is_judged_by_its_process_id(tmp_path: Path, older: bool) -> None:
    asked: list[int] = []

    def refused(pid: int) -> bool:
        asked.append(pid)
        return len(asked) > 1

    with called(tmp_path / "socket", older) as (connection, caller):
        assert admits(connection, refused)
        assert not admits(connection, refused)
        assert asked == [caller.pid] * 2


@pytest.mark.parametrize("older", [False, True])
def test_a_peer_that_ended_is_not_asked_about(tmp_path: Path, older: bool) -> None:
    def refused(pid: int) -> bool:
        raise AssertionError(pid)

    with called(tmp_path / "socket", older) as (connection, caller):
        caller.kill()
        caller.wait()
        assert not admits(connection, refused)


@pytest.mark.parametrize("older", [False, True])
def test_a_peer_that_ends_while_it_is_judged_gains_nothing(tmp_path: Path, older: bool) -> None:
    """What /proc no longer tells of it would otherwise speak for it."""
    with called(tmp_path / "socket", older) as (connection, caller):

        def refused(pid: int) -> bool:
            caller.kill()
            caller.wait()
            return Path(f"/proc/{pid}").exists()

        assert not admits(connection, refused)
