"""End an agent: drain, signal, patience, then KILL; always its whole process group.

A process that was not started by us need not lead its group: others may be in it that are not ours to end. Of such a
one the process itself and its descendants are ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable

from stateguard.host import http, threads
from stateguard.host.command import end_group
from stateguard.host.logs import warn
from stateguard.host.process import (
    ProcessIdentity,
    alive,
    descendants,
    group_members,
    group_of,
    identify,
    signal_group,
    signal_process,
)
from stateguard.host.reach import ORDINARY, Reach
from stateguard.model.agent import StopPolicy

_AT_ONCE = 64
_AFTER_SIGNAL_SECONDS = 2.0
_AFTER_KILL_SECONDS = 2.0
_REAPING_SECONDS = 0.05
_SHORTEST_NAP_SECONDS = 0.002
_LONGEST_NAP_SECONDS = 0.05


def end(leader: ProcessIdentity, policy: StopPolicy, reach: Reach = ORDINARY) -> bool:
    """End the process group that an agent leads, or its family; say whether nothing of it is left.

    As with Kubernetes, draining uses up the grace period; at least two seconds of it (if it is that long) are kept for
    the time after the signal. ``reach`` says which addresses may be asked to drain.
    """
    if not remains(leader):
        return True
    give_up_at = time.monotonic() + policy.grace_period_seconds
    if policy.drain_url:
        drain(policy, reach)
        least = min(policy.grace_period_seconds, _AFTER_SIGNAL_SECONDS)
        give_up_at = max(give_up_at, time.monotonic() + least)
    if group_of(leader.pid) not in (leader.pid, None):
        return _end_family(leader, _signal(policy.signal), give_up_at)
    try:
        signal_group(leader.pid, _signal(policy.signal))
    except PermissionError as error:
        warn("an agent's process group may not be signalled", group=leader.pid, error=str(error))
    _await_exit(leader, give_up_at)
    if _gone_by(lambda: not remains(leader), give_up_at):
        return True
    end_group(leader.pid)
    return _gone_by(lambda: not remains(leader), time.monotonic() + _AFTER_KILL_SECONDS)


def _await_exit(leader: ProcessIdentity, give_up_at: float) -> None:
    """Wait, without looking again and again, until a process has ended and whoever started it knows.

    To look who is left of a group means to look at every process of the host: usually nobody is.
    """
    try:
        descriptor = os.pidfd_open(leader.pid)
    except OSError:
        return  # it is gone, or the kernel is too old: looking tells
    try:
        if alive(leader):
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            ended.poll(1000 * max(0.0, give_up_at - time.monotonic()))
    finally:
        os.close(descriptor)
    known_by = min(give_up_at, time.monotonic() + _REAPING_SECONDS)
    while time.monotonic() < known_by and not alive(leader) and _group_has_a_name(leader.pid):
        time.sleep(_SHORTEST_NAP_SECONDS)


def _end_family(leader: ProcessIdentity, number: signal.Signals, give_up_at: float) -> bool:
    family = {leader, *descendants(leader.pid)}
    _signal_each(family, number)
    if _gone_by(lambda: not any(map(alive, family)), give_up_at):
        return True
    for one in [one for one in family if alive(one)]:
        family |= set(descendants(one.pid))
    _signal_each(family, signal.SIGKILL)
    return _gone_by(lambda: not any(map(alive, family)), time.monotonic() + _AFTER_KILL_SECONDS)


def _signal_each(family: Iterable[ProcessIdentity], number: signal.Signals) -> None:
    for one in family:
        try:
            signal_process(one, number)
        except PermissionError as error:
            warn("a process of an agent may not be signalled", process=one.pid, error=str(error))


def end_all(leaders: Iterable[tuple[ProcessIdentity, StopPolicy]], reach: Reach = ORDINARY) -> bool:
    """End several process groups at once; say whether nothing is left of any."""
    return all(threads.each(lambda pair: end(*pair, reach), list(leaders), _AT_ONCE, "end-agent"))


def tell(process: ProcessIdentity, name: str) -> bool:
    """Send a process a signal by its name, and nothing else of its group; False if it is gone or another user's."""
    try:
        signal_process(process, _signal(name))
    except PermissionError as error:
        warn("an agent may not be signalled", process=process.pid, error=str(error))
        return False
    return alive(process)


def remains(leader: ProcessIdentity) -> bool:
    """Say whether anything lives of the group that a process leads, or led.

    While anything lives of it the kernel gives its number to nobody else: where a stranger has it, all is gone.
    """
    now = identify(leader.pid)
    return now == leader or (now is None and _group_lives(leader.pid))


def _group_lives(group: int) -> bool:
    return _group_has_a_name(group) and bool(group_members(group))  # the kernel's answer counts zombies too


def _group_has_a_name(group: int) -> bool:
    """Say whether the kernel knows a process group: one of it lives, or was not waited for."""
    try:
        with contextlib.suppress(PermissionError):  # somebody lives, as somebody else
            os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _gone_by(gone: Callable[[], bool], give_up_at: float) -> bool:
    nap = _SHORTEST_NAP_SECONDS
    while not gone():
        left = give_up_at - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(nap, left))
        nap = min(nap * 1.5, _LONGEST_NAP_SECONDS)
    return True


def drain(policy: StopPolicy, reach: Reach = ORDINARY) -> None:
    """Ask an agent to finish what it has begun, for at most its grace period; a refusal is told, and nothing more."""
    url = policy.drain_url
    if not url:
        return
    try:
        answer = http.request(url, method="POST", timeout_seconds=policy.grace_period_seconds, reach=reach)
    except (OSError, ValueError) as error:
        warn("an agent could not be drained; it is stopped all the same", url=url, error=str(error))
        return
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - what HTTP calls success
        warn("an agent refused to drain; it is stopped all the same", url=url, status=answer.status)


def _signal(name: str) -> signal.Signals:
    return signal.Signals.__members__.get(f"SIG{name.removeprefix('SIG')}", signal.SIGTERM)
