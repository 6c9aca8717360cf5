"""The timeline of an incident against what must have happened by when (pure).

Source of the milestones and their times: the response timeline of the emergency procedures. A milestone is found in the
timeline by the words of an event before its details (``rolled back to baseline/3: ...``); a clause that says that
something failed or was not done is no milestone. What presupposes a milestone proves it: who has rolled back has chosen
to. Opening and resolving an incident are part of its timeline whether or not they are listed, and so is its first
report, which is the preliminary analysis.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stateguard.model.incident import UNSETTLED, Incident, IncidentState, TimelineEvent
from stateguard.model.moment import parse_rfc3339
from stateguard.text.words import seconds

_OPERATION = re.compile(r"^operation \d+(?: \(\w+\))?:\s*")
_DETAILS = re.compile(r"[:(\n]")
_CLAUSE = re.compile(r"[,;.]\s")
_DENIED = re.compile(r"\b(?:not|no|never|nothing|failed|fails|cannot|could|refused|withheld)\b")


@dataclass(frozen=True, slots=True)
class Milestone:
    """Something that must have happened so many seconds after the incident was opened.

    ``words`` is a regular expression; ``proved_by`` names the milestones that cannot be reached without this one.
    ``lost`` says that a milestone is lost again when the incident returns to OPEN.
    """

    name: str
    within_seconds: float
    words: str
    proved_by: tuple[str, ...] = ()
    lost: bool = False


MILESTONES = (
    Milestone("detected", 30, r"detected|opened", ("classified", "stabilised")),
    Milestone("classified", 30, r"classified|opened|severity|level [1-4]", ("recovery strategy chosen",)),
    Milestone(
        "stabilised", 30, r"stabilised|contained|isolated|emergency backup|agents? stopped", ("recovery executed",)
    ),
    Milestone(
        "recovery strategy chosen",
        120,
        r"strategy|decision|decided|chosen|proposed|mitigating|rolling back|going back|rollback (?:began|started)",
        ("recovery executed",),
    ),
    Milestone(
        "recovery executed", 600, r"rolled back|put back|recovered|restored", ("restoration validated",), lost=True
    ),
    Milestone("restoration validated", 600, r"validated|resolved|(?<!\d )healthy|(\d+)/\1 healthy", lost=True),
    Milestone("preliminary analysis", 1800, r"analysis|analysed|root cause|report"),
)
"""The shipped milestones, in order."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One milestone and whether it was met; ``reached_seconds`` counts from the opening, None: not reached."""

    milestone: Milestone
    reached_seconds: float | None
    result: str

    @property
    def met(self) -> bool:
        """Whether it was reached in time."""
        return self.reached_seconds is not None and self.reached_seconds <= self.milestone.within_seconds


def since(opened_at: str, at: str) -> float | None:
    """Return the seconds between two RFC 3339 times, or None if one of them is no time."""
    try:
        return parse_rfc3339(at) - parse_rfc3339(opened_at)
    except (ValueError, OverflowError):
        return None


def judge(incident: Incident, now: str, milestones: Sequence[Milestone] = MILESTONES) -> tuple[Verdict, ...]:
    """Return the verdict on every milestone as of ``now`` (RFC 3339)."""
    reached: dict[str, float] = {}
    lost = {m.name for m in milestones if m.lost}
    for event in _events(incident, now):
        if event.event.startswith(f"{IncidentState.OPEN}:"):
            reached = {name: offset for name, offset in reached.items() if name not in lost}
        offset = since(incident.opened_at, event.at)
        if offset is not None:
            for milestone in milestones:
                if _names(milestone, event.event):
                    reached[milestone.name] = min(offset, reached.get(milestone.name, offset))
    for milestone in reversed(milestones):
        proofs = [reached[name] for name in (milestone.name, *milestone.proved_by) if name in reached]
        if proofs:
            reached[milestone.name] = min(proofs)
    passed = since(incident.opened_at, now)
    settled = incident.state not in UNSETTLED
    return tuple(
        Verdict(m, reached.get(m.name), _result(m, reached.get(m.name), passed, settled=settled)) for m in milestones
    )


def _events(incident: Incident, now: str) -> tuple[TimelineEvent, ...]:
    ends = []
    if incident.resolved_at and incident.state not in UNSETTLED:
        ends.append(TimelineEvent(incident.resolved_at, "resolved"))
    if incident.report is None:
        ends.append(TimelineEvent(now, "report"))
    return (TimelineEvent(incident.opened_at, "opened"), *incident.timeline, *ends)


def _names(milestone: Milestone, event: str) -> bool:
    head = _DETAILS.split(_OPERATION.sub("", event.strip().lower()), maxsplit=1)[0]
    pattern = re.compile(rf"\b(?:{milestone.words})\b")
    return any(pattern.search(clause) and not _DENIED.search(clause) for clause in _CLAUSE.split(head))


def _result(milestone: Milestone, reached: float | None, passed: float | None, *, settled: bool) -> str:
    if reached is not None:
        late = reached - milestone.within_seconds
        return "met" if late <= 0 else f"not met, {seconds(late)} late"
    late = (passed or 0.0) - milestone.within_seconds
    if late <= 0:
        return "open"
    return "not met, not in the timeline" if settled else f"open, {seconds(late)} overdue"
