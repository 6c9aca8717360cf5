"""The readers of prompts and flat files, and the rule engine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from mealplan import menu, rules
from mealplan.flat import FlatError, number, parse_flat, read_flat
from probe_plan import check_plan

from .system import EXAMPLE

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = read_flat(EXAMPLE / "config" / "limits.yaml")
KEYS = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
WORDS = st.from_regex(r"[A-Za-z0-9./:-]{1,20}", fullmatch=True)


def plan_for(prompt: str) -> list[menu.Day]:
    """Plan a week with a nutrition prompt and the example's other files."""
    catalogue = menu.load_catalogue(EXAMPLE / "config" / "meals.json")
    served = rules.parse_menu((EXAMPLE / "agents/planning/prompt.md").read_text())
    aim = (EXAMPLE / "agents/optimization/prompt.md").read_text()
    budget = rules.parse_budget(prompt)
    return [
        {
            "day": name,
            **menu.choose(
                menu.shortlist(menu.candidates(catalogue, served, budget, index)),
                rules.parse_objective(aim),
            ),
        }
        for index, name in enumerate(menu.DAYS)
    ]


@given(st.dictionaries(KEYS, WORDS), st.sampled_from(["", '"', "'"]))
def test_flat_values_come_back(values: dict[str, str], quote: str) -> None:
    """What is written plainly or quoted is read as it was."""
    lines = [f"{key}: {quote}{value}{quote}  # why" for key, value in values.items()]
    text = "# head\n" + "\n".join(lines) + "\n  nested: 1\n- item: 2\n# tail\n"
    assert parse_flat(text) == values


@given(st.text())
def test_flat_reader_takes_any_text(text: str) -> None:
    """Whatever a file holds, the answer is values or FlatError."""
    try:
        values = parse_flat(text)
    except FlatError:
        return
    assert all(re.fullmatch(r"[\w-]+", key) for key in values)


def test_flat_errors_say_where(tmp_path: Path) -> None:
    """A key given twice and a value that is no number are named."""
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\na: 2\n")
    with pytest.raises(FlatError, match=r"a\.yaml: line 2: a is given twice"):
        read_flat(path)
    with pytest.raises(FlatError, match="a: 'x' is not a number"):
        number({"a": "x"}, "a")
    with pytest.raises(FlatError, match="b is missing"):
        number({}, "b")


@given(st.integers(0, 9999), st.integers(0, 9999), st.text(alphabet="abc \n-"))
def test_budget_is_what_the_prompt_states(low: int, high: int, noise: str) -> None:
    """Numbers are found in any surroundings; unstated limits are None."""
    prompt = f"{noise}- Energy: {low} to {high} kcal a day\n{noise}"
    assert rules.parse_budget(prompt) == rules.Budget(kcal_min=low, kcal_max=high)


@given(st.text())
def test_prompts_are_any_text(prompt: str) -> None:
    """No prompt breaks the parsers."""
    assert str(rules.parse_budget(prompt))
    assert rules.parse_menu(prompt).options >= 1
    assert rules.parse_objective(prompt) in {None, *menu.COLUMNS}
    assert isinstance(rules.parse_routes(prompt), dict)


def test_routes() -> None:
    """The parent's prompt names the agents in order."""
    prompt = (EXAMPLE / "agents/parent/prompt.md").read_text()
    assert rules.parse_routes(prompt)["shopping list"] == ["nutrition", "shopping"]


@given(st.floats(100, 9000), st.floats(1500, 2000), st.floats(2100, 2600))
def test_portions_meet_the_energy_budget(kcal: float, low: float, high: float) -> None:
    """Scaling never leaves the day on the wrong side of the budget."""
    budget = rules.Budget(kcal_min=low, kcal_max=high)
    scaled = kcal * menu.portion_factor(kcal, budget)
    if kcal < low:
        assert scaled >= low - 1e-6
    elif kcal > high:
        assert scaled <= high + 1e-6
    else:
        assert scaled == kcal


@pytest.mark.parametrize(
    ("stated", "instead", "problem"),
    [
        ("", "", None),
        ("- Sodium: at most 2300 mg a day", "", "mg sodium exceeds 2400"),
        ("1800 to 2200 kcal", "2500 to 2600 kcal", "kcal exceeds 2300"),
        ("1800 to 2200 kcal", "900 to 1200 kcal", "kcal is below 1700"),
    ],
)
def test_the_plan_follows_the_prompt(stated: str, instead: str, problem: str | None) -> None:
    """The shipped prompt keeps the limits; a careless edit of it does not."""
    prompt = (EXAMPLE / "agents/nutrition/prompt.md").read_text()
    assert stated in prompt
    found = check_plan(plan_for(prompt.replace(stated, instead)), LIMITS)
    assert problem in (found or "") if problem else found is None


def test_short_plans_are_wrong() -> None:
    """The probe also counts days and meals."""
    assert check_plan([], LIMITS) == "the plan has 0 days, not 7"
    empty: list[menu.Day] = [{"day": day, "meals": []} for day in menu.DAYS]
    assert check_plan(empty, LIMITS) == "Monday: 0 meals, fewer than 3"


def test_a_broken_catalogue_is_named(tmp_path: Path) -> None:
    """An incomplete meal stops the agent at its start, with the file's name."""
    path = tmp_path / "meals.json"
    for text in ("{", "[1]", '[{"meal": "lunch", "kcal": 3}]', "3"):
        path.write_text(text)
        with pytest.raises(FlatError, match=r"meals\.json"):
            menu.load_catalogue(path)


def test_ports_stand_in_yaml_only() -> None:
    """Copies get other ports by replacing them in the YAML files."""
    files = [path for path in EXAMPLE.rglob("*") if path.is_file()]
    found = {p.suffix for p in files if re.search(rb"\b910[1-7]\b", p.read_bytes())}
    assert found == {".yaml"}


def test_seed_conversation_is_valid() -> None:
    """The shipped turns have every field."""
    text = (EXAMPLE / "conversations/parent.jsonl").read_text()
    for line in text.splitlines():
        assert set(json.loads(line)) == {"id", "at", "role", "content", "conversation"}
