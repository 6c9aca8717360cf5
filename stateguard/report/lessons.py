"""What follows from an incident: how its change comes back mended, and what would prevent the next one (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stateguard.model.identity import is_revision
from stateguard.model.transition import Kind, Outcome
from stateguard.model.tree import Stage
from stateguard.report.targets import Verdict, since
from stateguard.text.words import joined, seconds

Operations = Sequence[Mapping[str, Any]]
"""The JSON documents of operations, oldest first."""

_SLOW_SECONDS = 60.0


class Fate(StrEnum):
    """What became of the change that is blamed."""

    NONE = "none"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    IN_FORCE = "in force"


def fate(operations: Operations, *, blamed: bool, forward_commit: str) -> Fate:
    """Return what became of the blamed change.

    With a forward commit main had moved and the change was withdrawn from it. Without one, a failed apply means
    that the push was rejected and main never moved.
    """
    if not blamed:
        return Fate.NONE
    if forward_commit:
        return Fate.WITHDRAWN
    if last(operations, Kind.APPLY, Outcome.FAILED):
        return Fate.REJECTED
    return Fate.WITHDRAWN if last(operations, Kind.ROLLBACK, Outcome.SUCCEEDED) else Fate.IN_FORCE


def last(operations: Operations, kind: Kind, outcome: Outcome | None = None) -> Mapping[str, Any] | None:
    """Return the last operation of a kind, with an outcome if one is given."""
    fit = [o for o in operations if o.get("kind") == kind and outcome in (None, o.get("outcome"))]
    return fit[-1] if fit else None


def mending(what: Fate, revisions: Sequence[str], forward_commit: str, incident: int) -> str:
    """Return the shell commands by which the author brings the change back and mends it; revisions newest first."""
    known = [r for r in revisions if is_revision(r)]
    if what is Fate.REJECTED:
        lines = ["# main never moved: the change is still in your clone. Mend it there.", "git fetch origin"]
        lines += [
            "git rebase -i origin/main" if len(revisions) > 1 else "git commit --amend",
            "git push origin HEAD:main",
        ]
    elif what is Fate.WITHDRAWN:
        undone = forward_commit if is_revision(forward_commit) else ""
        undone = undone or f"\"$(git log -1 --format=%H --grep='^Incident: {incident}$' origin/main)\""
        lines = ["git fetch origin", "git checkout -b mend origin/main"]
        lines += ["# undo the rollback, so that the change is back", f"git revert --no-edit {undone}"]
        lines += ["# mend it, then", "git commit -a", "git push origin HEAD:main"]
    elif what is Fate.IN_FORCE and known:
        lines = ["git fetch origin", "git checkout -b mend origin/main"]
        lines += ["# take the change out", f"git revert --no-edit {' '.join(known)}", "git push origin HEAD:main"]
    else:
        return ""
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Findings:
    """What proposals are derived from. ``displaced`` counts the paths whose data were set aside."""

    conditions: Sequence[Mapping[str, object]]
    operations: Operations
    opened_at: str
    fate: Fate
    verdicts: Sequence[Verdict]
    displaced: int


def proposals(findings: Findings) -> tuple[str, ...]:
    """Return what would prevent the incident or shorten the next one; only what the facts bear out."""
    found = [*_detection(findings), *_validation(findings), *_coverage(findings)]
    late = [v.milestone.name for v in findings.verdicts if v.reached_seconds is not None and not v.met]
    if late:
        found.append(
            f"The response was late ({joined(late)}): rehearse it with stateguard drill, and look where the time went."
        )
    if findings.displaced:
        found.append("Look through the displaced data, and put back what must not be lost.")
    return tuple(found)


def _detection(findings: Findings) -> list[str]:
    names = [str(c["probe"]) for c in findings.conditions if c.get("probe") and not c.get("external")]
    change = last(findings.operations, Kind.APPLY)
    if not names or change is None or findings.fate is Fate.NONE:
        return []
    took = since(str(change.get("started_at")), findings.opened_at)
    if took is None or took < 0:
        return []
    probe = joined(list(dict.fromkeys(names))[:3])
    if findings.fate is Fate.REJECTED and took <= _SLOW_SECONDS:
        return [f"Keep the probe {probe} required: it caught the change {seconds(took)} after its apply began."]
    advice = "a shorter period, or a probe that does what failed, may catch the next one before it is accepted"
    return [f"The probe {probe} caught the change only {seconds(took)} after its apply began: {advice}."]


def _validation(findings: Findings) -> list[str]:
    change = last(findings.operations, Kind.APPLY, Outcome.FAILED)
    stages = (change or {}).get("stages") or []
    if any(s.get("number") == Stage.VALIDATE and s.get("outcome") == Outcome.FAILED for s in stages):
        advice = "run the failing check before pushing, in the author's own tests or in CI"
        return [f"The change was valid as text and failed only when it ran: {advice}."]
    return []


def _coverage(findings: Findings) -> list[str]:
    found = []
    mute = [
        str(c.get("component")) for c in findings.conditions if c.get("type") == "AGENT_FAILED" and not c.get("probe")
    ]
    if mute:
        names = joined(list(dict.fromkeys(mute))[:5])
        found.append(f"Only the process state told of {names}: a readiness probe would say why, and sooner.")
    if findings.conditions and all(c.get("external") for c in findings.conditions):
        found.append("What failed lies outside the system: let the agents that use it do without it for a while.")
    return found
