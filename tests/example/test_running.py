"""The six agents as real processes, whole and broken."""

from __future__ import annotations

import http.client
import json
import re
from typing import TYPE_CHECKING

from .system import DEADLINE, EXAMPLE, NAMES
from .test_memory import remembered

if TYPE_CHECKING:
    from .system import System

QUOTA = 8


def test_a_week_is_planned_bought_and_counted(system: System) -> None:
    """Every agent does its work, and the conversations are kept."""
    system.start_all()
    assert system.probe() == (0, "7 days within limits")
    assert len(system.say("Plan my week, please")["plan"]) == 7
    assert system.say("shopping list")["shopping_list"]["rolled oats"] > 0
    statistics = system.say("how are we doing?")["statistics"]
    assert statistics == {"plans": 2, "conversations": 2}
    assert "plan my week" in system.say("sing")["reply"]

    path = system.root / "conversations" / "nutrition.jsonl"
    turns = [json.loads(line) for line in path.read_text().splitlines()]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert all(turn["conversation"] == "test" for turn in turns)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", turns[0]["at"])
    metrics = system.request("nutrition", "/metrics")[1]
    assert 'agent_requests_total{agent="nutrition"} 3\n' in metrics
    assert 'agent_ready{agent="nutrition"} 1\n' in metrics
    assert [system.stop(name) for name in NAMES] == [0] * len(NAMES)


def test_probes_leave_no_trace(system: System) -> None:
    """A probe is not a conversation."""
    seed = (EXAMPLE / "conversations" / "parent.jsonl").read_text()
    system.start_all()
    assert system.probe()[0] == 0
    assert system.stop("shopping") == 0
    files = sorted((system.root / "conversations").iterdir())
    assert [path.name for path in files] == ["parent.jsonl", "shopping.db"]
    assert files[0].read_text() == seed
    assert remembered(files[1]) == []


def test_bad_requests_are_answered(system: System) -> None:
    """Nonsense gets a reason, not a dropped connection."""
    system.start("optimization")
    system.first_line("optimization")
    bodies = ("", "[]", "{}", '{"text": "x"}', '{"text": "x", "week": [{}]}')
    for body in bodies:
        status, reply = system.request("optimization", "/message", body)
        assert (status, "error" in json.loads(reply)) == (400, True), body
    assert system.request("optimization", "/nothing")[0] == http.client.NOT_FOUND


def test_a_trailing_comment_is_harmless(system: System) -> None:
    """Every configuration file may end with a comment."""
    for path in (system.root / "config").glob("*.yaml"):
        path.write_text(path.read_text() + "# checked: by nobody\n")
    system.start_all()
    assert system.probe()[0] == 0


def test_will_not_start(system: System) -> None:
    """The process ends at once and says why."""
    system.edit("will-not-start")
    assert system.start("nutrition").wait(DEADLINE) == 1
    line = system.first_line("nutrition")
    assert line == "nutrition: cannot start: PORT is missing\n"


def test_wrong_answers(system: System) -> None:
    """Everything is healthy; only the functional probe knows better."""
    system.edit("wrong-answers")
    system.start_all()
    status, line = system.probe()
    assert status == 1
    assert re.fullmatch(r"Monday: \d{4} kcal exceeds 2300", line)
    assert all(system.health(name)[0] == http.client.OK for name in NAMES)


def test_bad_later(system: System) -> None:
    """It works eight times, then stays bad until restarted as it was."""
    good = (system.root / "config" / "nutrition.yaml").read_text()
    system.edit("bad-later")
    system.start_all()
    for _ in range(QUOTA):
        assert system.health("nutrition")[0] == http.client.OK
        assert "plan" in system.say("plan my week")
    status, body = system.health("nutrition")
    assert status == http.client.SERVICE_UNAVAILABLE
    assert json.loads(body)["reason"] == "request quota of 8 used up"
    expected = "no plan: nutrition: request quota of 8 used up"
    assert system.probe() == (1, expected)
    assert all(system.health(n)[0] == http.client.OK for n in NAMES if n != "nutrition")

    (system.root / "config" / "nutrition.yaml").write_text(good)
    assert system.stop("nutrition") == 0
    system.start("nutrition")
    system.first_line("nutrition")
    assert system.probe()[0] == 0


def test_a_missing_agent_is_named(system: System) -> None:
    """The probe says where the chain is broken."""
    system.start_all()
    assert system.stop("planning") == 0
    status, line = system.probe()
    assert status == 1
    assert f"no answer from 127.0.0.1:{system.ports['planning']}" in line


def test_a_prompt_without_limits_plans_badly(system: System) -> None:
    """The rules really come from the prompt."""
    prompt = system.root / "agents" / "nutrition" / "prompt.md"
    prompt.write_text("You are a helpful assistant.\n")
    system.start_all()
    assert system.probe()[0] == 1
