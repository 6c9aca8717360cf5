"""The report of one incident: its facts, and the Markdown document made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stateguard.model.condition import Severity
from stateguard.model.identity import short
from stateguard.model.incident import UNSETTLED, Incident
from stateguard.model.transition import Kind, Outcome
from stateguard.report.lessons import Fate, Findings, fate, last, mending, proposals
from stateguard.report.markup import fill, when
from stateguard.report.targets import MILESTONES, Milestone, judge, since
from stateguard.text.words import count, seconds

MOST_ROWS = 50
"""How many commits, files, conditions or displaced paths are listed; the rest is counted."""

_MEANING = {
    Severity.CRITICAL: "complete failure or imminent data loss",
    Severity.HIGH: "significant degradation or partial failure",
    Severity.MEDIUM: "user experience suffers",
    Severity.LOW: "minor, minimal impact",
}

_DECISION = ("action", "trigger", "reason", "arming", "target")
_DAY = slice(0, 10)
_TIME = slice(11, 23)


@dataclass(frozen=True, slots=True)
class CommitLine:
    """One commit of the change that is blamed; ``at`` is RFC 3339."""

    revision: str
    author: str
    subject: str
    at: str


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything a report says; nothing in it needs to be trusted or escaped. Times are RFC 3339.

    ``operations`` are the documents of ``OperationRecord.as_json``, oldest first. ``culprit`` holds the commits that
    were withdrawn or rejected, newest first, ``files`` the paths they changed, ``diff`` the (capped) unified diff of
    desired paths. ``displaced`` holds path and the git command that gets it back, ``probes`` title, verdict and last
    message after the recovery, ``communications`` when and what was said to whom. ``target`` names what was gone
    back to. ``forward_commit`` is the rollback's commit on main, if main had moved. ``reviewed`` says who reviewed
    the incident and when.
    """

    incident: Incident
    operations: tuple[dict[str, Any], ...] = ()
    culprit: tuple[CommitLine, ...] = ()
    files: tuple[str, ...] = ()
    diff: str = ""
    displaced: tuple[tuple[str, str], ...] = ()
    probes: tuple[tuple[str, str, str], ...] = ()
    communications: tuple[tuple[str, str], ...] = ()
    target: str = ""
    generated_at: str = ""
    forward_commit: str = ""
    reviewed: str = ""
    milestones: tuple[Milestone, ...] = MILESTONES


def render(facts: ReportFacts) -> str:
    """Return the report as Markdown.

    Raises:
        NotFoundError: the templates are not installed.
    """
    incident = facts.incident
    verdicts = judge(incident, facts.generated_at, facts.milestones)
    what = fate(facts.operations, blamed=bool(facts.culprit or incident.culprit), forward_commit=facts.forward_commit)
    findings = Findings(
        conditions=incident.conditions,
        operations=facts.operations,
        opened_at=incident.opened_at,
        fate=what,
        verdicts=verdicts,
        displaced=len(facts.displaced),
    )
    revisions = [c.revision for c in facts.culprit] or [incident.culprit or ""]
    values = {
        "facts": facts,
        "incident": incident,
        "level": f"Level {int(incident.severity)} ({incident.severity.name})",
        "meaning": _MEANING[incident.severity],
        "why": _why(incident),
        "confidence": _confidence(incident),
        "resolved": _resolved(incident),
        "duration": _duration(facts),
        "story": _story(facts, what),
        "timeline": [(_clock(incident, e.at), _offset(incident, e.at), e.event) for e in incident.timeline],
        "verdicts": verdicts,
        "conditions": [_condition(c) for c in incident.conditions],
        "decision": _decision(facts),
        "operations": [_operation(o) for o in facts.operations],
        "communications": [(_clock(incident, at), said) for at, said in facts.communications],
        "fate": what,
        "mending": mending(what, revisions, facts.forward_commit, incident.id),
        "proposals": proposals(findings),
        "mandatory": incident.severity is Severity.CRITICAL,
        "most": MOST_ROWS,
        "short": short,
        "seconds": seconds,
    }
    return fill("incident.md.j2", values)


def _story(facts: ReportFacts, what: Fate) -> list[str]:
    """Return the sentences of the summary."""
    incident = facts.incident
    said = [f"On {when(incident.opened_at)} this was found: {incident.summary.rstrip('.')}."]
    if facts.culprit:
        first = facts.culprit[0]
        more = f" and {count(len(facts.culprit) - 1, 'commit')} before it" if len(facts.culprit) > 1 else ""
        which = f"commit {short(first.revision)}{more}, “{first.subject}” by {first.author}"
        said.append(f"It is put down to {which}.")
    elif not incident.culprit:
        said.append("No change is blamed for it.")
    back = last(facts.operations, Kind.ROLLBACK)
    if back is not None:
        took = f" in {seconds(_number(back.get('duration_seconds')))}"
        well = back.get("outcome") == Outcome.SUCCEEDED
        target = (back.get("detail") or {}).get("target_label") or facts.target or "an earlier state"
        said.append(f"The system was put back to {target}{took}." if well else f"Going back to {target} failed.")
    if what is Fate.REJECTED:
        said.append("The push was rejected, and main never moved.")
    if what is Fate.IN_FORCE:
        said.append("The change is still in force.")
    took = _duration(facts)
    said.append(f"It was resolved after {took}." if _resolved(incident) else f"It is {str(incident.state).lower()}.")
    return said


def _why(incident: Incident) -> str:
    """Return the message of the condition that set the severity."""
    worst = min(incident.conditions, key=lambda c: _number(c.get("severity"), 9.0), default=None)
    return str(worst.get("message", "")) if worst else ""


def _confidence(incident: Incident) -> str:
    known = [_number(c.get("confidence"), -1.0) for c in incident.conditions]
    return f"{max(known):.0%}" if known and max(known) >= 0 else "unknown"


def _resolved(incident: Incident) -> str:
    """Return when an incident was resolved for good, or nothing: one that was opened again is not."""
    return "" if incident.state in UNSETTLED else incident.resolved_at or ""


def _duration(facts: ReportFacts) -> str:
    resolved = _resolved(facts.incident)
    took = since(facts.incident.opened_at, resolved or facts.generated_at)
    if took is None:
        return "unknown"
    return seconds(max(0.0, took)) + ("" if resolved else " so far")


def _condition(document: Mapping[str, object]) -> dict[str, object]:
    evidence = document.get("evidence")
    return {
        "type": document.get("type") or "unknown",
        "component": document.get("component") or "unknown",
        "severity": document.get("severity") or "unknown",
        "method": document.get("method") or "unknown",
        "probe": document.get("probe") or "",
        "external": bool(document.get("external")),
        "message": document.get("message") or "no message",
        "evidence": list(evidence)[:MOST_ROWS] if isinstance(evidence, (list, tuple)) else [],
    }


def _decision(facts: ReportFacts) -> list[tuple[str, object]]:
    """Return the decision's keys with their values: the known ones first, then the others."""
    decision = facts.incident.decision or {}
    if decision and facts.target:
        decision = {"target": facts.target, **decision}
    keys = [k for k in _DECISION if k in decision] + sorted(k for k in decision if k not in _DECISION)
    return [(key.replace("_", " ").capitalize(), decision[key]) for key in keys if decision[key] not in (None, "")]


def _operation(document: Mapping[str, Any]) -> dict[str, object]:
    stages = document.get("stages") or []
    return {
        "number": document.get("operation"),
        "kind": document.get("kind"),
        "outcome": document.get("outcome"),
        "from": short(str(document.get("from") or "")),
        "to": short(str(document.get("to") or "")),
        "actor": document.get("actor"),
        "reason": document.get("reason") or "",
        "started": when(str(document.get("started_at"))),
        "took": seconds(_number(document.get("duration_seconds"))),
        "stages": [
            (s.get("number"), s.get("name"), s.get("outcome"), seconds(_number(s.get("duration_seconds"))))
            for s in stages
        ],
    }


def _clock(incident: Incident, at: str) -> str:
    """Return the time of day, with the date unless it is the day of the opening."""
    if since(incident.opened_at, at) is None:
        return at
    return at[_TIME].rstrip("Z") if at[_DAY] == incident.opened_at[_DAY] else when(at)


def _offset(incident: Incident, at: str) -> str:
    offset = since(incident.opened_at, at)
    return "?" if offset is None else f"{'+' if offset >= 0 else '−'}{seconds(abs(offset))}"  # noqa: RUF001 - a minus


def _number(value: object, otherwise: float = 0.0) -> float:
    return float(value) if isinstance(value, (int, float)) else otherwise
