"""Pins of pushes that were tried: gone when the push is answered, whatever the answer."""

from __future__ import annotations

from stateguard.errors import NotFoundError, StateguardError
from stateguard.guard.compose import Guard
from stateguard.host.logs import failure
from stateguard.model.identity import CANDIDATES, GUARD, WITHDRAWN, ZERO
from stateguard.model.transition import Outcome
from stateguard.record.audit import Entry
from stateguard.state.repository import RefMove


def drop_candidates(guard: Guard) -> None:
    """Remove the pins of operations that ended; what failed stays reachable as withdrawn.

    An answer is never changed by this: what goes wrong is logged, and tried again at the next push or start.
    """
    try:
        for name, commit in guard.repository.refs(CANDIDATES).items():
            moves = _moves(guard, name, commit)
            if moves:
                body = {"moves": [[m.name, m.old, m.new] for m in moves]}
                guard.books.audit.append([Entry("ref", GUARD, body)], moves)
    except StateguardError:
        failure("the pin of an answered push could not be removed")


def _moves(guard: Guard, name: str, commit: str) -> list[RefMove]:
    number = name.removeprefix(CANDIDATES)
    try:
        outcome = guard.books.journal.get(int(number)).outcome
    except (ValueError, NotFoundError):
        return []  # none of ours
    if outcome is None:
        return []
    moves = [RefMove(name, ZERO, commit)]
    if outcome == str(Outcome.FAILED) and guard.repository.ref(WITHDRAWN + number) is None:
        moves.append(RefMove(WITHDRAWN + number, commit, ZERO))
    return moves
