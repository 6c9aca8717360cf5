"""``status --watch`` on a real terminal and in a pipe: it redraws, outlives the guard, and leaves cleanly."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import DEADLINE_SECONDS, Driver, environment
from tiny import write_tiny

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SHOWN_CURSOR, LEFT_SCREEN = "\x1b[?25h", "\x1b[?1049l"


class Terminal:
    """A person's terminal with ``stateguard status --watch`` in it."""

    def __init__(self, driver: Driver, *, columns: int = 120) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *driver.command("status", "--watch")],
            env=environment(TERM="xterm-256color"), stdin=slave, stdout=slave, stderr=slave,
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def read(self, seconds: float) -> str:
        """Return what appears within so many seconds."""
        began, until = len(self.seen), time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                break
            try:
                chunk = os.read(self._master, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            self.seen += chunk.decode(errors="replace")
        return self.seen[began:]

    def until(self, pattern: str) -> None:
        """Read until something new matches, colours aside."""
        began, until = len(self.seen), time.monotonic() + DEADLINE_SECONDS
        while not re.search(pattern, COLOUR.sub("", self.seen[began:])):
            assert time.monotonic() < until, self.seen[-2000:]
            self.read(0.2)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def ended(self) -> int:
        """Return the exit status; whatever was still to come is read."""
        until = time.monotonic() + DEADLINE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < until
            self.read(0.1)
        self.read(0.2)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("watched")
    driver = Driver(root, write_tiny(root / "source"))
    try:
        yield driver.init("--no-baseline").start()
    finally:
        driver.close()


@pytest.fixture
def terminal(guarded: Driver) -> Iterator[Terminal]:
    made = Terminal(guarded)
    try:
        yield made
    finally:
        made.close()


def left_cleanly(terminal: Terminal) -> bool:
    return terminal.ended() == 0 and terminal.seen.rindex(LEFT_SCREEN) > 0 and SHOWN_CURSOR in terminal.seen


def test_it_redraws_in_place_and_outlives_the_guard(guarded: Driver, terminal: Terminal) -> None:
    terminal.until("HEALTHY")
    terminal.until("alpha +RUNNING")
    guarded.kill()
    terminal.until("not running")
    guarded.start()
    terminal.until(f"running, process {guarded.daemon.pid if guarded.daemon else 0}")
    assert terminal.seen.count("\x1b[H") >= 3, "each look begins at the top"
    terminal.type("\x03")
    assert left_cleanly(terminal)
    assert "Traceback" not in terminal.seen


def test_sigterm_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.until("HEALTHY")
    terminal.process.send_signal(signal.SIGTERM)
    assert left_cleanly(terminal)


def test_with_json_each_look_is_a_line_and_a_closed_pipe_ends_it(guarded: Driver) -> None:
    with subprocess.Popen(
        guarded.command("--json", "status", "--watch"),
        env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as watching:  # fmt: skip
        assert watching.stdout
        assert watching.stderr
        looks = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.stdout.close()
        assert watching.wait(DEADLINE_SECONDS) == 1
        assert "Traceback" not in watching.stderr.read()
    assert all(look["health"] == "HEALTHY" for look in looks)
    assert looks[0]["at"] < looks[1]["at"] < looks[2]["at"]


def test_in_a_pipe_looks_follow_one_another(guarded: Driver) -> None:
    with subprocess.Popen(
        guarded.command("status", "--watch"),
        env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as watching:  # fmt: skip
        assert watching.stdout
        lines: list[str] = []
        while sum(line.startswith("health") for line in lines) < 2:
            lines.append(watching.stdout.readline())
            assert lines[-1], lines
        watching.send_signal(signal.SIGINT)
        assert watching.wait(DEADLINE_SECONDS) == 0
    assert not any("\x1b" in line for line in lines)


def test_without_a_home_it_ends_at_once(tmp_path: Path) -> None:
    assert Driver(tmp_path).run("status", "--watch").returncode == 15
