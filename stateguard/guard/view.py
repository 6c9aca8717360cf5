"""What is: the documents of ``status``, ``plan``, ``diff`` and ``fingerprint``; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from stateguard import __version__
from stateguard.detect.facts import Facts, Seen, findings
from stateguard.errors import NotFoundError
from stateguard.guard.compose import Guard
from stateguard.host.clock import moment
from stateguard.host.lock import daemon_holds
from stateguard.model.agent import AgentSpec, Probe
from stateguard.model.baseline import Baseline
from stateguard.model.health import AgentState, AgentStatus, Health, agent_health, overall
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.moment import rfc3339
from stateguard.model.policy import System
from stateguard.model.selftest import Trial, found_flaky
from stateguard.model.tree import OBSTACLE, Drift, Entry, Overlay, compare
from stateguard.observe.prober import Reading
from stateguard.observe.selftest import Trials
from stateguard.state import fingerprint, trees
from stateguard.state.repository import Repository

REFUSED_MAIN = "refused-main"
"""The mark of a main that somebody moved past the hooks and that would be refused: it is said once."""


def facts(guard: Guard, drifted: tuple[Drift, ...] = ()) -> Facts:
    """Return one look at the system, as the detectors read it."""
    readings = guard.prober.readings()
    seen = tuple(
        Seen(r.probe, r.health, r.failures, r.last, r.turns, r.failing_seconds) for _, r in sorted(readings.items())
    )
    return Facts(guard.system.agents, guard.runtime.statuses(), seen, drifted, revision=guard.applied)


def drift_now(guard: Guard) -> tuple[Drift, ...]:
    """Return the desired paths that the live directory holds otherwise."""
    if not guard.applied:
        return ()
    applied = guard.applied
    return guard.tracked.drift(applied, guard.books.declared.desired(applied))


def status(guard: Guard, *, pid: int | None) -> dict[str, Any]:
    """Return the document of ``status``; ``pid`` is the daemon's, None if there is none."""
    applied, main = guard.applied, guard.main
    readings, statuses = guard.prober.readings(), guard.runtime.statuses()
    soak = guard.store.soak()
    newest = guard.baselines.usable()
    suspended = guard.store.marked("suspended")
    return {
        "guard": {
            "running": pid is not None,
            "starting": pid is None and daemon_holds(guard.home.writer_lock) is not None,
            "pid": pid,
            "version": __version__,
            "home": str(guard.home.root),
            "live": str(guard.live),
        },
        "health": str(overall(findings(facts(guard)))) if pid is not None else str(Health.UNKNOWN),
        "revision": applied or None,
        "main": main or None,
        "desired_fingerprint": _desired(guard, applied),
        "fingerprint": live_fingerprint(guard, files=False)["fingerprint"] if applied else None,
        "baseline": _baseline(newest),
        "drift": [{"path": d.path, "kind": str(d.kind)} for d in drift_now(guard)],
        "agents": [
            _agent(spec, statuses.get(name), readings, watched=pid is not None)
            for name, spec in guard.system.agents.items()
        ],
        "probes": [_probe(r) for _, r in sorted(readings.items()) if r.probe.agent is None],
        "flaky": flaky_now(guard.books.declared.literally(applied), guard.trials),
        "main_refused": _main_refused(guard),
        "transition": _transition(guard, guarded=pid is not None),
        "soak": {"revision": soak.revision, "due_at": soak.due.rfc3339()} if soak else None,
        "incidents": [i.id for i in guard.store.unsettled()],
        "spool": [place.name for place in (guard.home.repository, guard.home.captured) if _spooled(guard, place)],
        "suspended": bool(suspended),
        "stopped": guard.store.marked("stopped") or [],
        "at": moment().rfc3339(),
    }


def _main_refused(guard: Guard) -> str | None:
    """Return why main is not applied, if somebody moved it past the hooks to what would be refused."""
    marked = guard.store.marked(REFUSED_MAIN)
    return str(marked["message"]) if marked and marked["revision"] == guard.main != guard.applied else None


def _transition(guard: Guard, *, guarded: bool) -> dict[str, Any] | None:
    """Return the transition that runs, or, where no guard does, the one that was interrupted last."""
    running = guard.operations.engine.current
    if running is not None:
        operation, stage = running[0], running[1].stage
    elif not guarded and (left := guard.books.journal.unfinished()):
        operation, entries = left[-1], guard.books.journal.entries(left[-1].id)
        stage = entries[-1].step.stage if entries else 0
    else:
        return None
    return {"operation": operation.id, "kind": operation.kind, "stage": stage}


def _spooled(guard: Guard, place: Path) -> bool:
    return (guard.home.spool / place.name).is_dir()


def _agent(
    spec: AgentSpec, status: AgentStatus | None, readings: dict[str, Reading], *, watched: bool
) -> dict[str, Any]:
    status = status or AgentStatus(spec.name, AgentState.STOPPED)
    required = [readings[p.id].health for p in spec.probes if p.required and not p.external and p.id in readings]
    return {
        "name": spec.name,
        "state": str(status.state),
        "health": str(agent_health(status, required) if watched else Health.UNKNOWN),
        "pid": status.pid,
        "running": status.running or None,
        "critical": spec.critical,
        "exits": status.exits,
        "message": status.message,
        "strays": list(status.strays),
        "started_at": rfc3339(status.started_at) if status.started_at else None,
    }


def flaky_now(system: System, known: Trials) -> list[dict[str, Any]]:
    """Return the required probes of a system, taken to the letter, that count as wanted because they are flaky."""
    every = known.all()
    return [trial_document(p, every[p.id]) for p in found_flaky(system.probes, known.flaky())]


def trial_document(probe: Probe, trial: Trial) -> dict[str, Any]:
    """Return how the self-test of a probe went, as it is shown."""
    return {
        "probe": probe.id,
        "title": probe.title,
        "required": probe.required,
        "runs": trial.runs,
        "failures": trial.failures,
        "flaky": trial.flaky,
        "last_failure": trial.last_failure,
        "seconds": round(trial.seconds, 3),
    }


def _probe(reading: Reading) -> dict[str, Any]:
    return {
        "name": reading.probe.name,
        "health": str(reading.health),
        "required": reading.probe.required,
        "message": reading.last.message if reading.last else "",
    }


def _baseline(newest: Baseline | None) -> dict[str, Any] | None:
    if newest is None:
        return None
    whole = newest.as_json()
    return {k: whole[k] for k in ("number", "grade", "fingerprint", "desired_fingerprint", "revision")}


def _desired(guard: Guard, revision: str) -> str | None:
    if not revision:
        return None
    tree = guard.repository.commit(revision).tree
    return fingerprint.incremental(guard.repository, tree, guard.books.digests)


def revision_fingerprint(guard: Guard, revision: str) -> dict[str, Any]:
    """Return the fingerprint of a commit's whole tree, recomputed from its bytes.

    Raises:
        NotFoundError: there is no such commit.
    """
    commit = guard.repository.resolve(revision)
    tree = guard.repository.commit(commit).tree
    return {"fingerprint": fingerprint.full(guard.repository.path, tree), "revision": commit}


def live_fingerprint(guard: Guard, *, files: bool = True) -> dict[str, Any]:
    """Return the fingerprint of the complete live state, desired and captured, and (``files``) the paths that count."""
    scanner, applied = guard.scanner(), guard.applied
    desired = guard.books.declared.desired(applied) if applied else {}
    unlike = [one.path for one in drift_now(guard)]
    seen = scanner.observe(sorted({*unlike, *scanner.captured().paths}))
    found = {path: entry for path, entry in seen.items() if entry != OBSTACLE}  # those are drift: git cannot hold them
    changes: dict[str, Entry | None] = dict.fromkeys((*unlike, *guard.books.declared.seeds(applied)))
    changes.update(found)
    live = Overlay(desired, changes, applied)
    digests: dict[str, Any] = {"fingerprint": _of_live(guard, applied, changes), "revision": applied or None}
    return digests | {"files": sorted(live)} if files else digests


def _of_live(guard: Guard, applied: str, changes: dict[str, Entry | None]) -> str:
    """Fingerprint what was observed, by what lies otherwise than in the commit that is applied."""
    places = {entry.id: path for path, entry in changes.items() if entry is not None}
    base = guard.repository.commit(applied).tree if applied else EMPTY_TREE
    blob = partial(_content, guard, places)
    return fingerprint.of_changed(guard.repository, base, changes, guard.books.digests, blob)


def _content(guard: Guard, places: Mapping[str, str], object_id: str) -> bytes:
    for repository in (guard.repository, guard.captured):
        if repository.has(object_id):
            return repository.blob(object_id)
    return guard.scanner().content(places[object_id])


def diff(guard: Guard, before: str, after: str | None) -> dict[str, Any]:
    """Return how two targets differ, or a target and the live directory (``after`` None), with what is unmanaged.

    Raises:
        NotFoundError: a target names nothing.
    """
    declared, commit = guard.books.declared, commit_of(guard, before)
    if after is not None:
        changes, unmanaged = declared.differing(commit, commit_of(guard, after)), []
    else:
        scanner, first = guard.scanner(), declared.desired(commit)
        changes = compare(first, scanner.observe(first))
        unmanaged = [p for p in scanner.everything() if p not in first and not scanner.rules.captured(p)]
    return {
        "added": list(changes.added),
        "changed": list(changes.changed),
        "removed": list(changes.removed),
        "unmanaged": unmanaged,
    }


def commit_of(guard: Guard, target: str) -> str:
    """Return the main commit that a TARGET or a git revision names.

    Raises:
        NotFoundError: it names nothing.
    """
    try:
        return guard.baselines.find(target).statement.revision
    except NotFoundError:
        return guard.repository.resolve(target)


def touched_paths(repository: Repository, before: str | None, after: str | None) -> set[str]:
    """Return the paths by which two commits differ; a commit that is not there holds nothing."""

    def tree(commit: str | None) -> str:
        return repository.commit(commit).tree if commit and repository.has(commit) else EMPTY_TREE

    return set(trees.differing(repository, tree(before), tree(after)))
