"""How often stateguard may try by itself (pure)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried so far: attempts in this incident, automatic rollbacks of accepted changes, and their age.

    ``in_reached_state`` says that the live state is one that a rollback reached, still within its own soak;
    ``nowhere`` that no earlier state was found that could be gone back to.
    """

    attempts: int
    last_hour: int
    last_day: int
    in_reached_state: bool
    nowhere: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is allowed."""

    attempts: int = 3
    per_hour: int = 2
    per_day: int = 4


def stopped_by(tried: Tried, budget: Budget) -> str:
    """Return why no further automatic rollback may be tried, or an empty text if it may.

    Putting back a push that was not accepted is never asked about here: it is never withheld.
    """
    if tried.in_reached_state:
        return (
            "the system is in a state that a rollback reached and that has not soaked; going back once more would loop"
        )
    if tried.nowhere:
        return "there is no earlier state that verifies"
    if tried.attempts >= budget.attempts:
        return f"{tried.attempts} attempts were made in this incident"
    if tried.last_hour >= budget.per_hour:
        return f"{tried.last_hour} automatic rollbacks in the last hour"
    if tried.last_day >= budget.per_day:
        return f"{tried.last_day} automatic rollbacks in the last day"
    return ""
