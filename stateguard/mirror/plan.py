"""What to send to a mirror, given what is here, what was sent before and what the mirror holds; pure.

A mirror's ref may hold only what this guard has put there. Anything else (moved, deleted, added by somebody) is a
conflict, and a mirror with a conflict is sent nothing until a person has decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from stateguard.model.identity import AUDIT, BASELINE_TAGS, CANDIDATES, COSIGNED, INCIDENTS, MAIN, WITHDRAWN, ZERO

CAPTURED = "refs/captured/"
"""Where a trusted mirror keeps the refs of captured.git: ``refs/X`` there is ``refs/captured/X`` here."""

_TAGS = "refs/tags/"
_OURS_ALONE = ("refs/stateguard/", BASELINE_TAGS, CAPTURED)


class Kind(StrEnum):
    """How a ref may move: only to what continues it, not at all, or anywhere."""

    GROWING = "growing"
    FIXED = "fixed"
    MOVING = "moving"


class Why(StrEnum):
    """Why a ref is in conflict."""

    MOVED_THERE = "somebody moved it there"
    DELETED_THERE = "somebody deleted it there"
    ADDED_THERE = "somebody added it there"
    REWRITTEN_HERE = "what is here does not continue it"
    CHANGED_HERE = "it was changed here, and may not be"
    LOST_HERE = "it is missing here, and may not be deleted"


@dataclass(frozen=True, slots=True)
class Known:
    """What this guard put into one ref of a mirror.

    ``held`` is what the mirror is known to have taken, None if nothing. ``sent`` may or may not have arrived; 40 zeros
    stand for a deletion. ``permitted`` is what a person has seen there and allowed to be overwritten.
    """

    held: str | None = None
    sent: frozenset[str] = frozenset()
    permitted: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One ref of a mirror, what it must hold, and what it is to hold then; 40 zeros: nothing."""

    ref: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """One ref that a person must decide about; 40 zeros: nothing is there, or here."""

    ref: str
    theirs: str
    ours: str
    why: Why


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: ``moves``, and none if there are ``conflicts``. ``holds`` is what the mirror has of ours now.

    ``extra`` are refs of others, which are left alone.
    """

    moves: tuple[Move, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    holds: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What can be asked about objects here: whether one is here, and whether a commit continues another."""

    has: Callable[[str], bool]
    continues: Callable[[str, str], bool]


def goes_out(ref: str) -> bool:
    """Say whether a ref of repo.git belongs on a mirror: all do but pushes that are being tried."""
    return not ref.startswith(CANDIDATES)


def captured_name(ref: str) -> str:
    """Return the name under which a trusted mirror keeps a ref of captured.git."""
    return CAPTURED + ref.removeprefix("refs/")


def kind_of(ref: str) -> Kind:
    """Return how a ref may move. Tags and withdrawn commits never do; main, incidents and audit only grow."""
    if ref in (MAIN, INCIDENTS, AUDIT):
        return Kind.GROWING
    if ref.startswith((_TAGS, COSIGNED, WITHDRAWN)):
        return Kind.FIXED
    return Kind.MOVING


def decide(ours: Mapping[str, str], theirs: Mapping[str, str], known: Mapping[str, Known], history: History) -> Plan:
    """Return what to send; the maps are from a mirror's ref names to object ids."""
    moves, conflicts, extra, holds = [], [], [], {}
    for ref in sorted({*ours, *theirs, *known}):
        here, there, of_ours = ours.get(ref, ZERO), theirs.get(ref, ZERO), known.get(ref, Known())
        if there != ZERO and (there in (here, of_ours.held) or there in of_ours.sent):
            holds[ref] = there
        if here == there:
            continue
        if here == ZERO and of_ours == Known() and not ref.startswith(_OURS_ALONE):
            extra.append(ref)
            continue
        why = _conflict(ref, here, there, of_ours, history)
        if why is None:
            moves.append(Move(ref, there, here))
            if there not in (ZERO, of_ours.permitted):
                holds[ref] = there
        else:
            conflicts.append(Conflict(ref, there, here, why))
    return Plan(() if conflicts else tuple(moves), tuple(conflicts), holds, tuple(extra))


def missing(ours: Mapping[str, str], known: Mapping[str, Known]) -> tuple[str, ...]:
    """Return the refs that a mirror is not known to hold as they are here."""
    held = {ref: one.held for ref, one in known.items() if one.held is not None}
    return tuple(sorted(ref for ref in {*ours, *held} if ours.get(ref) != held.get(ref)))


def either(before: Mapping[str, Known], after: Mapping[str, Known]) -> dict[str, Known]:
    """Return what may have been put there in a time during which another process may have sent something too."""
    found = dict(after)
    for ref in {*before, *after}:
        old, new = before.get(ref, Known()), after.get(ref, Known())
        if old != new:
            found[ref] = replace(new, sent=new.sent | old.sent | {old.held or ZERO})
    return found


def batches(moves: Iterable[Move], most: int) -> list[tuple[Move, ...]]:
    """Return moves in parts of at most so many, main and the audit chain in the last."""
    ordered = sorted(moves, key=lambda move: (kind_of(move.ref) is Kind.GROWING, move.ref))
    return [tuple(ordered[n : n + most]) for n in range(0, len(ordered), most)]


def _conflict(ref: str, here: str, there: str, known: Known, history: History) -> Why | None:
    """Return why a ref that differs may not be made equal, or None."""
    if known.permitted == there:
        return None
    put = known.held is not None or bool(known.sent)
    if put and not _may_be(there, known):
        return Why.DELETED_THERE if there == ZERO else Why.MOVED_THERE
    if there == ZERO:
        return None
    if not put and here == ZERO:
        return Why.ADDED_THERE
    kind = kind_of(ref)
    if not put and (kind is Kind.FIXED or not history.has(there)):
        return Why.MOVED_THERE
    return _not_that_way(kind, here, there, history)


def _may_be(there: str, known: Known) -> bool:
    """Say whether what is there can be what this guard put there."""
    if there == ZERO:
        return known.held is None or ZERO in known.sent
    return there == known.held or there in known.sent


def _not_that_way(kind: Kind, here: str, there: str, history: History) -> Why | None:
    """Return why a ref that holds what was here once may not become what is here now, or None."""
    if kind is Kind.MOVING:
        return None
    if here == ZERO:
        return Why.LOST_HERE
    if kind is Kind.FIXED:
        return Why.CHANGED_HERE
    return None if history.continues(there, here) else Why.REWRITTEN_HERE
