"""Commands that only look: how things are, what happened, what would be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stateguard.errors import NotFoundError
from stateguard.guard import view
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk, duration
from stateguard.guard.maintenance import done_last
from stateguard.guard.mirrors import mirrors_document, witnesses
from stateguard.guard.rollback import choose, planned
from stateguard.guard.waiting import locked_now, unsigned_now
from stateguard.host.clock import moment
from stateguard.model.moment import parse_rfc3339
from stateguard.record.history import Question, history, show
from stateguard.state.snapshot import backup_ref
from stateguard.transition.operations import so_far
from stateguard.trust.keys import load_pinned


def _status(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    mirrors = mirrors_document(desk.guard)
    beside = {"conditions": desk.conditions(), "mirrors": mirrors, "maintenance": done_last(desk.guard)}
    people = {"locked": locked_now(desk.guard), "pending": unsigned_now(desk.guard)}
    return view.status(desk.guard, pid=desk.pid) | beside | people


def _fingerprint(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    if parameters.get("live"):
        return view.live_fingerprint(desk.guard)
    return view.revision_fingerprint(desk.guard, str(parameters.get("revision") or "main"))


def _plan(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return planned(desk.guard, choose(desk.guard, parameters))


def _diff(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return view.diff(desk.guard, str(parameters["before"]), parameters.get("after"))


def _history(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    path, since = parameters.get("path"), parameters.get("since")
    repository = desk.guard.repository
    question = Question(
        kind=parameters.get("kind"),
        since=_since(str(since)) if since is not None else None,
        limit=parameters.get("limit"),
        touches=(lambda a, b: _below(path, view.touched_paths(repository, a, b))) if path else None,
    )
    return {"entries": history(desk.guard.books.audit, question)}


def _below(path: str, touched: set[str]) -> bool:
    clean = path.rstrip("/")
    return any(p == clean or p.startswith(clean + "/") for p in touched)


def _since(text: str) -> float:
    try:
        return parse_rfc3339(text)
    except ValueError:
        return moment().wall_seconds - duration(text)


def _show(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    number = int(parameters["operation"])
    kept = desk.guard.captured.ref(backup_ref(number)) is not None
    try:
        record = show(desk.guard.books.audit, number)
    except NotFoundError:
        if number not in {one.id for one in desk.guard.books.journal.unfinished()}:
            raise
        record = so_far(desk.guard.books.journal, number, "interrupted" if desk.pid is None else "running")
    return record | {"backup_kept": kept}


def _incident_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"incidents": [i.head() for i in desk.guard.store.incidents()]}


def _incident_show(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return desk.guard.store.incident(int(parameters["id"])).whole()


def _incident_report(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    number = int(parameters["id"])
    return {"id": number, "markdown": desk.guard.reporter.text(number)}


def _audit_log(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    limit = int(parameters.get("limit") or 0)
    entries = []
    for entry in desk.guard.books.audit.newest_first():
        entries.append(entry)
        if limit and len(entries) >= limit:
            break
    return {"entries": entries}


def _audit_export(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    return {"lines": list(desk.guard.books.audit.lines())}


def _audit_verify(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    guard = desk.guard
    found = guard.books.audit.verify(load_pinned(guard.home.trust))
    mirrors = witnesses(guard, ask=not parameters.get("offline"))
    missing = [f"{one['name']}: {one['message']}" for one in mirrors if one["against"]]
    whole = replace(found, problems=(*found.problems, *missing))
    return whole.as_json() | {"mirrors": mirrors}


COMMANDS: dict[str, Command] = {
    "status": Command(_status),
    "fingerprint": Command(_fingerprint),
    "plan": Command(_plan),
    "diff": Command(_diff),
    "history": Command(_history),
    "show": Command(_show),
    "incident-list": Command(_incident_list),
    "incident-show": Command(_incident_show),
    "incident-report": Command(_incident_report),
    "audit-log": Command(_audit_log),
    "audit-export": Command(_audit_export),
    "audit-verify": Command(_audit_verify),
}
