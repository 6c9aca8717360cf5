"""Make what lies in the live directory a commit on main: an edit by hand becomes legal, an unmanaged file managed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stateguard.admission.admit import judge
from stateguard.config.problem import Problem
from stateguard.errors import RefusedError, StateguardError
from stateguard.guard.admit import tree_reader
from stateguard.guard.adoptable import Look
from stateguard.guard.applies import Say
from stateguard.guard.compose import Guard
from stateguard.host.clock import wall_seconds
from stateguard.model.graph import reads
from stateguard.model.identity import MAIN, short
from stateguard.model.transition import Kind, OperationRecord, Outcome
from stateguard.model.tree import DriftKind, Entry, compare, parents, summary
from stateguard.record.audit import Entry as AuditEntry
from stateguard.state import trees
from stateguard.state.forward import signed_commit
from stateguard.state.repository import RefMove
from stateguard.text.words import seconds
from stateguard.transition.journal import Operation
from stateguard.transition.prepare import Wish

_NAMED = 20


@dataclass(frozen=True, slots=True)
class Adoption:
    """What would be adopted: kinds by path, the commit's paths, and what is wrong with the whole."""

    kinds: dict[str, str]
    paths: dict[str, Entry]
    problems: tuple[Problem, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the keys that ``adopt`` and ``adopt --dry-run`` share."""
        return {"adopted": [{"path": path, "kind": kind} for path, kind in sorted(self.kinds.items())]}


def adoption(guard: Guard, named: Sequence[str], cwd: str) -> Adoption:
    """Look at what is to be adopted; blobs are stored, nothing else is changed.

    ``named`` are paths as a person typed them in ``cwd``; without any, all drift of desired paths is meant.

    Raises:
        RefusedError: a path cannot be adopted, or there is nothing to adopt.
        NotFoundError: a path is neither there nor on main.
        UsageProblemError: a path lies outside of the live directory.
    """
    if not guard.applied:
        raise RefusedError("nothing is applied yet", next_step="stateguard apply")
    look = Look(guard)
    kinds = look.named(named, cwd) if named else look.drifted()
    main = guard.books.declared.paths(guard.main)
    paths = dict(main.items())
    for path, kind in kinds.items():
        entry = None if kind == str(DriftKind.REMOVED) else look.content(path)
        for above in () if entry is None else parents(path):
            paths.pop(above, None)  # a directory has taken the place of that file
        if entry is None:
            paths.pop(path, None)
        else:
            paths[path] = entry
    differing = compare(main, paths)
    if not differing:
        raise RefusedError(
            "nothing has drifted", next_step="unmanaged files are adopted by name: stateguard diff main --live"
        )
    kinds |= {path: str(DriftKind.REMOVED) for path in differing.removed}
    _check_waiting(guard, kinds, named=bool(named))
    tree = trees.build(guard.repository, paths)
    before = tree_reader(guard.repository, guard.repository.commit(guard.main).tree)
    policy, commands = guard.books.declared.system(guard.main).policy, guard.settings.needs_commands
    after = tree_reader(guard.repository, tree)
    verdict = judge(after, before, policy, commands=commands, known=guard.known, secrets=guard.keeper)
    return Adoption({p: k for p, k in kinds.items() if p in set(differing.paths)}, paths, verdict.problems)


def adopt(guard: Guard, found: Adoption, actor: str, reason: str, say: Say) -> dict[str, Any]:
    """Make a valid adoption a commit on main, signed by the guard, by the person who asked.

    Raises:
        RefusedError: it is not valid, or the files were changed meanwhile.
        StateguardError: it could not be written.
    """
    if found.problems:
        lines = "\n".join(p.text() for p in found.problems[:_NAMED])
        raise RefusedError(
            f"what is to be adopted is not valid:\n{lines}", next_step="mend the files, then adopt again"
        )
    why = f"adopt {summary(found.kinds)}" + (f": {reason}" if reason else "")
    request = {"adopted": found.kinds, "old": guard.main}
    operation = guard.books.journal.open("apply", actor, why, request)
    commit = _commit(guard, found, operation, actor, reason)
    guard.books.journal.note(operation.id, {"target": commit})
    record = carry_out(guard, guard.books.journal.get(operation.id), say)
    if record.outcome == str(Outcome.REFUSED):
        raise RefusedError(record.detail["message"], next_step="try again")
    return record.as_json() | found.as_json() | {"behind": record.detail.get("behind", [])}


def carry_out(guard: Guard, operation: Operation, say: Say) -> OperationRecord:
    """Carry on with an adoption from wherever it stands; the first run is no special case."""
    request = operation.request
    commit, kinds = str(request.get("target", "")), dict(request["adopted"])
    if operation.plan is None and (not commit or guard.main != request["old"]):
        return guard.operations.finish(operation, Outcome.REFUSED, "interrupted before anything was changed")
    if operation.plan is None and guard.main != guard.applied:
        return _beside(guard, operation, commit, kinds, say)
    behind = operation.plan.record["behind"] if operation.plan else _behind(guard, commit, kinds)

    def wish() -> Wish:
        record = {"main": "move", "old": request["old"], "behind": behind, "adopted": True}
        return Wish(Kind.APPLY, guard.applied, commit, only=frozenset(kinds), adopting=True, record=record)

    more = {"adopted": kinds, "behind": behind}
    try:
        ended = guard.operations.transition(operation, wish)
    except StateguardError as error:
        return guard.operations.finish(operation, Outcome.REFUSED, error.message)
    operation = guard.books.journal.get(operation.id)
    if ended.outcome is Outcome.FAILED and operation.plan is not None and any(e.health for e in ended.entries):
        guard.fail(operation, ended.detail)
        return guard.operations.finish(operation, Outcome.FAILED, ended.detail)
    if ended.outcome is not Outcome.SUCCEEDED:
        return guard.operations.finish(operation, ended.outcome, ended.detail)
    guard.store.release(guard.books.declared.digest(commit))
    soak = seconds(guard.system.policy.soak_seconds)
    message = f"adopted {summary(kinds)}"
    record = guard.responder.accepted(operation, message, commit, more)
    say(f"{message} as {short(commit)}; soaking for {soak}")
    if behind:
        say(f"started before that: {', '.join(behind)}; to restart: stateguard agent restart {' '.join(behind)}")
    return record


def _beside(guard: Guard, operation: Operation, commit: str, kinds: dict[str, str], say: Say) -> OperationRecord:
    """Move main alone: it holds more that is not live yet, and goes live as a whole with that."""
    reason = operation.reason
    guard.store.mark("admitted", {"revision": commit, "actor": operation.actor, "reason": reason})
    body = {"operation": operation.id, "moves": [[MAIN, operation.request["old"], commit]]}
    moves = [RefMove(MAIN, commit, str(operation.request["old"]))]
    guard.books.audit.append([AuditEntry("ref", operation.actor, body)], moves)
    message = f"adopted {summary(kinds)}; main holds more that is not live yet, and is applied as a whole"
    say(message)
    more = {"admitted_only": True, "adopted": kinds}
    return guard.operations.finish(operation, Outcome.SUCCEEDED, message, more=more)


def _commit(guard: Guard, found: Adoption, operation: Operation, actor: str, reason: str) -> str:
    name = "".join(c for c in actor.removeprefix("person:") if c not in "<>")
    author = f"{name or 'unknown'} <{'-'.join(name.split()) or 'unknown'}@localhost>"
    lines = [f"{path}: {kind}" for path, kind in sorted(found.kinds.items())[:_NAMED]]
    if len(found.kinds) > _NAMED:
        lines.append(f"and {len(found.kinds) - _NAMED} more")
    head = [f"Adopt {summary(found.kinds)}", ""] + ([reason, ""] if reason else [])
    text = "\n".join([*head, "Taken from the live directory:", *lines, "", f"Operation: {operation.id}", ""])
    tree = trees.build(guard.repository, found.paths)
    signer = guard.books.signer
    return signed_commit(guard.repository, tree, [guard.main], text, wall_seconds(), signer, author)


def _behind(guard: Guard, commit: str, kinds: dict[str, str]) -> list[str]:
    """Return the agents that read what is adopted and were started before it was changed."""
    system, rules = guard.books.declared.system(commit), guard.books.declared.rules(commit)
    changed = {path: _changed_at(guard.live, path) for path in kinds}
    started = {n: s.started_at for n, s in guard.runtime.statuses().items() if s.started_at is not None}
    return sorted(
        name
        for name, spec in system.agents.items()
        if name in started
        and any(started[name] <= at and reads(spec, system.channels, path, rules.glob) for path, at in changed.items())
    )


def _changed_at(live: Path, path: str) -> float:
    try:
        return (live / path).lstat().st_ctime
    except OSError:
        return wall_seconds()  # what is gone may have gone a moment ago: whoever read it is behind


def _check_waiting(guard: Guard, kinds: Iterable[str], *, named: bool) -> None:
    """Refuse to decide silently between a hand's change and one that waits on main; a path that is named is meant."""
    if named or guard.main == guard.applied:
        return
    waiting = set(guard.books.declared.differing(guard.applied, guard.main).paths)
    both = sorted(waiting & set(kinds))
    if both:
        message = f"main holds another change of {both[0]} that is not live yet"
        raise RefusedError(
            message, next_step=f"decide for the live one: stateguard adopt {both[0]}; or apply main first"
        )
