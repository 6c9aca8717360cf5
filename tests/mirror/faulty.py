"""A real git server on loopback whose network misbehaves on demand: git daemon behind a proxy of ours."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_CHUNK = 16384
_TICK_SECONDS = 0.02

_SERVE = """\
{ echo 15 > /proc/self/autogroup; } 2>/dev/null
exec nice -n 15 git daemon --inetd --export-all --enable=receive-pack "$@"
"""
"""Serves one connection at low priority: it stands for another host, which has processors of its own."""


@dataclass(frozen=True)
class Fault:
    """What happens to one connection.

    ``delay_seconds`` before the first byte; ``black_hole``: nothing ever goes through; ``cut_after_bytes`` of the
    client's (``reset``: with a reset, else closed); ``truncate_after_bytes`` of the server's; ``bytes_per_second``.
    """

    delay_seconds: float = 0.0
    black_hole: bool = False
    cut_after_bytes: int | None = None
    reset: bool = False
    truncate_after_bytes: int | None = None
    bytes_per_second: float | None = None


WELL = Fault()


def drawn(chance: random.Random) -> Fault:
    """Return a fault at random; most connections are well."""
    return chance.choices(
        [
            WELL,
            Fault(delay_seconds=chance.uniform(0, 0.5)),
            Fault(black_hole=True),
            Fault(cut_after_bytes=chance.randrange(2000), reset=True),
            Fault(cut_after_bytes=chance.randrange(2000)),
            Fault(truncate_after_bytes=chance.randrange(1500)),
            Fault(bytes_per_second=chance.uniform(20_000, 200_000)),
        ],
        weights=[8, 2, 1, 2, 2, 2, 2],
    )[0]


class FaultyServer:
    """Serves the repositories below a directory at ``git://127.0.0.1:PORT/NAME``; may be pushed to."""

    def __init__(self, root: Path, fault: Callable[[], Fault] = lambda: WELL) -> None:
        """``fault`` is asked once for each connection."""
        self.root, self.fault = root, fault
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listener = threading.Thread(target=self._listen, name="faulty server", daemon=True)
        self._listener.start()

    def url(self, name: str) -> str:
        """Return the address of a repository."""
        return f"git://127.0.0.1:{self._listening.getsockname()[1]}/{name}"

    def __enter__(self) -> Self:
        """Serve."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all connections and threads."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.join(10)
        for thread in self._threads:
            thread.join(10)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            self._threads = [t for t in self._threads if t.is_alive()]
            self._threads.append(threading.Thread(target=self._serve, args=(connection, self.fault()), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket, fault: Fault) -> None:
        try:
            with connection:
                if fault.black_hole:
                    while not self._over.wait(_TICK_SECONDS) and not _left(connection):
                        continue
                    return
                if fault.delay_seconds and self._over.wait(fault.delay_seconds):
                    return
                self._pass(connection, fault)
                if fault.reset:
                    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        finally:
            self._open.discard(connection)

    def _pass(self, connection: socket.socket, fault: Fault) -> None:
        server = subprocess.Popen(
            [
                "git",
                "daemon",
                "--inetd",
                "--export-all",
                "--enable=receive-pack",
                f"--base-path={self.root}",
                self.root,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert server.stdin
        assert server.stdout
        replies = threading.Thread(target=_replies, args=(server.stdout.fileno(), connection, fault), daemon=True)
        replies.start()
        try:
            _requests(connection, server.stdin.fileno(), fault)
            server.stdin.close()
            if fault.cut_after_bytes is None:
                replies.join(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait()
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            replies.join(10)
            with contextlib.suppress(OSError):
                server.stdin.close()
            server.stdout.close()


def _left(connection: socket.socket) -> bool:
    """Say whether the client has gone; what it sends stays unread."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b"" or _hung_up(connection)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _hung_up(connection: socket.socket) -> bool:
    """Say whether the other end is closed although unread bytes are left (state 8 of tcp(7): CLOSE_WAIT)."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 8


def _requests(connection: socket.socket, to: int, fault: Fault) -> None:
    left = fault.cut_after_bytes
    with contextlib.suppress(OSError):
        while left is None or left > 0:
            chunk = connection.recv(_CHUNK if left is None else min(left, _CHUNK))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            _slowly(fault, chunk)
            os.write(to, chunk)


def _replies(source: int, connection: socket.socket, fault: Fault) -> None:
    left = fault.truncate_after_bytes
    with contextlib.suppress(OSError):
        while left is None or left > 0:
            chunk = os.read(source, _CHUNK if left is None else min(left, _CHUNK))
            if not chunk:
                break
            left = None if left is None else left - len(chunk)
            _slowly(fault, chunk)
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_RDWR if left is not None else socket.SHUT_WR)


def _slowly(fault: Fault, chunk: bytes) -> None:
    if fault.bytes_per_second:
        time.sleep(len(chunk) / fault.bytes_per_second)
