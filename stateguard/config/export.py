"""JSON Schemas (draft 2020-12) of the files people write, for editors and for checks elsewhere.

They are exported from the models that read these files. A schema never refuses what the models take; the models know
more: names that must agree with directories, signals, patterns, what is not available yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel

from stateguard.config.agent import AgentModel
from stateguard.config.channel import ChannelModel
from stateguard.config.host import HostModel
from stateguard.config.state import StateModel
from stateguard.config.yaml import load

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DESCRIPTIONS = "descriptions.yaml"


@dataclass(frozen=True, slots=True)
class Exported:
    """A kind of file: its model, what it is called, and which files are of this kind (a glob)."""

    model: type[BaseModel]
    title: str
    glob: str


KINDS: dict[str, Exported] = {
    "guard": Exported(HostModel, "guard.yaml: settings of a host", "guard.yaml"),
    "state": Exported(StateModel, "stateguard.yaml: the policy of a state", "stateguard.yaml"),
    "agent": Exported(AgentModel, "agent.yaml: an agent", "agents/*/agent.yaml"),
    "channel": Exported(ChannelModel, "protocols: a channel between agents", "protocols/*.yaml"),
}


@lru_cache(maxsize=1)
def descriptions() -> dict[str, dict[str, str]]:
    """Return a sentence for every key of every model: name of the model → key → sentence."""
    data = files("stateguard.config").joinpath(_DESCRIPTIONS).read_bytes()
    value = load(data, _DESCRIPTIONS).value
    return value if isinstance(value, dict) else {}


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of file.

    Raises:
        KeyError: there is no such kind.
    """
    exported = KINDS[kind]
    made = exported.model.model_json_schema(by_alias=True)
    definitions: dict[str, dict[str, Any]] = made.pop("$defs", {})
    for name, part in ((exported.model.__name__, made), *definitions.items()):
        _describe(name, part)
    made["patternProperties"] = {"^x-": {"description": "Free: stateguard passes it over."}}
    head = {"$schema": DIALECT, "$id": f"urn:stateguard:v1:{kind}", **made, "title": exported.title}
    return head | ({"$defs": definitions} if definitions else {})


def _describe(model: str, part: dict[str, Any]) -> None:
    part.pop("title", None)
    for key, value in part.get("properties", {}).items():
        value.pop("title", None)
        value["description"] = descriptions().get(model, {}).get(key, "")
        if "patternProperties" in value:  # a mapping by name: whatever is no name is refused
            value["additionalProperties"] = False


def models() -> Iterator[tuple[str, list[str]]]:
    """Yield every model that a file may hold, by name, with its keys."""
    seen: set[str] = set()
    for exported in KINDS.values():
        made = exported.model.model_json_schema(by_alias=True)
        for name, part in ((exported.model.__name__, made), *made.get("$defs", {}).items()):
            if name not in seen and "properties" in part:
                seen.add(name)
                yield name, list(part["properties"])
