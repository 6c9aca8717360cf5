"""Forked processes in which a trial happens: what they answer, how they end, what they leave behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_SUBREAPER = 36
_NAP_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Told:
    """What a forked process said and how it ended.

    ``value`` is what its work returned; ``noted`` what it said while it was at work, in order; ``problem`` the
    traceback of what it raised; ``signal`` what killed it; ``late`` that it did not end in time.
    """

    value: Any
    noted: tuple[Any, ...]
    problem: str
    signal: int
    late: bool


Note = Callable[[Any], None]
"""Says something that is to be remembered even if the process is killed right after."""


def watch_over_orphans() -> None:
    """Become the parent of every descendant that loses its own, so that none is left as a zombie."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def reap() -> None:
    """Collect every descendant that has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def forked(work: Callable[[Note], Any], seconds: float, beside: Callable[[int], None] = lambda _: None) -> Told:
    """Do some work in a forked process; ``beside`` is called with its number once it runs.

    The process and its group are killed if it takes longer than so many seconds.
    """
    # Not a pipe: what is said is sent, so that a fault at the system call of writing never strikes the harness itself.
    hearing, speaking = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        hearing.close()
        _inside(work, speaking)
    speaking.close()
    reading = hearing.fileno()
    said: list[tuple[str, Any]] = []
    late = False
    try:
        beside(pid)
        late = not _listen(reading, time.monotonic() + seconds, said)
    finally:
        hearing.close()
        if late:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    told = dict(said)
    noted = tuple(value for what, value in said if what == "note")
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return Told(told.get("value"), noted, told.get("problem", ""), killed, late)


def _inside(work: Callable[[Note], Any], speaking: socket.socket) -> None:
    def say(what: str, value: object) -> None:
        content = pickle.dumps((what, value))
        speaking.sendall(len(content).to_bytes(4, "big") + content)

    try:
        say("value", work(lambda value: say("note", value)))
    except BaseException:  # noqa: BLE001 - a forked process must not run on as its parent
        say("problem", traceback.format_exc(limit=-8))
    finally:
        os._exit(0)


def _listen(reading: int, give_up_at: float, said: list[tuple[str, Any]]) -> bool:
    """Read what is said until the other end closes; False if that takes too long."""
    content = b""
    while True:
        left = give_up_at - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return False
        part = os.read(reading, 1 << 16)
        if not part:
            return True
        content += part
        while len(content) >= 4 and len(content) >= (size := 4 + int.from_bytes(content[:4], "big")):
            said.append(pickle.loads(content[4:size]))  # noqa: S301 - written by our own child
            content = content[size:]
