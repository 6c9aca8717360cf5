"""What each agent does with a message, as its prompt tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mealplan import menu, rules
from mealplan.channels import AgentError, Directory, read_channels
from mealplan.flat import FlatError, number, read_flat
from mealplan.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Message = dict[str, Any]

_COOKS = frozenset({"planning", "shopping"})


@dataclass(frozen=True)
class Agent:
    """One agent as its specification, prompt and configuration describe it."""

    name: str
    prompt: str
    quota: int
    directory: Directory
    journal: Journal
    catalogue: dict[str, list[menu.Meal]]


def load_agent(specification: Path, root: Path) -> Agent:
    """Read everything that makes up an agent."""
    spec = read_flat(specification)
    name = spec.get("name", "")
    if name not in ANSWERS:
        message = f"{specification}: no agent is called {name!r}"
        raise FlatError(message)
    settings_path = root / "config" / f"{name}.yaml"
    settings = read_flat(settings_path)
    try:
        quota = int(number(settings, "request_quota"))
        timeout = number(settings, "upstream_timeout_seconds")
    except FlatError as error:
        message = f"{settings_path}: {error}"
        raise FlatError(message) from error
    prompt = specification.parent / spec.get("prompt", "prompt.md")
    return Agent(
        name=name,
        prompt=prompt.read_text(encoding="utf-8"),
        quota=quota,
        directory=Directory(name, read_channels(root / "protocols"), timeout),
        journal=Journal(root / "conversations", name),
        catalogue=(menu.load_catalogue(root / "config" / "meals.json") if name in _COOKS else {}),
    )


def answer(agent: Agent, message: Message) -> Message:
    """Answer a message and, unless it is a probe, remember the exchange."""
    text = message.get("text")
    if not isinstance(text, str):
        raise AgentError(400, "text is missing")
    result = ANSWERS[agent.name](agent, message)
    if message.get("probe") is not True:
        conversation = str(message.get("conversation", ""))
        agent.journal.append("user", text, conversation)
        agent.journal.append("assistant", str(result["reply"]), conversation)
    return result


def _part(message: Message, key: str, kind: type) -> Any:  # noqa: ANN401
    """Return a part that an earlier agent has to have put into the message."""
    value = message.get(key)
    if not isinstance(value, kind) or not value:
        raise AgentError(400, f"{key} is missing")
    return value


def _parent(agent: Agent, message: Message) -> Message:
    """Send the user's wish to the agents that the prompt names, in order."""
    routes = rules.parse_routes(agent.prompt)
    wish = message["text"].lower()
    wanted = next((phrase for phrase in routes if phrase in wish), None)
    if wanted is None:
        return {"reply": "I can help with: " + ", ".join(routes)}
    result: Message = {}
    for name in routes[wanted]:
        result |= agent.directory.ask(name, message | result)
    return result


def _nutrition(agent: Agent, message: Message) -> Message:
    """Add the day's budget and pass the message on."""
    budget = rules.parse_budget(agent.prompt)
    return agent.directory.ask_next(message | {"budget": budget.as_json()})


def _planning(agent: Agent, message: Message) -> Message:
    """Add the days that could be served and pass the message on."""
    budget = _part(message, "budget", dict)
    try:
        limits = rules.Budget(**budget)
    except TypeError as error:
        raise AgentError(400, f"budget: {error}") from error
    plan_rules = rules.parse_menu(agent.prompt)
    week = []
    for index, name in enumerate(menu.DAYS):
        found = menu.candidates(agent.catalogue, plan_rules, limits, index)
        if not found or not plan_rules.slots:
            raise AgentError(422, f"{name}: nothing to serve")
        week.append({"day": name, "candidates": menu.shortlist(found)})
    return agent.directory.ask_next(message | {"week": week})


def _optimization(agent: Agent, message: Message) -> Message:
    """Pick each day's best candidate."""
    objective = rules.parse_objective(agent.prompt)
    plan = [{"day": day["day"], **menu.choose(day["candidates"], objective)} for day in _part(message, "week", list)]
    return {"reply": menu.describe(plan), "plan": plan}


def _shopping(agent: Agent, message: Message) -> Message:
    """Turn the plan into a shopping list."""
    plan = _part(message, "plan", list)
    items = menu.shopping_list(plan, agent.catalogue)
    return {"reply": f"{len(items)} things to buy", "shopping_list": items}


def _analytics(agent: Agent, message: Message) -> Message:
    """Count what the parent's conversations contain."""
    del message
    turns = list(agent.journal.turns("parent"))
    talks = {turn.get("conversation") for turn in turns}
    plans = sum(turn.get("role") == "assistant" and " kcal a day" in str(turn.get("content")) for turn in turns)
    return {
        "reply": f"{plans} plans in {len(talks)} conversations",
        "statistics": {"plans": plans, "conversations": len(talks)},
    }


ANSWERS: dict[str, Callable[[Agent, Message], Message]] = {
    "parent": _parent,
    "nutrition": _nutrition,
    "planning": _planning,
    "optimization": _optimization,
    "shopping": _shopping,
    "analytics": _analytics,
}
