"""Find the rules that a prompt states.

The agents obey their prompts and nothing else: a rule that a prompt does not
state is not kept, and a wrong one is followed to the letter.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

_NUMBER = r"(\d+(?:\.\d+)?)"
_ENERGY = re.compile(rf"Energy: {_NUMBER} to {_NUMBER} kcal\b")
_PROTEIN = re.compile(rf"Protein: at least {_NUMBER} g\b")
_SODIUM = re.compile(rf"Sodium: at most {_NUMBER} mg\b")
_FIBRE = re.compile(rf"Fibre: at least {_NUMBER} g\b")
_MEALS = re.compile(r"Meals: (\w+(?:, \w+)*)")
_OPTIONS = re.compile(r"Options: (\d+) for each meal\b")
_OBJECTIVE = re.compile(r"Minimise: (cost|minutes|sodium|kcal)\b")
_OBEYS = re.compile(r"^- Limits that users name go first\b", re.MULTILINE)
_ROUTE = re.compile(r'^- "([^"\n]+)": ask (\w+(?:, then \w+)*)', re.MULTILINE)


@dataclass(frozen=True)
class Budget:
    """What one day may contain; None where the prompt sets no limit."""

    kcal_min: float | None = None
    kcal_max: float | None = None
    protein_min_g: float | None = None
    sodium_max_mg: float | None = None
    fibre_min_g: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the budget as a message to another agent carries it."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the stated limits in a few words."""
        stated = [f"{k}={v:g}" for k, v in asdict(self).items() if v is not None]
        return ", ".join(stated) or "no limits"


@dataclass(frozen=True)
class Menu:
    """How a day is made up."""

    slots: tuple[str, ...]
    options: int


def _first(pattern: re.Pattern[str], prompt: str) -> float | None:
    found = pattern.search(prompt)
    return float(found[1]) if found else None


def parse_budget(prompt: str) -> Budget:
    """Read the nutrition agent's limits."""
    energy = _ENERGY.search(prompt)
    return Budget(
        kcal_min=float(energy[1]) if energy else None,
        kcal_max=float(energy[2]) if energy else None,
        protein_min_g=_first(_PROTEIN, prompt),
        sodium_max_mg=_first(_SODIUM, prompt),
        fibre_min_g=_first(_FIBRE, prompt),
    )


def obeys_users(prompt: str) -> bool:
    """Say whether the prompt lets users overrule its limits."""
    return _OBEYS.search(prompt) is not None


def parse_menu(prompt: str) -> Menu:
    """Read how many meals the planning agent serves, and its choice for each."""
    meals = _MEALS.search(prompt)
    options = _OPTIONS.search(prompt)
    return Menu(
        slots=tuple(meals[1].split(", ")) if meals else (),
        options=max(1, int(options[1])) if options else 1,
    )


def parse_objective(prompt: str) -> str | None:
    """Read what the optimization agent minimises; None means nothing."""
    found = _OBJECTIVE.search(prompt)
    return found[1] if found else None


def parse_routes(prompt: str) -> dict[str, list[str]]:
    """Read which agents the parent asks, in order, for each phrase."""
    return {phrase.lower(): agents.split(", then ") for phrase, agents in _ROUTE.findall(prompt)}
