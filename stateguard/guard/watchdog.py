"""systemd's watchdog: kept quiet for as long as the guard's own thread keeps its promises."""

from __future__ import annotations

import os
import socket
import threading

from stateguard.host import threads
from stateguard.host.clock import boot_seconds
from stateguard.host.logs import log, warn

_SHARE = 3
"""So many messages in the time that systemd grants."""


class Watchdog:
    """Says ``WATCHDOG=1`` to systemd from a thread of its own until a promise of the guard's thread is overdue.

    One job may take minutes (a confirm window, agents that end slowly), so a beat of the guard's thread comes with the
    time within which the next one is due. A guard that hangs promises nothing more: then this falls silent, and
    systemd starts the guard anew. Without systemd nothing is said.
    """

    def __init__(self, granted_seconds: float | None = None) -> None:
        """``granted_seconds`` is what systemd grants between two messages; read from its variables if not given."""
        granted = _granted_seconds() if granted_seconds is None else granted_seconds
        self._every = granted / _SHARE
        self._due_at = boot_seconds() + granted
        self._overdue = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin, if systemd watches."""
        if self._every > 0:
            threads.begin(self._thread)

    def stop(self) -> None:
        """Fall silent for good."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def beat(self, promise_seconds: float) -> None:
        """Say from the guard's thread that it gets on, and that it will again within so many seconds."""
        self._due_at = boot_seconds() + promise_seconds

    def _run(self) -> None:
        while not self._over.wait(self._every):
            overdue = boot_seconds() > self._due_at
            if overdue and not self._overdue:
                warn("the guard's thread is overdue; systemd is no longer told that it gets on")
            self._overdue = overdue
            if not overdue:
                notify("WATCHDOG=1")


def notify(state: str) -> None:
    """Tell systemd, if it listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            log("systemd does not listen", error=str(error))


def _granted_seconds() -> float:
    """Return the seconds that systemd grants this process; 0 if it does not watch it."""
    granted, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not granted.isdigit() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(granted) / 1_000_000
