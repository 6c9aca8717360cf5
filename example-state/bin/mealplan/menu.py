"""Turn a catalogue and a budget into days, and a plan into a shopping list."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from mealplan.flat import FlatError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mealplan.rules import Budget, Menu

Meal = dict[str, Any]
Day = dict[str, Any]

DAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
NUTRIENTS = ("kcal", "protein_g", "sodium_mg", "fibre_g", "cost", "minutes")
COLUMNS = {"cost": "cost", "minutes": "minutes", "sodium": "sodium_mg", "kcal": "kcal"}
_STEPS_PER_PORTION = 20
_KEPT_CANDIDATES = 12


def load_catalogue(path: Path) -> dict[str, list[Meal]]:
    """Read the catalogue, grouped by the meal of the day."""
    grouped: dict[str, list[Meal]] = defaultdict(list)
    try:
        for meal in json.loads(path.read_text(encoding="utf-8")):
            _check_meal(meal)
            grouped[meal["meal"]].append(meal)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path}: {error!r}"
        raise FlatError(message) from error
    return dict(grouped)


def _check_meal(meal: Meal) -> None:
    """Fail with KeyError, TypeError or ValueError on an incomplete meal."""
    for key in NUTRIENTS:
        float(meal[key])
    for amount in dict(meal["ingredients"]).values():
        float(amount)
    str(meal["name"])


def totals(meals: Iterable[Meal]) -> dict[str, float]:
    """Add up what a day's meals contain."""
    served = list(meals)
    return {key: round(sum(meal[key] for meal in served), 2) for key in NUTRIENTS}


def portion_factor(kcal: float, budget: Budget) -> float:
    """Return the portion size, in twentieths, that meets the energy budget."""
    if budget.kcal_min is not None and 0 < kcal < budget.kcal_min:
        steps = budget.kcal_min / kcal * _STEPS_PER_PORTION
        return math.ceil(steps) / _STEPS_PER_PORTION
    if budget.kcal_max is not None and kcal > budget.kcal_max:
        steps = budget.kcal_max / kcal * _STEPS_PER_PORTION
        return max(1, math.floor(steps)) / _STEPS_PER_PORTION
    return 1.0


def _serve(meal: Meal, factor: float) -> Meal:
    """Return a meal as it is served: scaled, except for the time it takes."""
    scaled = {key: round(meal[key] * factor, 2) for key in NUTRIENTS}
    return {
        "meal": meal["meal"],
        "name": meal["name"],
        "portions": factor,
        **scaled,
        "minutes": meal["minutes"],
    }


def excess(total: dict[str, float], budget: Budget) -> float:
    """Return how far a day misses its budget, 0 when it keeps it."""
    missed = 0.0
    lows = (
        ("kcal", budget.kcal_min),
        ("protein_g", budget.protein_min_g),
        ("fibre_g", budget.fibre_min_g),
    )
    highs = (("kcal", budget.kcal_max), ("sodium_mg", budget.sodium_max_mg))
    for key, low in lows:
        if low:
            missed += max(0.0, 1 - total[key] / low)
    for key, high in highs:
        if high:
            missed += max(0.0, total[key] / high - 1)
    return missed


def _day(combination: tuple[Meal, ...], budget: Budget) -> Day:
    factor = portion_factor(sum(meal["kcal"] for meal in combination), budget)
    meals = [_serve(meal, factor) for meal in combination]
    return {"meals": meals, "totals": totals(meals)}


def candidates(catalogue: dict[str, list[Meal]], menu: Menu, budget: Budget, day: int) -> list[Day]:
    """Return days that keep the budget, or else those that come closest.

    Each weekday starts at another place in the catalogue, for variety.
    """
    choices = []
    for slot in menu.slots:
        meals = catalogue.get(slot, [])
        start = day % len(meals) if meals else 0
        choices.append((meals[start:] + meals[:start])[: menu.options])
    days = [_day(chosen, budget) for chosen in itertools.product(*choices)]
    keeping = [one for one in days if excess(one["totals"], budget) == 0]
    if keeping:
        return keeping
    return sorted(days, key=lambda one: excess(one["totals"], budget))[:1]


def shortlist(days: list[Day]) -> list[Day]:
    """Keep an even spread of the candidates, so that messages stay small."""
    step = math.ceil(len(days) / _KEPT_CANDIDATES) or 1
    return days[::step]


def choose(days: list[Day], objective: str | None) -> Day:
    """Return the best candidate; the first where nothing is to be minimised."""
    if objective is None:
        return days[0]
    column = COLUMNS[objective]
    return min(days, key=lambda one: float(one["totals"][column]))


def describe(plan: list[Day]) -> str:
    """Say in one line what a plan amounts to."""
    energy = [day["totals"]["kcal"] for day in plan]
    cost = sum(day["totals"]["cost"] for day in plan)
    return f"{len(plan)} days, {min(energy):.0f} to {max(energy):.0f} kcal a day, cost {cost:.2f}"


def shopping_list(plan: list[Day], catalogue: dict[str, list[Meal]]) -> dict[str, int]:
    """Return the grams of each ingredient that a plan needs."""
    known = {meal["name"]: meal for meals in catalogue.values() for meal in meals}
    grams: dict[str, float] = defaultdict(float)
    for served in itertools.chain.from_iterable(day["meals"] for day in plan):
        recipe = known.get(served["name"], {"ingredients": {}})
        for ingredient, amount in recipe["ingredients"].items():
            grams[ingredient] += amount * served["portions"]
    return {name: math.ceil(grams[name]) for name in sorted(grams)}
