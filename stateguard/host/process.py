"""Processes: identity beyond the pid, groups, and what /proc says of them."""

from __future__ import annotations

import contextlib
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


def command_of(pid: int) -> tuple[str, ...]:
    """Return the argument list of a process; empty if there is none, it is a zombie, or it may not be read."""
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in content.removesuffix(b"\0").split(b"\0")) if content else ()


def directory_of(pid: int) -> Path | None:
    """Return the working directory of a process; None if there is none or it may not be read."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


def owner_of(pid: int) -> int | None:
    """Return the user id that a process runs as; None if there is no such process."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def gains_no_privileges(pid: int) -> bool:
    """Say whether a process gave up gaining privileges, which is for good and for all that it starts."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False
    return b"\nNoNewPrivs:\t1\n" in status


def descendants(pid: int) -> tuple[ProcessIdentity, ...]:
    """Return the living children of a process, their children, and so on."""
    parents: dict[int, list[int]] = {}
    for one in pids():
        fields = _stat(one)
        if fields is not None:
            parents.setdefault(int(fields[1]), []).append(one)
    found: list[int] = []
    left = [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return tuple(identity for one in found if (identity := identify(one)))


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
    for pid in pids():
        fields = _stat(pid)
        if fields is not None and int(fields[2]) == group and fields[0] not in ("Z", "X"):
            found.append(pid)
    return found


def with_variable(name: str) -> Iterator[tuple[int, str]]:
    """Yield pid and value of every readable process that was started with an environment variable."""
    wanted = name.encode() + b"="
    for pid in pids():
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


def signal_process(identity: ProcessIdentity, number: signal.Signals) -> None:
    """Send a signal to exactly that process; nothing happens if it has ended.

    Raises:
        PermissionError: it is another user's.
    """
    descriptor = open_pidfd(identity)
    if descriptor is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError):  # it has ended since
            signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


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


def pids() -> list[int]:
    """Return the ids of all processes."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on; the 20th is the start time."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()
