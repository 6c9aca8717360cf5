"""What a rollback goes back to (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stateguard.model.baseline import Baseline, before_onset


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of the live state: its main commit, the commit live before it, and when it was applied.

    ``before_was_well`` says that the state before it was healthy when it was left.
    """

    revision: str
    before: str | None
    applied_at: str
    before_was_well: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rollback may go: a main commit, its name for people, and why it is a candidate."""

    revision: str
    label: str
    reason: str
    baseline: int | None = None


def targets(change: Change | None, baselines: Sequence[Baseline], onset_at: str, head: str) -> tuple[Target, ...]:
    """Return the states to go back to for a failure that began at ``onset_at`` (RFC 3339), best first.

    First without the culprit alone, if the state before it was well: later good changes stay and the least is
    lost. Then the confirmed baselines signed before the onset, newest first. ``head`` is never a target.
    """
    found: list[Target] = []
    named = {b.statement.revision: b for b in sorted(baselines, key=lambda b: b.statement.number) if b.usable}
    if change is not None and change.before is not None and change.before_was_well and change.before != head:
        same = named.get(change.before)
        label = f"baseline/{same.statement.number}" if same else f"the state before {change.revision[:10]}"
        why = "the state just before the change was well; going back to it takes the culprit away and nothing else"
        found.append(Target(change.before, label, why, same.statement.number if same else None))
    for baseline in before_onset(tuple(baselines), onset_at):
        revision = baseline.statement.revision
        if revision != head and all(t.revision != revision for t in found):
            number = baseline.statement.number
            why = f"signed {baseline.statement.issued_at} after its soak, before the trouble began"
            found.append(Target(revision, f"baseline/{number}", why, number))
    return tuple(found)
