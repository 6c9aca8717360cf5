"""Self-tests of probes: which are meant, trying them, remembering how it went, and saying it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from stateguard.errors import NotFoundError
from stateguard.guard.compose import Guard
from stateguard.guard.view import trial_document
from stateguard.model.agent import Probe
from stateguard.model.policy import System
from stateguard.model.selftest import Named, found_flaky
from stateguard.observe.selftest import Trials, trials
from stateguard.text.words import count, seconds

RUNS = 100
_TITLE = "test probes"


def chosen(system: System, names: Sequence[str]) -> tuple[Probe, ...]:
    """Return the probes that names mean: ids, titles, names of probes of the whole state, or all those of an agent.

    Raises:
        NotFoundError: a name means none.
    """
    if not names:
        return system.probes
    found: dict[str, Probe] = {}
    for name in names:
        mine = [p for p in system.probes if name in (p.id, p.title, p.agent) or (p.agent is None and name == p.name)]
        if not mine:
            known = ", ".join(p.id.lstrip("/") for p in system.probes) or "none"
            raise NotFoundError(f"there is no probe {name!r}", next_step=f"probes: {known}")
        found |= {p.id: p for p in mine}
    return tuple(found.values())


def selftest(
    guard: Guard, probes: Sequence[Probe], runs: int, progress: Callable[[int, int, str], None]
) -> dict[str, Any]:
    """Try probes so many times each and remember it; returns the document of ``probe test``.

    Raises:
        StorageError: it could not be remembered.
    """
    shown = [-1]

    def told(done: int, of: int) -> None:
        if done * 100 // of != shown[0]:
            shown[0] = done * 100 // of
            progress(done, of, _TITLE)

    found = trials(probes, guard.live, runs, told, sandbox=guard.sandbox, reach=guard.reach) if probes else []
    found = [replace(one, last_failure=guard.secrets.conceal(one.last_failure)) for one in found]
    guard.trials.record(found)
    documents = [trial_document(p, t) for p, t in zip(probes, found, strict=True)]
    return {"probes": documents, "flaky": [d["probe"] for d in documents if d["flaky"] and d["required"]]}


def lines(tested: dict[str, Any], took: float) -> list[str]:
    """Return what people are told of a self-test."""
    probes = tested["probes"]
    if not probes:
        return ["there are no probes to test"]
    most = max(p["runs"] for p in probes)
    found = [f"tested {count(len(probes), 'probe')}, up to {count(most, 'run')} each, in {seconds(took)}"]
    for p in [p for p in probes if p["failures"]]:
        head = f"{p['title']} failed {p['failures']} of {count(p['runs'], 'run')} ({p['last_failure']})"
        found.append(f"{head}: {verdict(p)}" if p["flaky"] else head)
    return found


def verdict(tested: dict[str, Any]) -> str:
    """Say what follows from a probe that is flaky."""
    if not tested["required"]:
        return "too often to be required one day"
    name = str(tested["probe"]).lstrip("/")
    return f"it cannot be required, and counts as wanted until it is changed or passes: stateguard probe test {name}"


def notes(probes: Iterable[Probe], known: Trials) -> list[str]:
    """Return what somebody who offers these probes should know of them."""
    flaky: frozenset[Named] = known.flaky()
    every = known.all() if flaky else {}
    return [
        f"note: {p.title} counts as wanted, not required: {every[p.id].failures} of "
        f"{count(every[p.id].runs, 'run')} failed; see stateguard probe list"
        for p in found_flaky(probes, flaky)
    ]
