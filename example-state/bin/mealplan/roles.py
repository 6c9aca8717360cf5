"""What each agent does with a message, as its prompt tells it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mealplan import menu, rules
from mealplan.channels import OUTSIDE, AgentError, Directory, read_channels
from mealplan.flat import FlatError, read_flat
from mealplan.journal import Journal
from mealplan.memory import Memory
from mealplan.process import Trace
from mealplan.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Message = dict[str, Any]

_COOKS = frozenset({"planning", "shopping"})
_FORMATS = frozenset({"", "1"})


@dataclass(frozen=True)
class Agent:
    """One agent as its specification, prompt and configuration describe it."""

    name: str
    prompt: str
    settings: Settings
    directory: Directory
    journal: Journal
    memory: Memory | None
    trace: Trace
    catalogue: dict[str, list[menu.Meal]]
    cache: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def load_agent(specification: Path, root: Path) -> Agent:
    """Read everything that makes up an agent."""
    spec = read_flat(specification)
    name = spec.get("name", "")
    if name not in ANSWERS:
        message = f"{specification}: no agent is called {name!r}"
        raise FlatError(message)
    settings = read_settings(root / "config" / f"{name}.yaml")
    conversations = root / "conversations"
    prompt = specification.parent / spec.get("prompt", "prompt.md")
    return Agent(
        name=name,
        prompt=prompt.read_text(encoding="utf-8"),
        settings=settings,
        directory=Directory(name, read_channels(root / "protocols"), settings.timeout),
        journal=Journal(conversations, name),
        memory=Memory(conversations / f"{name}.db") if settings.memory == "sqlite" else None,
        trace=Trace(root, name, wanted=settings.trace),
        catalogue=(menu.load_catalogue(root / "config" / "meals.json") if name in _COOKS else {}),
    )


def answer(agent: Agent, message: Message) -> Message:
    """Answer a message and, unless it is a probe, remember the exchange."""
    text = message.get("text")
    if not isinstance(text, str):
        raise AgentError(400, "text is missing")
    if not understands(str(message.get("format", ""))):
        raise AgentError(400, f"{agent.name}: message format {message['format']!r} is not understood")
    agent.trace.write(message)
    time.sleep(agent.settings.think_seconds)
    result = ANSWERS[agent.name](agent, message)
    if message.get("probe") is not True:
        conversation = str(message.get("conversation", ""))
        remembers = agent.memory or agent.journal
        remembers.append("user", text, conversation)
        remembers.append("assistant", str(result["reply"]), conversation)
    return result


def understands(message_format: str) -> bool:
    """Say whether the agents can read messages of a format; none given means the first."""
    return message_format in _FORMATS


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
    stated = [agent.prompt]
    if rules.obeys_users(agent.prompt):
        heard = [str(turn.get("content")) for turn in agent.journal.turns("nutrition") if turn.get("role") == "user"]
        stated = [message["text"], *reversed(heard), agent.prompt]
    budget = rules.parse_budget("\n".join(stated))
    return agent.directory.ask_next(message | {"budget": budget.as_json()})


def _planning(agent: Agent, message: Message) -> Message:
    """Add the days that could be served and pass the message on."""
    budget = _part(message, "budget", dict)
    try:
        limits = rules.Budget(**budget)
    except TypeError as error:
        raise AgentError(400, f"budget: {error}") from error
    key = json.dumps([budget, message.get("conversation") if agent.settings.cache_by == "conversation" else None])
    if key not in agent.cache:
        agent.cache[key] = _propose(agent, limits)
    return agent.directory.ask_next(message | {"week": agent.cache[key]})


def _propose(agent: Agent, limits: rules.Budget) -> list[dict[str, Any]]:
    """Return the days that could be served, for every weekday."""
    plan_rules = rules.parse_menu(agent.prompt)
    week = []
    for index, name in enumerate(menu.DAYS):
        found = menu.candidates(agent.catalogue, plan_rules, limits, index)
        if not found or not plan_rules.slots:
            raise AgentError(422, f"{name}: nothing to serve")
        week.append({"day": name, "candidates": menu.shortlist(found)})
    return week


def _optimization(agent: Agent, message: Message) -> Message:
    """Pick each day's best candidate."""
    objective = rules.parse_objective(agent.prompt)
    plan = [{"day": day["day"], **menu.choose(day["candidates"], objective)} for day in _part(message, "week", list)]
    return {"reply": menu.describe(plan), "plan": plan}


def _shopping(agent: Agent, message: Message) -> Message:
    """Turn the plan into a shopping list."""
    plan = _part(message, "plan", list)
    items = menu.shopping_list(plan, agent.catalogue)
    reply = f"{len(items)} things to buy"
    if agent.memory:
        reply += f", list {agent.memory.answers(str(message.get('conversation', ''))) + 1} of this conversation"
    if agent.directory.has(OUTSIDE):
        reply += _priced(agent, items)
    return {"reply": reply, "shopping_list": items}


def _priced(agent: Agent, items: dict[str, int]) -> str:
    """Ask the provider outside for the price; a list without one is still a list."""
    try:
        price = agent.directory.ask(OUTSIDE, {"items": items}).get("price")
    except AgentError:
        return ", prices are not to be had now"
    return f", {price} in the shop"


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
