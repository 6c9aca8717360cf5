"""CrewAI: ``agents.yaml`` and ``tasks.yaml``, which usually lie together in a ``config/``."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Set as AbstractSet

from stateguard.admission.foreign.reading import Recognised, problem, read, violations
from stateguard.config.document import Document
from stateguard.config.fields import closest
from stateguard.config.problem import Problem, shown

_AGENTS = ("agents.yaml", "agents.yml")
_TASKS = ("tasks.yaml", "tasks.yml")
NAMES = frozenset((*_AGENTS, *_TASKS))
_AGENT_KEYS = ("role", "goal", "backstory")
_TASK_KEYS = ("description", "expected_output")


def is_crewai(path: str) -> bool:
    """Say whether a file has the name of one of CrewAI's."""
    return posixpath.basename(path) in NAMES


def crews(
    files: Mapping[str, bytes], changed: AbstractSet[str] | None
) -> Iterator[tuple[Recognised | None, list[Problem]]]:
    """Yield each directory that holds a crew, and what is wrong in those that ``changed`` (None: all) concerns."""
    for directory in sorted({posixpath.dirname(path) for path in files if is_crewai(path)}):
        agents, agents_found = _file(files, directory, _AGENTS, _AGENT_KEYS)
        tasks, tasks_found = _file(files, directory, _TASKS, _TASK_KEYS)
        paths = [posixpath.join(directory, name) for name in NAMES]
        problems: list[Problem] = []
        if changed is None or any(path in changed for path in paths):
            problems = [*agents_found, *tasks_found]
            problems += violations(agents, "crewai-agents") if agents else []
            problems += violations(tasks, "crewai-tasks") if tasks else []
            problems += _unknown(agents, tasks) if tasks else []
        counts = [(word, len(_entries(file))) for word, file in (("agents", agents), ("tasks", tasks)) if file]
        found = Recognised("crewai", (directory or ".") + "/", tuple(counts)) if counts else None
        yield found, problems


def _file(
    files: Mapping[str, bytes], directory: str, names: Collection[str], keys: tuple[str, ...]
) -> tuple[Document | None, list[Problem]]:
    path = next((p for p in (posixpath.join(directory, name) for name in names) if p in files), None)
    if path is None:
        return None, []
    document, problems = read(path, files[path], [f"{key}:".encode() for key in keys])
    return (document if document and _is_shaped(document.value, keys) else None), problems


def _is_shaped(value: object, keys: tuple[str, ...]) -> bool:
    """Say whether this is a mapping of names to mappings, at least one of which has every key."""
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        return False
    return any(all(key in entry for key in keys) for entry in value.values())


def _entries(document: Document) -> dict[str, dict[str, object]]:
    value = document.value
    return value if isinstance(value, dict) else {}


def _unknown(agents: Document | None, tasks: Document) -> Iterator[Problem]:
    """Yield the names in tasks that lead nowhere; agents are only looked for where their file can be read."""
    names = list(_entries(tasks))
    for task, entry in _entries(tasks).items():
        agent, context = entry.get("agent"), entry.get("context")
        if agents is not None and isinstance(agent, str) and agent not in _entries(agents):
            message = f"agent names {shown(agent)}, which {agents.path} does not have; {_hint(agent, _entries(agents))}"
            yield problem(tasks, (task, "agent"), "unknown-agent", message)
        for number, name in enumerate(context if isinstance(context, list) else ()):
            if isinstance(name, str) and name not in names:
                message = f"context names {shown(name)}, which is no task of this file; {_hint(name, names)}"
                yield problem(tasks, (task, "context", number), "unknown-task", message)


def _hint(name: str, known: Collection[str]) -> str:
    close = closest(name, list(known))
    return f"did you mean {close}?" if close else "add it, or correct the name"
