"""Agent2Agent: the Agent Card, by which one agent learns what another can do."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from stateguard.admission.foreign.reading import Recognised, problem, read, violations
from stateguard.config.document import Document
from stateguard.config.problem import Problem, shown

_SHAPE = frozenset(
    {"skills", "capabilities", "supportedInterfaces", "protocolVersion", "defaultInputModes", "defaultOutputModes"}
)
_ENOUGH = 2
_TODAY, _BEFORE = "agent-card.json", "agent.json"
NAMES = frozenset({_TODAY, _BEFORE})


def is_card(path: str) -> bool:
    """Say whether a file has the name of an Agent Card: today's, or the one before version 0.3."""
    return posixpath.basename(path) == _TODAY or f"/{path}".endswith(f"/.well-known/{_BEFORE}")


def card(path: str, data: bytes, *, declared: bool) -> tuple[Recognised | None, list[Problem]]:
    """Return the card and what is wrong with it; nothing if it may be something else.

    ``declared`` says that an ``agent.yaml`` names the file as its card: then there is no doubt about what it is.
    """
    document, problems = read(path, data, [] if declared else [b'"skills"', b'"capabilities"'])
    if document is None:
        return None, problems
    value = document.value
    if not isinstance(value, dict):
        message = f"an Agent Card is a JSON object, not {shown(value)}"
        return None, [problem(document, (), "schema", message)] if declared else []
    if not declared and len(_SHAPE & value.keys()) < _ENOUGH:
        return None, []
    version = "1.0" if _is_first(value) else "0.3"
    skills = value.get("skills")
    counts = (("skills", len(skills) if isinstance(skills, list) else 0),)
    return Recognised("a2a", path, counts, version), [*violations(document, f"a2a-{version}"), *_twice(document)]


def _is_first(value: dict[str, object]) -> bool:
    """Say whether a card is of version 1: its interfaces moved to a list of their own."""
    return "supportedInterfaces" in value or str(value.get("protocolVersion", "")).startswith("1")


def _twice(document: Document) -> Iterator[Problem]:
    skills = document.value.get("skills") if isinstance(document.value, dict) else None
    seen: set[str] = set()
    for number, skill in enumerate(skills if isinstance(skills, list) else ()):
        identity = skill.get("id") if isinstance(skill, dict) else None
        if not isinstance(identity, str):
            continue
        if identity in seen:
            message = f"a skill above already has the id {shown(identity)}; rename one of them"
            yield problem(document, ("skills", number, "id"), "duplicate-name", message)
        seen.add(identity)
