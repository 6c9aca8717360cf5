"""Breaking the glass: an admin's signature waives policy for one push of main, never integrity, and is on record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stateguard.admission.refs import RefUpdate
from stateguard.admission.secrets.scan import blanked
from stateguard.config.problem import Problem
from stateguard.guard.compose import Guard
from stateguard.guard.signatures import signature_of
from stateguard.model.identity import MAIN, person, short
from stateguard.model.trust import Role
from stateguard.record.audit import Entry
from stateguard.state.repository import Repository
from stateguard.text.escape import line
from stateguard.text.words import count
from stateguard.transition.journal import Operation

_OPTION = "emergency="
_SHOWN = 20
_NEEDED = "an emergency takes a last commit signed by somebody trusted with the role admin"


@dataclass(frozen=True, slots=True)
class Emergency:
    """A broken glass: why, and by whose signature."""

    reason: str
    person: str


def reason_of(options: Sequence[str]) -> str:
    """Return why a push says that it is an emergency; empty if it does not. Nothing is proven by that."""
    given = [o.removeprefix(_OPTION) for o in options if o.startswith(_OPTION)]
    return blanked(given[0].strip()) if given else ""


def emergency_of(
    guard: Guard, repository: Repository, updates: Iterable[RefUpdate], options: Sequence[str]
) -> tuple[Emergency | None, list[Problem]]:
    """Return the emergency that a push is, if it is one; or what keeps it from being one.

    The signature is verified by the trust in force each time that this is asked. A commit that was tried before is
    none: the option is not part of what is signed, so whoever has the commit could push it again.

    Raises:
        StateguardError: a commit or the trust document cannot be read.
    """
    if not reason_of(options):
        return None, []
    found = list(updates)
    if [update.name for update in found] != [MAIN]:
        return None, [_problem("an emergency moves main and nothing else; push main alone")]
    commit = found[0].new
    signed = signature_of(guard, repository, commit)
    if Role.ADMIN not in signed.roles:
        known = signed.name and not signed.detail
        whose = f"{signed.words}, who has not the role admin" if known else signed.words
        hint = "let an admin sign it: git commit --amend --no-edit -S"
        return None, [_problem(f"{_NEEDED}; commit {short(commit)} is {whose}; {hint}")]
    tried = [o.id for o in guard.books.journal.of_kind("apply", 0.0) if o.plan and o.request.get("target") == commit]
    if tried:
        again = "it takes a new signature: git commit --amend --no-edit -S"
        return None, [_problem(f"commit {short(commit)} was tried already in operation {tried[-1]}; {again}")]
    return Emergency(reason_of(options), signed.name), []


def admitted(guard: Guard, emergency: Emergency, commit: str, user: str, waived: Sequence[Problem]) -> list[str]:
    """Write down that the glass was broken, and what for; returns what the pusher is told.

    Raises:
        StorageError: it cannot be written; the push must be refused.
    """
    distinct = list(dict.fromkeys((p.code, p.path) for p in waived))
    named = [[code, path] for code, path in distinct[:_SHOWN]]
    body = {"commit": commit, "reason": emergency.reason, "person": emergency.person, "waived": named}
    guard.books.audit.append([Entry("emergency", person(user), body)])
    guard.store.mark(_mark(commit), named)
    told = ", ".join(f"{code} ({line(path)})" for code, path in named) or "nothing that had to be"
    more = f" and {count(len(distinct) - _SHOWN, 'more problem')}" if len(distinct) > _SHOWN else ""
    return [f"EMERGENCY by {emergency.person}: {line(emergency.reason)}; waived: {told}{more}"]


def note(guard: Guard, operation: Operation, emergency: Emergency) -> None:
    """Note it in the operation that the push has become: its record shows it, for review. A second time it stays."""
    name = _mark(str(operation.request["new"]))
    if "emergency" not in operation.request:
        found = {"reason": emergency.reason, "person": emergency.person, "waived": guard.store.marked(name) or []}
        guard.books.journal.note(operation.id, {"emergency": found})
    guard.store.mark(name, None)


def _mark(commit: str) -> str:
    return f"emergency {commit}"


def _problem(message: str) -> Problem:
    return Problem("-o emergency", 0, "emergency", message)
