"""A rollback waits for no mirror: neither for one that refuses nor for one that takes the call and says nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver
from stateguard.guard.client import ask

QUICK_SECONDS = 10.0
"""Far less than the 30 s and more that a mirror is given."""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Listen, and answer nobody."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(30)
    yield listening
    listening.close()


def test_a_rollback_waits_for_no_mirror(tmp_path: Path, silent: socket.socket) -> None:
    source = tmp_path / "source"
    (source / "config").mkdir(parents=True)
    (source / "config" / "plain.conf").write_text("n = 0\n", encoding="utf-8")
    hanging = f"git://127.0.0.1:{silent.getsockname()[1]}/hanging.git"
    driver = Driver(tmp_path, source)
    try:
        driver.init("--remote", f"hanging={hanging}", "--remote", "refusing=git://127.0.0.1:1/refusing.git").start()
        held, _ = silent.accept()
        assert driver.offer("config/plain.conf", "n = 1\n").returncode == 0
        began = time.monotonic()
        assert driver.ask("rollback", "baseline/1", "--yes")["outcome"] == "succeeded"
        assert time.monotonic() - began < QUICK_SECONDS
        assert (driver.live / "config" / "plain.conf").read_text() == "n = 0\n"
        mirrors = ask(driver.home / "run" / "control.sock", "mirror-status", {})["mirrors"]
        assert [(m["name"], m["last_success"]) for m in mirrors] == [("hanging", None), ("refusing", None)]
        held.close()
    finally:
        driver.close()
