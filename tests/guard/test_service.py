"""Under a service manager: what it is told, when it is no longer told, and the unit it is given."""

from __future__ import annotations

import configparser
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver, process_state, sh
from helpers import eventually
from keeping import kept_home
from stateguard.errors import UsageProblemError
from stateguard.guard.service import command, quoted, systemd_unit
from stateguard.guard.watchdog import Watchdog, notify
from stateguard.host.home import Home


class Manager:
    """A service manager's end of the socket."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self.heard: list[str] = []

    def listen(self, seconds: float) -> list[str]:
        """Hear for so many seconds; returns what was said meanwhile."""
        began, until = len(self.heard), time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except TimeoutError:
                break
        return self.heard[began:]

    def until(self, message: str, seconds: float = 30.0) -> None:
        eventually(lambda: message in self.listen(0.05), seconds)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def kept(tmp_path: Path) -> Driver:
    return kept_home(tmp_path)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


def test_a_manager_hears_of_it_and_logs_are_set_aside_meanwhile(kept: Driver, manager: Manager) -> None:
    settings, log = kept.home / "guard.yaml", kept.home / "logs/agents/alpha.log"
    settings.write_text(settings.read_text().replace("{max_size: 10MiB, keep: 3}", "{max_size: 100KiB, keep: 1}"))
    log.write_bytes(b"x" * 200_000)
    kept.start(NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="300000")
    try:
        manager.until("READY=1")
        assert manager.listen(1.0).count("WATCHDOG=1") >= 2
        pid = kept.agents()["alpha"]["pid"]
        eventually(lambda: log.stat().st_size < 100_000, 30)
        assert log.with_name("alpha.log.1").stat().st_size >= 200_000
        kept.stop()
        manager.until("STOPPING=1")
        assert manager.listen(0.5) == [], "the end is the last word"
        assert process_state(pid) not in ("", "Z")
    finally:
        kept.close()


def test_a_manager_that_is_gone_is_no_reason_not_to_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")


def test_silence_follows_a_broken_promise_and_ends_with_the_next_beat(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    watchdog = Watchdog(0.15)
    watchdog.start()
    try:
        watchdog.beat(60)
        assert len(manager.listen(0.4)) >= 3
        watchdog.beat(0)
        manager.listen(0.1)
        assert manager.listen(0.4) == []
        watchdog.beat(60)
        assert manager.listen(0.4)
    finally:
        watchdog.stop()
    manager.listen(0.1)
    assert manager.listen(0.3) == []


@pytest.mark.parametrize(
    ("usec", "pid", "speaks"),
    [("100000", "", True), ("100000", str(os.getpid()), True), ("100000", "1", False), ("", "", False),
     ("x", "", False)],
    ids=["anybody", "this process", "another process", "nothing", "no number"],
)  # fmt: skip
def test_only_who_is_watched_speaks(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, speaks: bool
) -> None:
    for name, value in (("NOTIFY_SOCKET", str(manager.path)), ("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.setenv(name, value)
    watchdog = Watchdog()
    watchdog.start()
    try:
        watchdog.beat(60)
        assert bool(manager.listen(0.3)) is speaks
    finally:
        watchdog.stop()


# the unit


def parsed(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(strict=True, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


@pytest.mark.parametrize("words", [(), ("--user", "--name", "kitchen")])
def test_the_unit_is_one(kept: Driver, tmp_path: Path, words: tuple[str, ...]) -> None:
    document = kept.ask("service", "systemd", *words)
    unit = parsed(document["unit"])
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "process"
    assert service["OOMPolicy"] == "continue"
    assert int(service["WatchdogSec"]) >= 30
    assert service["ExecStart"].startswith('"/')
    assert service["Environment"] == f'"STATEGUARD_HOME={kept.home}"'
    assert ("User" in service) == (not words)
    assert unit["Install"]["WantedBy"] == ("default.target" if words else "multi-user.target")
    assert f"enable --now {words[2] if words else 'stateguard'}" in " ".join(document["install"])
    if shutil.which("systemd-analyze"):
        path = tmp_path / document["name"]
        path.write_text(document["unit"])
        manager = ["--user"] if words else []
        checked = sh("systemd-analyze", *manager, "verify", path, check=False, XDG_RUNTIME_DIR=str(tmp_path))
        assert checked.returncode == 0, checked.stderr
        assert document["name"] not in checked.stderr


@pytest.mark.parametrize("name", ["a b", "../x", "x.service", "", "-x", "a\nb"])
def test_what_is_no_name_for_a_unit_is_refused(kept: Driver, name: str) -> None:
    with pytest.raises(UsageProblemError, match="is no name for a unit"):
        systemd_unit(Home(kept.home), name, user_unit=False, invoked="stateguard")


def test_the_command_prints_it_alone_on_standard_output(kept: Driver) -> None:
    done = kept.run("service", "systemd")
    assert done.returncode == 0
    assert done.stdout.startswith("# Guards ")
    assert done.stdout.endswith("WantedBy=multi-user.target\n")
    assert "systemctl daemon-reload" in done.stderr
    kept.refused("service", "systemd", "--name=a b", status=2)
    Driver(kept.root / "none").refused("service", "systemd", status=15)


def test_words_are_read_back_by_systemd() -> None:
    assert quoted('/a b/%h"\\') == '"/a b/%%h\\"\\\\"'
    assert command("/a$b") == '"/a$$b"'
