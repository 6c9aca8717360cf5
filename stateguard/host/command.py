"""Run a program: argument list, clean environment, deadline, bounded output, its whole process group ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")
_CAP_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended; ``status`` is None when its deadline passed."""

    status: int | None
    output: bytes
    errors: bytes


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the few variables a child needs, and nothing of git's or Python's."""
    return {k: os.environ[k] for k in _KEPT if k in os.environ} | dict(extra or {})


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    deadline_seconds: float = 30.0,
    cap_bytes: int = _CAP_BYTES,
) -> Done:
    """Run a program to its end or its deadline; output beyond the cap is read and dropped.

    Raises:
        OSError: it could not be started.
    """
    process = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=clean_environment() if environment is None else dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, errors, ended = _converse(process, stdin, time.monotonic() + deadline_seconds, cap_bytes)
    finally:
        end_group(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):  # the program left input unread; that is its right
                    pipe.close()
    return Done(process.returncode if ended else None, output, errors)


def end_group(group: int) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone already, or only another user's remains
        os.killpg(group, signal.SIGKILL)


def _converse(process: subprocess.Popen[bytes], stdin: bytes, deadline: float, cap: int) -> tuple[bytes, bytes, bool]:
    kept: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
    with selectors.DefaultSelector() as selector:
        for pipe, name in ((process.stdout, "out"), (process.stderr, "err")):
            if pipe:
                selector.register(pipe, selectors.EVENT_READ, name)
        sender = _Sender(process, stdin, selector)
        while selector.get_map():
            if (left := deadline - time.monotonic()) <= 0:
                return bytes(kept["out"]), bytes(kept["err"]), False
            for key, _ in selector.select(left):
                if key.data == "in":
                    sender.send()
                    continue
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                room = cap - len(kept[key.data])
                kept[key.data] += chunk[: max(0, room)]
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(kept["out"]), bytes(kept["err"]), False
    return bytes(kept["out"]), bytes(kept["err"]), True


class _Sender:
    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes, selector: selectors.BaseSelector) -> None:
        self._pipe, self._left, self._selector = process.stdin, memoryview(stdin), selector
        if self._pipe is None:
            return
        if not stdin:
            self._pipe.close()
            return
        os.set_blocking(self._pipe.fileno(), False)
        selector.register(self._pipe, selectors.EVENT_WRITE, "in")

    def send(self) -> None:
        if self._pipe is None:
            return
        try:
            self._left = self._left[os.write(self._pipe.fileno(), self._left[:65536]) :]
        except BrokenPipeError:
            self._left = self._left[:0]
        if not self._left:
            self._selector.unregister(self._pipe)
            with contextlib.suppress(BrokenPipeError):  # the program left input unread; that is its right
                self._pipe.close()
