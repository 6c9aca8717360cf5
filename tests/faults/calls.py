"""Faults at raw system calls, injected by strace.

The process stops itself where the journey begins, strace takes hold of its main thread, and it is let go on. What it
runs is not followed: agents are not to be struck. Git is, by a program of that name which comes first on the search
path and runs the true one under strace.

A fault reads ``call=NAME:N:ACTION`` (the N-th such call of the main thread: ``kill`` or the name of an error),
``call=git.NAME:N:ACTION[:RUN]`` (in the RUN-th git, the first if it is not said; ``killboth`` kills the guard with it),
or ``call=file:BYTES:short``: no file grows beyond so many bytes, a write that would reach there is cut short.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from faults.ground import Ground, at_work, copy
from faults.journeys import JOURNEYS
from faults.processes import Note, forked
from faults.scene import STAGE, Struck, numbered

MUTATING = (
    "openat,write,pwrite64,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,symlinkat,linkat,fsync,"
    "fdatasync,syncfs,fchmod,fchown,ftruncate,fallocate,clone,clone3,vfork,pidfd_send_signal,kill,flock"
)
_LINE = re.compile(r"^(?:\d+ +)?([a-z0-9_]+)\((.*)$")
_ATTACH_SECONDS = 20.0
_WAIT_SECONDS = 60.0


def strace_missing() -> str:
    """Return why system calls cannot be struck here; nothing if they can."""
    return "" if shutil.which("strace") else "needs strace"


class AtCall(Struck):
    """Strikes at system calls; ``place`` is a directory for what it needs beside."""

    def __init__(self, place: Path) -> None:
        """Strike nothing yet."""
        super().__init__()
        self._place = place

    def came(self) -> bool:
        """Return nothing of use: who was struck cannot tell."""
        return False

    def seen(self) -> bool:
        """Say whether strace has injected something, into the guard or into a git."""
        try:
            log = (self._place / "strace").read_text(errors="replace")
        except FileNotFoundError:
            return False
        return "INJECTED" in log or "killed by" in log

    def arm(self, fault: str) -> None:
        """Stop until strace has taken hold."""
        target, number, action = _parsed(fault)[:3]
        if action == "short":
            resource.setrlimit(resource.RLIMIT_FSIZE, (number, resource.RLIM_INFINITY))
        elif target.startswith("git."):
            _put_git_before(fault, self._place)
        elif fault:
            os.kill(os.getpid(), signal.SIGSTOP)

    def beside(self, fault: str) -> Callable[[int], None]:
        """Return what attaches strace to the process when it stops."""
        target, number, action = _parsed(fault)[:3]
        (self._place / "strace").unlink(missing_ok=True)
        if not fault or action == "short" or target.startswith("git."):
            return lambda _: None
        options = [f"--trace={target}", f"--inject={target}:{_injected(action)}:when={number}"]
        return lambda pid: attach(pid, options, str(self._place / "strace"))


def attach(pid: int, options: list[str], output: str = "/dev/null") -> None:
    """Wait until a child stops, let strace take hold of its main thread, and let it go on."""
    if not _stopped(pid):
        return
    # It ends with the process that it traces, and is reaped as an orphan's child is.
    silent = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
    argv = ["strace", "-qq", "-o", output, "-p", str(pid), *options]
    os.posix_spawnp("strace", argv, os.environ, file_actions=[silent])
    give_up_at = time.monotonic() + _ATTACH_SECONDS
    while b"TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_bytes():
        if time.monotonic() > give_up_at:
            message = "strace did not take hold"
            raise TimeoutError(message)
        time.sleep(0.001)
    os.kill(pid, signal.SIGCONT)


def _stopped(pid: int) -> bool:
    """Wait until a child has stopped itself; False if it has ended instead."""
    found = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return found is not None and found.si_code == os.CLD_STOPPED


def _injected(action: str) -> str:
    return "signal=KILL" if action == "kill" else f"error={action}"


def _parsed(fault: str) -> tuple[str, int, str, int]:
    if not fault:
        return "", 0, "", 1
    target, number, action, *run = fault.removeprefix("call=").split(":")
    return target, int(number), action, int(run[0]) if run else 1


_GIT = """\
#!/bin/sh
echo >> "{place}/runs"
if [ "$(wc -l < "{place}/runs")" -eq {run} ]; then
    strace -qq -o "{place}/strace" --trace={call} --inject={call}:{injected}:when={number} "{git}" "$@"
    status=$?
    ! grep -q -e INJECTED -e 'killed by' "{place}/strace" || {after}
    exit $status
fi
exec "{git}" "$@"
"""


def _put_git_before(fault: str, place: Path) -> None:
    """Put a git that strikes itself at the beginning of this process's search path."""
    target, number, action, run = _parsed(fault)
    git, program = shutil.which("git"), place / "git"
    program.write_text(
        _GIT.format(
            place=place,
            git=git,
            run=run,
            call=target.removeprefix("git."),
            injected="signal=KILL" if action.startswith("kill") else f"error={action}",
            number=number,
            after=f"kill -KILL {os.getpid()}" if action == "killboth" else "true",
        )
    )
    program.chmod(0o755)
    os.environ["PATH"] = f"{place}:{os.environ['PATH']}"


_CALLS: list[tuple[str, str, int]] = []


def calls_of() -> list[tuple[str, str, int]]:
    """Return every journey's every call of the main thread that changes something, and which of its name it is."""
    if not _CALLS:
        with tempfile.TemporaryDirectory(prefix="stateguard-calls-") as place:
            room = Path(place) / "room"
            room.mkdir()
            for journey in JOURNEYS:
                _CALLS.extend((journey, name, nth) for name, nth in _listened(journey, STAGE.ground(room), room))
    return list(_CALLS)


def _listened(name: str, ground: Ground, room: Path) -> list[tuple[str, int]]:
    journey = JOURNEYS[name]
    template, before = ground.template(name, journey)
    home, log = copy(template, room), room / "calls"

    def work(note: Note) -> None:
        if not journey.begins:
            os.kill(os.getpid(), signal.SIGSTOP)
        with at_work(home) as setting:
            if journey.begins:
                os.kill(os.getpid(), signal.SIGSTOP)
            journey.begin(setting.guard, before, note)

    try:
        told = forked(work, _WAIT_SECONDS, lambda pid: attach(pid, [f"--trace={MUTATING}"], str(log)))
        assert not told.problem, told.problem
        found = [m for line in log.read_text(errors="replace").splitlines() if (m := _LINE.match(line))]
        return [(c, n) for c, n, rest in _counted(found) if _changes(c, rest)]
    finally:
        ground.clear()
        shutil.rmtree(home.root)
        log.unlink(missing_ok=True)


def _counted(found: list[re.Match[str]]) -> list[tuple[str, int, str]]:
    numbers = numbered([m[1] for m in found])
    return [(name, nth, m[2]) for (name, nth), m in zip(numbers, found, strict=True)]


def _changes(call: str, rest: str) -> bool:
    """Say whether a call changes anything: opening a file for reading does not."""
    return call != "openat" or "O_CREAT" in rest or "O_WRONLY" in rest or "O_RDWR" in rest
