"""The machine: its clock, how many files and directories may be watched, how many files opened."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from stateguard.errors import StorageError
from stateguard.guard.doctor.finding import Finding, Subject, note, ok, problem, warning
from stateguard.host.clock import boot_seconds, wall_seconds
from stateguard.host.lock import WriterLock, held
from stateguard.model.identity import APPLIED, AUDIT, MAIN
from stateguard.model.moment import rfc3339
from stateguard.state.repository import Repository

_AHEAD_SECONDS = 300.0
_EPOCH_SECONDS = 1_735_689_600.0
"""The start of 2025: no machine that runs this code has an earlier clock by right."""
_LEAST_FILES, _ENOUGH_FILES = 256, 1024
_MOST_DIRECTORIES = 2_000_000
_ENOUGH_INSTANCES, _ENOUGH_EVENTS = 128, 16384
_SET_CLOCK = "timedatectl set-ntp true"


def clock(subject: Subject) -> Iterator[Finding]:
    """Hold the clock against what was written by it before."""
    now = wall_seconds()
    newest, what = _newest(subject)
    if now - boot_seconds() < 0 or now < _EPOCH_SECONDS:
        yield problem(
            "clock", f"the clock says {rfc3339(now)}; baselines and incidents would be dated wrongly", _SET_CLOCK
        )
    elif newest > now + _AHEAD_SECONDS:
        message = f"the clock says {rfc3339(now)}, but {what} is of {rfc3339(newest)}: it went back"
        yield problem("clock", f"{message}; soaks would last too long", _SET_CLOCK)
    elif (subject.machine / "run/systemd/timesync/synchronized").exists():
        yield ok("clock", "the clock is kept right by systemd-timesyncd")
    elif (subject.machine / "run/systemd/timesync").is_dir():
        yield warning("clock", "systemd-timesyncd has not set the clock since boot; dates may be wrong", _SET_CLOCK)
    else:
        yield note("clock", f"the clock says {rfc3339(now)}; nothing here says whether it is kept right", _SET_CLOCK)


def _newest(subject: Subject) -> tuple[float, str]:
    """Return the latest time among the newest commits of a home, and what bears it."""
    found = [(0.0, "")]
    if subject.home is not None:
        repository = Repository(subject.home.repository)
        for ref, what in ((AUDIT, "the newest audit entry"), (MAIN, "main"), (APPLIED, "what is live")):
            with contextlib.suppress(StorageError):  # what is damaged is told by the check of the refs
                found.append((repository.commit(repository.ref(ref) or "").committed_at, what))
    return max(found)


def watches(subject: Subject) -> Iterator[Finding]:
    """Hold the kernel's limits of watching against the live directory."""
    limits = {
        name: _limit(subject.machine, name) for name in ("max_user_watches", "max_user_instances", "max_queued_events")
    }
    allowed = limits["max_user_watches"]
    if allowed is None:
        yield note("watches", "the kernel does not say how many directories may be watched")
        return
    needed = directories(subject.live) if subject.live is not None else 0
    message = f"{needed} directories to watch, {allowed} allowed to this user"
    mend = f"sysctl -w fs.inotify.max_user_watches={max(524288, 4 * needed)}"
    if needed >= allowed:
        yield problem("watches", f"{message}: the guard cannot start to watch", mend)
    elif needed > allowed // 2:
        yield warning("watches", f"{message}: other programs of this user use them too", mend)
    else:
        yield ok("watches", message)
    yield from _smaller_limits(limits)


def _smaller_limits(limits: dict[str, int | None]) -> Iterator[Finding]:
    instances, events = limits["max_user_instances"], limits["max_queued_events"]
    if instances is not None and instances < _ENOUGH_INSTANCES:
        message = f"this user may watch with {instances} programs at a time; the guard is one"
        yield warning("watches", message, f"sysctl -w fs.inotify.max_user_instances={_ENOUGH_INSTANCES}")
    if events is not None and events < _ENOUGH_EVENTS:
        message = f"the kernel queues {events} file events; beyond that the guard scans, which takes longer"
        yield note("watches", message, f"sysctl -w fs.inotify.max_queued_events={_ENOUGH_EVENTS}")


def directories(root: Path) -> int:
    """Return how many directories lie below one, itself included; links are not followed."""
    found = 0
    for _ in os.walk(root):
        found += 1
        if found >= _MOST_DIRECTORIES:
            break
    return found


def _limit(machine: Path, name: str) -> int | None:
    try:
        return int((machine / "proc/sys/fs/inotify" / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def open_files(subject: Subject) -> Iterator[Finding]:
    """Look at how many files the guard may open: the running one, else one started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    whose = "a guard started from here"
    if subject.home is not None and held(subject.home.writer_lock):
        pid = WriterLock(subject.home.writer_lock, "doctor").holder()[1]
        if pid:
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            whose = f"the guard (process {pid})"
    shown = "any number of" if soft == resource.RLIM_INFINITY else str(soft)
    message = f"{whose} may open {shown} files"
    possible = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    mend = f"ulimit -n {possible}, or LimitNOFILE={_ENOUGH_FILES} in its unit"
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        yield problem("open-files", f"{message}; each agent, probe and push takes some", mend)
    elif soft != resource.RLIM_INFINITY and soft < _ENOUGH_FILES:
        yield warning("open-files", f"{message}; with many agents and pushes that is too few", mend)
    else:
        yield ok("open-files", message)
