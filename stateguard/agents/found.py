"""Agents that an earlier guard left running: what /proc shows, and which of it to keep."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stateguard.agents.child import VARIABLE
from stateguard.agents.registry import Entry
from stateguard.host.clock import boot_id
from stateguard.host.command import end_group
from stateguard.host.process import (
    ProcessIdentity,
    alive,
    ancestors,
    identify,
    is_session_leader,
    session_of,
    with_variable,
)

MARK_DIGITS = 16
"""How many digits of a specification's digest the mark of a process carries."""


@dataclass(frozen=True, slots=True)
class Found:
    """A process that is, or was meant to be, an agent. ``entry`` is its line in the registry, if it has one."""

    name: str
    identity: ProcessIdentity
    digest: str
    entry: Entry | None = None


def sort_out(
    found: list[Found], digests: Mapping[str, str], lost: frozenset[str]
) -> tuple[dict[str, Found], list[Found]]:
    """Return the processes to keep, by name, and those to end.

    Kept is, of each name that has a specification, one process that was started by exactly this specification: the
    registered one, else the oldest. ``lost`` are the agents whose registered process has died: what is found of them
    is not registered, so it is a leftover of the dead one.
    """
    keep: dict[str, Found] = {}
    end: list[Found] = []
    order = sorted(found, key=lambda f: (f.entry is None, f.identity.began_ticks, f.identity.pid))
    for one in order:
        wanted = digests.get(one.name, "")[:MARK_DIGITS]
        leftover = one.entry is None and one.name in lost
        if wanted and one.digest[:MARK_DIGITS] == wanted and one.name not in keep and not leftover:
            keep[one.name] = one
        else:
            end.append(one)
    return keep, end


def look(identity: str, entries: Mapping[str, Entry]) -> tuple[list[Found], frozenset[str]]:
    """Return the agents of a home that live, and the names whose registered process has died since.

    ``identity`` is the home's id. Children of agents carry the mark too, but do not lead their session, or, if they do,
    descend from one that is found.
    """
    boot = boot_id()
    living = {e.name: e for e in entries.values() if e.boot_id == boot and alive(e.identity)}
    found = {e.pid: Found(e.name, e.identity, e.digest, e) for e in living.values()}
    for pid, name, digest in _marked(identity):
        process = identify(pid)
        if process and pid not in found and is_session_leader(pid):
            found[pid] = Found(name, process, digest)
    heads = [f for f in found.values() if f.entry or not found.keys() & set(ancestors(f.identity.pid))]
    return heads, frozenset(e.name for e in entries.values() if e.boot_id == boot and e.name not in living)


def end_orphans(identity: str) -> None:
    """Kill what dead agents of a home have left behind: marked processes whose session has lost its leader."""
    for pid, _, _ in _marked(identity):
        session = session_of(pid)
        if session and session != pid and identify(session) is None:
            try:
                end_group(os.getpgid(pid))
            except ProcessLookupError:
                continue  # it went by itself


def strays(identity: str, name: str) -> list[ProcessIdentity]:
    """Return the leaders of all groups in which processes of an agent live.

    Asked once the agent's own group has ended: what is left has left that group, and would be at work beside the
    agent's next version.
    """
    groups = set()
    for pid, owner, _ in _marked(identity):
        if owner == name:
            with contextlib.suppress(ProcessLookupError):
                groups.add(os.getpgid(pid))
    return [identify(group) or ProcessIdentity(group, 0) for group in sorted(groups)]


def _marked(identity: str) -> Iterator[tuple[int, str, str]]:
    for pid, value in with_variable(VARIABLE):
        owner, _, rest = value.partition(":")
        name, _, digest = rest.rpartition(":")
        if owner == identity and pid != os.getpid():
            yield pid, name, digest
