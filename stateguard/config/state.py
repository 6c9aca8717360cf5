"""``stateguard.yaml``: the schema of the state's own policy."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field

from stateguard.config.document import Document
from stateguard.config.fields import ApiVersion, Budget, Count, Duration, Name, Pattern, Size, Strict, at, check
from stateguard.config.probe import ProbeList
from stateguard.config.problem import InvalidDocument, Problem, shown
from stateguard.model.ceiling import Ceiling
from stateguard.model.policy import Harmless, Heal, Policy, Section

STATE_FILE = "stateguard.yaml"

T = TypeVar("T")

_NOT_YET = ("encrypted", "digest")


class SectionModel(Strict):
    """One section; what is left out stays as shipped."""

    paths: Annotated[list[Pattern], Field(min_length=1, max_length=100)] | None = None
    captured: bool | None = None
    heal: Literal["hold", "enforce"] | None = None
    required: bool | None = None
    capture: Literal["plain", "encrypted", "digest"] = "plain"
    max_file_size: Size | None = None
    max_total_size: Size | None = None
    max_files: Count | None = None


class ResponseModel(Strict):
    """How patient the guard is, and how often it may act."""

    confirm_window: Duration | None = None
    soak: Duration | None = None
    heal_after: Duration | None = None
    capture_after: Duration | None = None
    attempts_per_incident: Count | None = None
    rollbacks_per_hour: Budget | None = None
    rollbacks_per_day: Budget | None = None


class HarmlessModel(Strict):
    """What looks like a secret there and is none."""

    paths: Annotated[list[Pattern], Field(min_length=1, max_length=100)]
    kinds: Annotated[list[Name], Field(max_length=100)] = Field(default_factory=list)


class SecretsModel(Strict):
    """What may come in although it looks like a secret."""

    allow: Annotated[list[HarmlessModel], Field(max_length=100)] = Field(default_factory=list)


class StateModel(Strict):
    """A ``stateguard.yaml``."""

    api_version: ApiVersion = Field(alias="apiVersion")
    sections: dict[Name, SectionModel] = Field(default_factory=dict)
    probes: ProbeList = Field(default_factory=list)
    ignore: Annotated[list[Pattern], Field(max_length=1000)] = Field(default_factory=list)
    response: ResponseModel = ResponseModel()
    secrets: SecretsModel = SecretsModel()


def parse_state(document: Document, path: str, base: Policy) -> Policy:
    """Return the policy that a ``stateguard.yaml`` makes of a base: sections by name, patterns to ignore added.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    model = check(StateModel, document, path)
    sections, problems = _sections(model, document, path, base)
    if problems:
        raise InvalidDocument(path, problems)
    response = model.response
    return Policy(
        sections=sections,
        probes=(*base.probes, *(probe.probe(None) for probe in model.probes)),
        ignore=(*base.ignore, *model.ignore),
        confirm_window_seconds=_given(response.confirm_window, base.confirm_window_seconds),
        soak_seconds=_given(response.soak, base.soak_seconds),
        heal_after_seconds=_given(response.heal_after, base.heal_after_seconds),
        capture_after_seconds=_given(response.capture_after, base.capture_after_seconds),
        heal_war_count=base.heal_war_count,
        heal_war_seconds=base.heal_war_seconds,
        attempts_per_incident=_given(response.attempts_per_incident, base.attempts_per_incident),
        rollbacks_per_hour=_given(response.rollbacks_per_hour, base.rollbacks_per_hour),
        rollbacks_per_day=_given(response.rollbacks_per_day, base.rollbacks_per_day),
        harmless=(*base.harmless, *(Harmless(tuple(one.paths), tuple(one.kinds)) for one in model.secrets.allow)),
    )


def _sections(
    model: StateModel, document: Document, path: str, base: Policy
) -> tuple[tuple[Section, ...], list[Problem]]:
    merged = {section.name: section for section in base.sections}
    problems = []
    for name, given in model.sections.items():
        keys = ("sections", name)
        if given.capture in _NOT_YET:
            message = f"capture: {given.capture} is not available in this version; use plain"
            problems.append(at(document, path, (*keys, "capture"), "not-available", message))
        shipped = merged.get(name)
        if given.paths is None and shipped is None:
            message = f"the section {shown(name)} needs paths; add for example paths: [{name}/**]"
            problems.append(at(document, path, keys, "missing-key", message))
        before = shipped or Section(name, ())
        merged[name] = Section(
            name=name,
            patterns=before.patterns if given.paths is None else tuple(given.paths),
            captured=_given(given.captured, before.captured),
            heal=before.heal if given.heal is None else Heal(given.heal),
            required=_given(given.required, before.required),
            ceiling=Ceiling(
                file_bytes=_given(given.max_file_size, before.ceiling.file_bytes),
                total_bytes=_given(given.max_total_size, before.ceiling.total_bytes),
                files=_given(given.max_files, before.ceiling.files),
            ),
        )
    return tuple(merged.values()), problems


def _given(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value
