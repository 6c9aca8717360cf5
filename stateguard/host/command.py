"""Run a program: argument list, clean environment, deadline, bounded output, its whole process group ended."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stateguard.host.logs import warn
from stateguard.host.sandbox import UNCONFINED, Sandbox, Start

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")
_CAP_BYTES = 64 * 1024
_LOOK_SECONDS = 0.02
_FILE_BYTES = 1 << 30
"""No file that a bounded program writes becomes larger."""

_TETHER = """\
exec 3<&0
trap : TERM
{ echo 10 > /proc/self/autogroup; } 2>/dev/null
{ trap '' TERM; read -r _; kill -TERM 0; sleep 0.5; kill -KILL 0; } <&3 3<&- >/dev/null 2>&1 &
watch=$!
nice -n 10 "$@" </dev/null 3<&-
status=$?
kill -KILL "$watch"
exit "$status"
"""
"""Runs a program beside a watch that ends the process group when standard input closes: when we have died.

It yields to all other work: by its niceness, and where the kernel schedules sessions as groups, by that of its group.
"""


class Cancel:
    """Ends the programs that were started with it, from any thread and for good."""

    def __init__(self) -> None:
        """Nothing is cancelled yet."""
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._event = threading.Event()

    def cancel(self) -> None:
        """End what runs; what is started afterwards ends at once."""
        self._event.set()
        os.eventfd_write(self._descriptor, 1)

    @property
    def cancelled(self) -> bool:
        """Whether it was called off."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is called off; say whether it was."""
        return self._event.wait(seconds)

    def fileno(self) -> int:
        """Return the descriptor that is readable once it is called off."""
        return self._descriptor

    def __del__(self) -> None:
        """Close the descriptor."""
        with contextlib.suppress(OSError, AttributeError):  # never opened
            os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended; ``status`` is None when its deadline passed or it was called off."""

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
    leaves: bool = False,
    sandbox: Sandbox = UNCONFINED,
) -> Done:
    """Run a program to its end or its deadline; output beyond the cap is read and dropped. ``sandbox`` starts it.

    ``leaves`` says that it may leave processes behind which go on, such as a daemon that it starts: those are not
    ended with it, and its output is read only until it has ended itself.

    Raises:
        OSError: it could not be started.
    """
    process = _start(argv, cwd, environment, sandbox)
    return _held(process, stdin, deadline_seconds, cap_bytes, leaves=leaves)


def run_bounded(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    stdin: bytes = b"",
    deadline_seconds: float = 30.0,
    sandbox: Sandbox = UNCONFINED,
) -> Done:
    """Run a program that somebody else chose: what each process of it may use is limited.

    That is processor time, the size of a file that it writes, and core dumps, of which there are none. Memory is not:
    what a runtime sets aside says nothing of what it uses.

    Raises:
        OSError: it could not be started.
    """
    process = _start(argv, cwd, None, sandbox)
    _bind(process.pid, deadline_seconds)
    return _held(process, stdin, deadline_seconds, _CAP_BYTES)


def run_tethered(
    argv: Sequence[str],
    *,
    cancel: Cancel,
    environment: Mapping[str, str] | None = None,
    deadline_seconds: float = 30.0,
    grace_seconds: float = 0.5,
    cap_bytes: int = _CAP_BYTES,
) -> Done:
    """Run a program at low priority that must not outlive this process, even if that is killed; it has no input.

    At its deadline, or when it is called off, it is asked to end first (SIGTERM), so that it can remove its lock
    files, and killed after ``grace_seconds``.

    Raises:
        OSError: it could not be started.
    """
    process = _start(("/bin/sh", "-c", _TETHER, "tether", *argv), None, environment)
    try:
        conversation = _Conversation(process, time.monotonic() + deadline_seconds, cap_bytes, cancel)
        ended = conversation.hold(None)
        if not ended:
            signal_group(process.pid, signal.SIGTERM)
            conversation.linger(time.monotonic() + grace_seconds)
    finally:
        _clear(process)
    return conversation.done(ended=ended)


def end_group(group: int) -> None:
    """Kill what is left of a process group."""
    signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to what is left of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone already, or only another user's remains
        os.killpg(group, number)


def _start(
    argv: Sequence[str], cwd: Path | None, environment: Mapping[str, str] | None, sandbox: Sandbox = UNCONFINED
) -> subprocess.Popen[bytes]:
    variables = clean_environment() if environment is None else environment
    return sandbox.start(Start(argv, cwd, variables, subprocess.PIPE, subprocess.PIPE, subprocess.PIPE))


def _held(
    process: subprocess.Popen[bytes], stdin: bytes, deadline_seconds: float, cap_bytes: int, *, leaves: bool = False
) -> Done:
    """Talk to a program until it has ended or must, and end what is left of it."""
    try:
        conversation = _Conversation(process, time.monotonic() + deadline_seconds, cap_bytes, leaves=leaves)
        ended = conversation.hold(stdin)
    finally:
        _clear(process, leaves=leaves)
    return conversation.done(ended=ended)


def _bind(pid: int, deadline_seconds: float) -> None:
    """Limit a process that was just started, and what it starts from now on; where that is not allowed it is told."""
    processor = math.ceil(deadline_seconds) * (os.cpu_count() or 1) + 1
    limits = ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, processor), (resource.RLIMIT_FSIZE, _FILE_BYTES))
    try:
        for kind, most in limits:
            hard = resource.prlimit(pid, kind)[1]
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.prlimit(pid, kind, (bound, bound))
    except ProcessLookupError:
        return  # it has ended already
    except OSError:
        _say_unbound()


@functools.cache
def _say_unbound() -> None:
    """Say once that another user's processes cannot be limited: root needs CAP_SYS_RESOURCE for it."""
    warn("processor time and file sizes of what another user runs cannot be limited without CAP_SYS_RESOURCE")


def at_terminal(argv: Sequence[str], stdin: bytes = b"") -> Done:
    """Run a program that may ask the person at the terminal, with that person's environment, until it ends.

    It stays in our session, so that it reaches the terminal, and has no deadline, because people think.

    Raises:
        OSError: it could not be started.
    """
    done = subprocess.run(list(argv), input=stdin, capture_output=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def _clear(process: subprocess.Popen[bytes], *, leaves: bool = False) -> None:
    if not leaves or process.poll() is None:
        end_group(process.pid)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(BrokenPipeError):  # the program left input unread; that is its right
                pipe.close()


class _Conversation:
    """Writes a program's input and reads its output until it ends, its time is up, or it is called off."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        deadline: float,
        cap: int,
        cancel: Cancel | None = None,
        *,
        leaves: bool = False,
    ) -> None:
        self._process, self._deadline, self._cap = process, deadline, cap
        self._cancel, self._leaves = cancel, leaves
        self._kept: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}

    def hold(self, stdin: bytes | None) -> bool:
        """Say whether the program ended by itself; ``stdin`` None leaves its input open and empty."""
        with selectors.DefaultSelector() as selector:
            for pipe, name in ((self._process.stdout, "out"), (self._process.stderr, "err")):
                if pipe:
                    selector.register(pipe, selectors.EVENT_READ, name)
            sender = None if stdin is None else _Sender(self._process, stdin, selector)
            if self._cancel is not None:
                selector.register(self._cancel, selectors.EVENT_READ, "cancel")
            return self._exchange(selector, sender) and self._ended()

    def linger(self, deadline: float) -> None:
        """Wait for the end of a program that was told to end."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # it is killed next
            self._process.wait(max(0.0, deadline - time.monotonic()))

    def done(self, *, ended: bool) -> Done:
        """Return how it ended and what it said."""
        status = self._process.returncode if ended else None
        return Done(status, bytes(self._kept["out"]), bytes(self._kept["err"]))

    def _exchange(self, selector: selectors.BaseSelector, sender: _Sender | None) -> bool:
        others = 0 if self._cancel is None else 1
        while len(selector.get_map()) > others:
            if (left := self._deadline - time.monotonic()) <= 0:
                return False
            over = self._leaves and self._process.poll() is not None
            ready = selector.select(0 if over else min(left, _LOOK_SECONDS) if self._leaves else left)
            if over and not ready:
                break  # whatever still holds its output goes on without us
            for key, _ in ready:
                if key.data == "cancel":
                    return False
                if key.data == "in":
                    if sender is not None:
                        sender.send()
                    continue
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                room = self._cap - len(self._kept[key.data])
                self._kept[key.data] += chunk[: max(0, room)]
        return True

    def _ended(self) -> bool:
        try:
            self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True


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
