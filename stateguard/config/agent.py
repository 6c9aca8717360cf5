"""``agents/<name>/agent.yaml``: the schema of an agent's specification."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from stateguard.config.document import Document
from stateguard.config.fields import (
    Argv,
    Count,
    Duration,
    Glob,
    Name,
    RelativePath,
    Signal,
    Strict,
    Text,
    Url,
    at,
    check,
)
from stateguard.config.probe import HttpModel, ProbeList
from stateguard.config.problem import InvalidDocument, shown
from stateguard.model.agent import DEFAULT_RELOAD_ON, DEFAULT_RESTART_ON, AgentSpec, Reload, Restart, StopPolicy
from stateguard.model.secret import NAMES, SCHEME, is_secret_name, referenced

OUTSIDE = ("user", "external")
"""What a channel may name besides agents; no agent may be called so."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _environment_value(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return value


_Value = Annotated[Text, BeforeValidator(_environment_value), WithJsonSchema({"type": ["string", "number", "boolean"]})]


class DrainModel(Strict):
    """``drain: {http: {url}}``."""

    http: HttpModel


class StopModel(Strict):
    """``stop: {signal, grace_period_seconds, drain}``."""

    signal: Signal = "TERM"
    grace_period_seconds: Duration = 5.0
    drain: DrainModel | None = None


class ReloadModel(Strict):
    """``reload: {signal, on, settle_seconds}``."""

    signal: Signal
    on: list[Glob] = Field(default_factory=lambda: list(DEFAULT_RELOAD_ON))
    settle_seconds: Duration = 1.0

    @field_validator("signal")
    @classmethod
    def _spares_it(cls, value: str) -> str:
        if value == "KILL":
            raise ValueError("KILL ends the agent; name a signal on which it reads its files again, such as HUP")
        return value

    def reload(self) -> Reload:
        """Return what it declares."""
        return Reload(self.signal, tuple(self.on), self.settle_seconds)


class MetricsModel(Strict):
    """``metrics: {url}``."""

    url: Url


class AgentModel(Strict):
    """An ``agent.yaml``."""

    name: Name
    description: Text = ""
    role: Literal["parent", "domain", "support"] = "support"
    critical: bool = False
    phase: Literal["critical", "essential", "standard", "enhanced"] | None = None
    command: Argv | None = None
    environment: dict[str, _Value] = Field(default_factory=dict)
    depends_on: list[Name] = Field(default_factory=list)
    restart: Literal["always", "on-failure", "never"] = "always"
    restart_on: list[Glob] = Field(default_factory=lambda: list(DEFAULT_RESTART_ON))
    reload: ReloadModel | None = None
    stop: StopModel = StopModel()
    data_version: Count = 1
    reads_data_versions: list[Count] = Field(default_factory=list)
    prompt: RelativePath | None = None
    card: RelativePath | None = None
    probes: ProbeList = Field(default_factory=list)
    metrics: MetricsModel | None = None


def parse_agent(document: Document, path: str) -> AgentSpec:
    """Return the agent that an ``agent.yaml`` declares; its directory must bear its name.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    model = check(AgentModel, document, path)
    problems = []
    directory = path.rpartition("/")[0].rpartition("/")[2]
    if directory and directory != model.name:
        message = f"name is {shown(model.name)} in the directory {shown(directory)}; make them the same"
        problems.append(at(document, path, ("name",), "name", message))
    if model.name in OUTSIDE:
        message = f"{shown(model.name)} means somebody outside the system in channels; choose another name"
        problems.append(at(document, path, ("name",), "name", message))
    for variable, value in model.environment.items():
        if not _VARIABLE.fullmatch(variable):
            message = f"{shown(variable)} cannot be an environment variable; use letters, digits and _"
            problems.append(at(document, path, ("environment", variable), "value", message))
        name = referenced(value)
        if name is not None and not is_secret_name(name):
            message = f"environment.{variable}: {SCHEME} is followed by the name of a secret: {NAMES}"
            problems.append(at(document, path, ("environment", variable), "value", message))
    if problems:
        raise InvalidDocument(path, problems)
    return _spec(model)


def _spec(model: AgentModel) -> AgentSpec:
    return AgentSpec(
        name=model.name,
        command=tuple(model.command or ()),
        description=model.description,
        role=model.role,
        critical=model.critical,
        phase=model.phase or ("critical" if model.critical else "standard"),
        environment=tuple(model.environment.items()),
        depends_on=tuple(dict.fromkeys(model.depends_on)),
        restart=Restart(model.restart),
        restart_on=tuple(model.restart_on),
        reload=model.reload.reload() if model.reload else None,
        stop=StopPolicy(
            signal=model.stop.signal,
            grace_period_seconds=model.stop.grace_period_seconds,
            drain_url=model.stop.drain.http.url if model.stop.drain else None,
        ),
        data_version=model.data_version,
        reads_data_versions=tuple(model.reads_data_versions),
        prompt=model.prompt,
        card=model.card,
        probes=tuple(probe.probe(model.name) for probe in model.probes),
        metrics_url=model.metrics.url if model.metrics else None,
    )
