"""What the files of a tree say: declarations, config with schemas, seeds, the JSON that agents name."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Container, Mapping, Set as AbstractSet
from dataclasses import dataclass

from stateguard.admission.foreign.reading import Recognised
from stateguard.admission.foreign.survey import is_foreign, survey
from stateguard.admission.schema import instance_problems, schema_problems
from stateguard.config import json, yaml
from stateguard.config.document import START, Document, Position
from stateguard.config.problem import InvalidDocument, Problem
from stateguard.config.system import is_declaration, load_system
from stateguard.model.policy import System

SCHEMA = ".schema.json"

_CONFIG = (".yaml", ".yml", ".json")
_MOST_LINES = 20

Positions = Callable[[str, tuple[str | int, ...]], Position]
"""Where the keys of a file stand: line and column, from 1."""


def is_config(path: str) -> bool:
    """Say whether a path is a config file that a schema beside it would apply to."""
    return path.startswith("config/") and path.endswith(_CONFIG) and not path.endswith(SCHEMA)


def is_schema(path: str) -> bool:
    """Say whether a path is a schema for the config files beside it."""
    return path.startswith("config/") and path.endswith(SCHEMA)


def is_seed(path: str) -> bool:
    """Say whether a path is a file of conversations, one JSON object a line."""
    return path.startswith("conversations/") and path.endswith(".jsonl")


def schema_of(path: str) -> str:
    """Return the path of the schema that would apply to a config file."""
    return posixpath.splitext(path)[0] + SCHEMA


def is_read(path: str, paths: Container[str]) -> bool:
    """Say whether judging a tree with these paths may need the bytes of this one."""
    if is_declaration(path) or is_schema(path) or is_seed(path) or is_foreign(path):
        return True
    if is_config(path):
        return schema_of(path) in paths
    return path.startswith("agents/") and path.endswith(".json")


def is_bounded(path: str, paths: Container[str]) -> bool:
    """Say whether a path is read whole at every judgement of a tree with these paths: its size must be small."""
    return is_declaration(path) or is_schema(path) or (is_config(path) and schema_of(path) in paths)


@dataclass(frozen=True, slots=True)
class Contents:
    """What files declare (None if that cannot be read), what of other tools is among them, and all that is wrong."""

    system: System | None
    recognised: tuple[Recognised, ...]
    problems: tuple[Problem, ...]


def contents(files: Mapping[str, bytes], changed: AbstractSet[str] | None) -> Contents:
    """Return what some files say.

    Only what ``changed`` (None: everything) concerns is judged, except for the declarations, which are always.
    """
    problems: list[Problem] = []
    system = None
    try:
        system = load_system(files)
    except InvalidDocument as error:
        problems.extend(error.problems)
    problems.extend(_config_problems(files, changed))
    for path in sorted(files):
        if is_seed(path) and (changed is None or path in changed):
            problems.extend(_seed_problems(path, files[path]))
    agents = system.agents.values() if system is not None else ()
    cards = {posixpath.join(agent.directory, agent.card) for agent in agents if agent.card}
    recognised, found = survey(files, cards, changed)
    return Contents(system, tuple(recognised), tuple(sorted({*problems, *found})))


def _config_problems(files: Mapping[str, bytes], changed: AbstractSet[str] | None) -> list[Problem]:
    problems: list[Problem] = []
    for schema_path in sorted(path for path in files if is_schema(path)):
        stem = schema_path.removesuffix(SCHEMA)
        concerned = [stem + ending for ending in _CONFIG if stem + ending in files]
        if changed is not None and not any(path in changed for path in (schema_path, *concerned)):
            continue
        schema, found = _read(schema_path, files[schema_path])
        found = found or (schema_problems(schema) if schema else [])
        problems.extend(found)
        for path in concerned:
            document, wrong = _read(path, files[path])
            problems.extend(wrong)
            if document and schema and not found:
                problems.extend(instance_problems(document, schema))
    return problems


def _read(path: str, data: bytes) -> tuple[Document | None, list[Problem]]:
    try:
        document = json.load_json(data, path) if path.endswith(".json") else yaml.load(data, path)
    except InvalidDocument as error:
        return None, list(error.problems)
    return document, []


def _seed_problems(path: str, data: bytes) -> list[Problem]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        problem = json.line_problem(line, path, number)
        if problem:
            problems.append(problem)
        if len(problems) == _MOST_LINES:
            break
    return problems


def positions(files: Mapping[str, bytes]) -> Positions:
    """Return a way to ask where keys of these YAML files stand; a file is read when it is first asked about."""
    known: dict[str, Document | None] = {}

    def position(path: str, keys: tuple[str | int, ...]) -> Position:
        if path not in known:
            known[path] = _read(path, files[path])[0] if path in files else None
        document = known[path]
        return document.position(keys) if document else START

    return position
