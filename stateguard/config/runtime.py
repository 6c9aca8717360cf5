"""The ``runtime`` of ``guard.yaml`` and of ``init --runtime``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stateguard.config.fields import Argv, Name, Positive, Required, Strict, Text, Url, check
from stateguard.config.problem import shown
from stateguard.config.recipes import OPTIONS, RECIPES
from stateguard.config.yaml import load
from stateguard.model.health import AgentState
from stateguard.model.runtime import Commands, Embedded, RuntimeSettings, Supervisor

EMBEDDED = "embedded"

_LOOPBACK = re.compile(r"127(\.[0-9]+){3}|localhost|::1")
_PLACEHOLDER = re.compile(r"(?<!\{)\{([a-z]+)\}(?!\})")
_PLACES = ("unit", "name", "lines", "signal", "options")
_LISTS = ("start", "stop", "status", "logs", "reload")
_NEEDED = ("start", "stop", "status")


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        msg = f"{shown(value)} must be an absolute path"
        raise ValueError(msg)
    return value


def _loopback(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "http" or not _LOOPBACK.fullmatch(parts.hostname or ""):
        msg = f"{shown(value)} must be an http:// URL on this host, such as http://127.0.0.1:9001"
        raise ValueError(msg)
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        msg = f"{shown(value)} is no regular expression: {error}"
        raise ValueError(msg) from None
    return value


def _template(value: list[str]) -> list[str]:
    for argument in value:
        for name in _PLACEHOLDER.findall(argument):
            if name not in _PLACES:
                msg = f"{{{name}}} stands for nothing; there are {', '.join(f'{{{p}}}' for p in _PLACES)}"
                raise ValueError(msg)
    return value


AbsolutePath = Annotated[Required, AfterValidator(_absolute)]
Regex = Annotated[Required, AfterValidator(_pattern)]
Template = Annotated[Argv, AfterValidator(_template)]
_StateName = Literal["running", "starting", "backoff", "exited", "fatal", "stopped", "unknown"]


class SupervisorModel(Strict):
    """``supervisor: {socket or url, username, password_file, programs}``."""

    socket: AbsolutePath | None = None
    url: Annotated[Url, AfterValidator(_loopback)] | None = None
    username: Text = ""
    password_file: AbsolutePath | None = None
    programs: dict[Name, Required] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_address(self) -> SupervisorModel:
        if (self.socket is None) == (self.url is None):
            raise ValueError("give the socket or the url of supervisord, one of the two")
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file belong together")
        return self


class CommandModel(Strict):
    """``command: {recipe, start, stop, status, logs, …}``."""

    recipe: Literal["systemctl", "systemctl-user", "docker", "docker-compose", "podman"] | None = None
    options: list[Required] = Field(default_factory=list)
    start: Template | None = None
    stop: Template | None = None
    status: Template | None = None
    logs: Template | None = None
    reload: Template | None = None
    states: dict[_StateName, Regex] | None = None
    pid: Regex | None = None
    unit: Required | None = None
    units: dict[Name, Required] = Field(default_factory=dict)
    environment: dict[str, Text] = Field(default_factory=dict)
    deadline: Positive | None = None
    poll: Positive | None = None

    @model_validator(mode="after")
    def _complete(self) -> CommandModel:
        if self.recipe is None:
            missing = [key for key in _NEEDED if getattr(self, key) is None]
            if missing:
                msg = f"{missing[0]} is missing; name a recipe, or give start, stop and status"
                raise ValueError(msg)
        for key in _NEEDED:
            given = getattr(self, key)
            if given is not None and not any("{unit}" in a or "{name}" in a for a in given):
                msg = f"{key} names no agent; put {{unit}} or {{name}} where it belongs"
                raise ValueError(msg)
        if self.pid is not None and re.compile(self.pid).groups < 1:
            raise ValueError("pid has no group; put the digits in parentheses, such as MainPID=([0-9]+)")
        return self


class RuntimeModel(Strict):
    """``runtime:`` as a mapping."""

    supervisor: SupervisorModel | None = None
    command: CommandModel | None = None

    @model_validator(mode="after")
    def _one(self) -> RuntimeModel:
        if (self.supervisor is None) == (self.command is None):
            raise ValueError("name supervisor or command, one of the two")
        return self


def _word(value: object) -> object:
    if value == EMBEDDED:
        return None
    if not isinstance(value, Mapping):
        msg = f"must be {EMBEDDED}, or a mapping with supervisor or command, not {shown(value)}"
        raise ValueError(msg)  # noqa: TRY004 - pydantic makes a problem of a ValueError only
    return value


def _also_the_word(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"const": EMBEDDED}, *(part for part in schema["anyOf"] if part.get("type") != "null")]
    schema["default"] = EMBEDDED


Runtime = Annotated[RuntimeModel | None, BeforeValidator(_word), Field(json_schema_extra=_also_the_word)]
"""The field: ``embedded`` is None."""


def runtime_settings(model: RuntimeModel | None) -> RuntimeSettings:
    """Return what a valid ``runtime`` means, recipes filled in."""
    if model is None:
        return Embedded()
    found = model.supervisor
    if found is not None:
        return Supervisor(
            socket=found.socket or "",
            url=found.url or "",
            username=found.username,
            password_file=found.password_file or "",
            programs=dict(found.programs),
        )
    return _commands(model.command or CommandModel())


def _commands(model: CommandModel) -> Commands:
    base = RECIPES[model.recipe] if model.recipe else Commands("the service manager", (), (), ())
    given: dict[str, Any] = {}
    for key in _LISTS:
        template = getattr(model, key)
        argv = getattr(base, key) if template is None else tuple(template)
        given[key] = tuple(part for a in argv for part in (model.options if a == OPTIONS else (a,)))
    states = base.states
    if model.states is not None:
        states = tuple((None if n == "unknown" else AgentState(n.upper()), p) for n, p in model.states.items())
    return Commands(
        title=base.title,
        **given,
        states=states,
        pid=base.pid if model.pid is None else model.pid,
        unit=base.unit if model.unit is None else model.unit,
        units=dict(model.units),
        environment=dict(model.environment),
        passed=base.passed,
        deadline_seconds=model.deadline or base.deadline_seconds,
        poll_seconds=model.poll or base.poll_seconds,
    )


def runtime_option(text: str) -> object:
    """Return what stands under ``runtime`` for a word of ``init --runtime``.

    ``embedded``, ``supervisor:/path``, ``supervisor:unix:///path``, ``supervisor:http://127.0.0.1:9001`` or
    ``command:RECIPE``.

    Raises:
        ValueError: it is none of these.
    """
    kind, _, rest = text.partition(":")
    if text == EMBEDDED:
        return EMBEDDED
    if kind == "supervisor" and rest.startswith("http"):
        return {"supervisor": {"url": _loopback(rest)}}
    if kind == "supervisor" and rest:
        return {"supervisor": {"socket": _absolute(rest.removeprefix("unix://"))}}
    if kind == "command" and rest in RECIPES:
        return {"command": {"recipe": rest}}
    if kind == "command":
        msg = f"there is no recipe {rest!r}; there are {', '.join(sorted(RECIPES))}"
        raise ValueError(msg)
    msg = f"{text!r} is no runtime; write embedded, supervisor:SOCKET, command:RECIPE or @FILE"
    raise ValueError(msg)


def read_runtime(data: bytes, path: str) -> object:
    """Return what stands under ``runtime`` for a YAML file that holds just that.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    document = load(data, path)
    check(RuntimeModel, document, path)
    return document.value


def runtime_text(value: object) -> str:
    """Return ``runtime: …`` as YAML, for a document that :func:`runtime_option` or a file gave."""
    return f"runtime: {value}" if value == EMBEDDED else "\n".join(_lines("runtime", value, ""))


def _lines(key: str, value: object, indent: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        below = [line for k, v in value.items() for line in _lines(str(k), v, indent + "  ")]
        return [f"{indent}{key}:", *below]
    return [f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"]
