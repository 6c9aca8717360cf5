"""Ask the running system for a week and check the answer.

The limits come from ``config/limits.yaml``, not from any prompt: the agents
may all be up and still be wrong. Prints one line; exit status 0 or 1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mealplan.channels import AgentError, post
from mealplan.flat import FlatError, number, read_flat
from mealplan.menu import totals

_TIMEOUT_SECONDS = 4.0
_RULES = (
    ("kcal_max", "kcal", "kcal"),
    ("kcal_min", "kcal", "kcal"),
    ("sodium_max_mg", "sodium_mg", "mg sodium"),
    ("protein_min_g", "protein_g", "g protein"),
    ("fibre_min_g", "fibre_g", "g fibre"),
)


def check_day(day: dict[str, Any], limits: dict[str, str]) -> str | None:
    """Return what is wrong with one day, or None."""
    name, meals = day["day"], day["meals"]
    fewest = number(limits, "meals_min")
    if len(meals) < fewest:
        return f"{name}: {len(meals)} meals, fewer than {fewest:g}"
    total = totals(meals)
    for key, nutrient, unit in _RULES:
        limit, value = number(limits, key), total[nutrient]
        if "_max" in key and value > limit:
            return f"{name}: {value:.0f} {unit} exceeds {limit:g}"
        if "_min" in key and value < limit:
            return f"{name}: {value:.0f} {unit} is below {limit:g}"
    return None


def check_plan(plan: list[dict[str, Any]], limits: dict[str, str]) -> str | None:
    """Return the first thing that is wrong with a plan, or None."""
    expected = number(limits, "days")
    if len(plan) != expected:
        return f"the plan has {len(plan)} days, not {expected:g}"
    problems = (check_day(day, limits) for day in plan)
    return next((problem for problem in problems if problem), None)


def fetch_plan(endpoint: str) -> list[dict[str, Any]]:
    """Ask the parent; raises AgentError when there is no plan."""
    wish = {"text": "plan my week", "conversation": "probe", "probe": True}
    plan = post(endpoint, wish, _TIMEOUT_SECONDS).get("plan")
    if not isinstance(plan, list):
        raise AgentError(502, "the answer holds no plan")
    return plan


def main() -> int:
    """Run the probe and return the exit status."""
    try:
        limits = read_flat(Path("config/limits.yaml"))
        endpoint = read_flat(Path("protocols/user.yaml")).get("endpoint", "")
        plan = fetch_plan(endpoint)
        problem = check_plan(plan, limits)
    except AgentError as error:
        problem = f"no plan: {error}"
    except (FlatError, OSError, KeyError, TypeError) as error:
        problem = f"cannot check the plan: {error}"
    else:
        if problem is None:
            print(f"{len(plan)} days within limits")
            return 0
    print(problem)
    return 1


if __name__ == "__main__":
    sys.exit(main())
