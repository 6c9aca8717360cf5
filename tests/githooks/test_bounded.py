"""A validator that crashes, runs out of memory, or meets what it does not know: it refuses, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Done, Driver, git, sh
from packing import BLOB, OFFSET_DELTA, Part, copy, delta, pack
from tiny import ALPHA, GOOD, write_tiny


@pytest.fixture(scope="module")
def down(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Make a home whose guard does not run."""
    root = tmp_path_factory.mktemp("bounded")
    driver = Driver(root, write_tiny(root / "source"))
    try:
        yield driver.init("--no-baseline")
    finally:
        driver.close()


def offered(down: Driver, limits: str = ":", **extra: str) -> Done:
    """Push a good change by a client, and so hooks, under some limits."""
    down.sync()
    down.edit(ALPHA, f"{GOOD}# never {os.urandom(4).hex()}\n")
    down.commit("Change")
    words = ["git", "-C", str(down.work), "push", "origin", "HEAD:main"]
    return sh("sh", "-c", f'{limits}; exec "$@"', "sh", *words, check=False, **extra)


def refused(down: Driver, done: Done) -> str:
    """Demand that a push was refused and that no ref or file moved; returns what was said."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert down.main == git(down.work, "rev-parse", "HEAD~1")
    assert not git(down.repository, "for-each-ref", "refs/stateguard/candidate")
    assert "never" not in (down.live / ALPHA).read_text()
    assert not list((down.repository / "objects").glob("tmp_objdir*"))
    assert down.ask("audit", "verify")["valid"]
    return done.stderr


def test_out_of_memory(down: Driver) -> None:
    for kibibytes in (40_000, 80_000, 100_000):  # in the interpreter's start, in its imports, in the work
        said = refused(down, offered(down, f"ulimit -v {kibibytes}"))
        assert "stateguard" in said


@pytest.mark.parametrize("answer", [b"{", b'{"result": {}}', b'{"result": []}', b"\xff", b'{"say": 1}' * 9999])
def test_a_guard_that_answers_what_no_guard_does(down: Driver, answer: bytes) -> None:
    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with server.accept()[0] as connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + answer + b"\n")

    address = down.home / "run/control.sock"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        done = offered(down)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    address.unlink()
    assert "the hook failed: " in refused(down, done)


def test_a_crash_before_it_answers(down: Driver) -> None:
    for passage in (1, 3, 5):
        refused(down, offered(down, STATEGUARD_FAULT=f"database.execute:{passage}:kill"))


def test_a_disk_that_fails(down: Driver) -> None:
    refused(down, offered(down, STATEGUARD_FAULT="database.execute:1:eio"))


def test_a_home_of_a_newer_version(down: Driver) -> None:
    with sqlite3.connect(down.home / "guard.db") as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version={version + 1}")
    connection.close()
    done = offered(down)
    with sqlite3.connect(down.home / "guard.db") as connection:
        connection.execute(f"PRAGMA user_version={version}")
    connection.close()
    assert "newer" in refused(down, done)


def test_settings_of_a_newer_version(down: Driver) -> None:
    settings = down.home / "guard.yaml"
    text = settings.read_text()
    settings.write_text(f"{text}\nlater: {{x: 1}}\n")
    done = offered(down)
    settings.write_text(text)
    assert "later" in refused(down, done)


def test_within_the_limits_of_a_forced_command_a_push_comes_in_and_a_bomb_does_not(down: Driver) -> None:
    """The limits are those of ``docs/how-to/let-others-push.md``."""
    limits = "ulimit -v 1048576; ulimit -t 120"
    page = Path(__file__).parents[2] / "docs/how-to/let-others-push.md"
    assert limits in page.read_text()
    before = down.refs()
    first = bytes(1 << 20)
    once = delta(len(first), 256 << 20, *[copy(0, len(first))] * 256)
    twice = delta(256 << 20, 8 << 30, *[copy(0, 1 << 23)] * 1024)
    bomb = pack([Part(BLOB, first), Part(OFFSET_DELTA, once, 0), Part(OFFSET_DELTA, twice, 1)])
    assert len(bomb) < 20_000
    line = f"{'0' * 40} {'1' * 40} refs/heads/bomb\0report-status".encode()
    stream = down.root / "stream"
    stream.write_bytes(b"%04x%b0000" % (len(line) + 4, line) + bomb)
    asked = f'{limits}; exec git receive-pack "$1" < "$2"'
    done = sh("sh", "-c", asked, "sh", down.repository, stream, check=False)
    assert "Out of memory" in done.stderr
    assert down.refs() == before
    done = offered(down, limits)
    assert done.returncode == 0, done.stderr
    assert down.main == down.head
