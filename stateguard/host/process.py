"""Processes: identity beyond the pid, groups, and what /proc says of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A pid together with the clock ticks at which it began: two processes never share both in one boot."""

    pid: int
    began_ticks: int


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of a living process; None if there is none or it is a zombie."""
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return ProcessIdentity(pid, int(fields[19]))


def alive(identity: ProcessIdentity) -> bool:
    """Say whether exactly that process still lives."""
    return identify(identity.pid) == identity


def is_session_leader(pid: int) -> bool:
    """Say whether a process leads its session, as every agent does."""
    fields = _stat(pid)
    return fields is not None and int(fields[3]) == pid


def session_of(pid: int) -> int | None:
    """Return the session of a living process; None if there is none or it is a zombie."""
    fields = _stat(pid)
    return int(fields[3]) if fields is not None and fields[0] not in ("Z", "X") else None


def group_of(pid: int) -> int | None:
    """Return the process group of a living process; None if there is none or it is a zombie."""
    fields = _stat(pid)
    return int(fields[2]) if fields is not None and fields[0] not in ("Z", "X") else None


def ancestors(pid: int) -> tuple[int, ...]:
    """Return the parent of a process, the parent's parent, and so on, as far as /proc shows them."""
    found: list[int] = []
    fields = _stat(pid)
    while fields is not None and (parent := int(fields[1])) > 0 and parent not in found:
        found.append(parent)
        fields = _stat(parent)
    return tuple(found)


def group_members(group: int) -> list[int]:
    """Return the living processes of a process group."""
    found = []
    for pid in _pids():
        fields = _stat(pid)
        if fields is not None and int(fields[2]) == group and fields[0] not in ("Z", "X"):
            found.append(pid)
    return found


def with_variable(name: str) -> Iterator[tuple[int, str]]:
    """Yield pid and value of every readable process that was started with an environment variable."""
    wanted = name.encode() + b"="
    for pid in _pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        for item in environment.split(b"\0"):
            if item.startswith(wanted):
                yield pid, os.fsdecode(item[len(wanted) :])
                break


def variables_of(pid: int, names: Collection[str]) -> dict[str, str]:
    """Return those of some environment variables that a process was started with; nothing if it may not be read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (os.fsdecode(item).partition("=") for item in environment.split(b"\0"))
    return {name: value for name, _, value in pairs if name in names}


def signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to a process group; False if nothing of it is left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def open_pidfd(identity: ProcessIdentity) -> int | None:
    """Return a descriptor that turns readable when exactly that process ends; None if it ended already."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return None
    if not alive(identity):
        os.close(descriptor)
        return None
    return descriptor


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on; the 20th is the start time."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()
