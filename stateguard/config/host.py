"""``guard.yaml``: the settings of this host, read, written and edited without losing comments."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import Field, field_validator

from stateguard.config.document import Document
from stateguard.config.fields import Count, NetworkText, Period, Positive, Required, Size, Strict, Text, check
from stateguard.config.mirror import MirrorModel, unique
from stateguard.config.problem import InvalidDocument, Problem
from stateguard.config.retention import RetentionModel
from stateguard.config.runtime import EMBEDDED, Runtime, runtime_settings, runtime_text
from stateguard.config.yaml import load
from stateguard.model.mirror import MirrorSpec
from stateguard.model.policy import SHIPPED_ARMING, Arming, HostSettings, PushBudget, Signatures, Trigger
from stateguard.model.size import MIB, written_size

HOST_FILE = "guard.yaml"

_Level = Literal["observe", "propose", "act"]
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_LEVEL = re.compile(r"""(["']?)(observe|propose|act)\1""")

_TEMPLATE = """\
# Settings of this host. They are never part of the state repository, so no push can change them.

# The live directory: what the agents read.
live: {live}

# Who runs the agents. embedded: the guard itself, as processes. Else a mapping: supervisor, or command (systemctl …).
{runtime}

# Agents and command probes are kept out of this directory: as another user (only root can), else confined by Landlock.
agents: {{user: {user}, confine: {confine}}}

# What stateguard may do by itself: observe, propose (ask a person) or act.
arming:
{arming}

# How often the guard looks at the system.
cycle: {cycle}

# How this guard calls itself in messages.
name: {name}

# Which commits pushed to main must be signed by somebody trusted with the role push: none, head (the last) or all.
require_signed_commits: {signatures}

# Disk set aside in the file "reserve" beside this one, given up when nothing else is left. 0: none.
reserve: {reserve}

# Logs larger than this are set aside as .1, .2 and so on. 0: never.
logs: {{max_size: {log_max}, keep: {log_keep}}}

# Copies elsewhere: git repositories that get everything of repo.git after each change. With trusted: true also
# captured state, such as conversations; such a place must be as private as this host.
mirrors:{mirrors}
"""


class ArmingModel(Strict):
    """The level of each class of trigger; what is left out stays as shipped."""

    apply: _Level | None = None
    soak: _Level | None = None
    failure: _Level | None = None
    corruption: _Level | None = None
    breach: _Level | None = None
    prediction: _Level | None = None


class LogsModel(Strict):
    """When logs in the guard home are set aside, and how many of each are kept."""

    max_size: Size = 10 * MIB
    keep: Annotated[int, Field(ge=0, le=100)] = 3


class AgentsModel(Strict):
    """How agents and command probes are kept from the guard home: as another user, or confined."""

    user: Text = ""
    confine: bool = True


class PushModel(Strict):
    """How much one push may change and bring."""

    max_files: Count = 10_000
    max_size: Size = 20 * MIB


class ProbesModel(Strict):
    """Which addresses of other networks probes may ask."""

    allow: Annotated[list[NetworkText], Field(max_length=1000)] = Field(default_factory=list)


class LookingModel(Strict):
    """Who looks for secrets in a push besides the built-in rules: gitleaks where it is on PATH, or nobody."""

    gitleaks: Literal["auto", "off"] = "auto"


class ScrubModel(Strict):
    """How often everything is read anew in the background, and how fast."""

    every: Positive = 86400.0
    percent: Annotated[int, Field(ge=1, le=100)] = 5


class HostModel(Strict):
    """A ``guard.yaml``."""

    live: Required = "live"
    runtime: Runtime = None
    arming: ArmingModel | None = None
    cycle: Period = 5.0
    name: Text = ""
    require_signed_commits: Literal["none", "head", "all"] = "none"
    push: PushModel = PushModel()
    probes: ProbesModel = ProbesModel()
    secrets: LookingModel = LookingModel()
    reserve: Size = 64 * MIB
    logs: LogsModel = LogsModel()
    scrub: ScrubModel = ScrubModel()
    retention: RetentionModel = RetentionModel()
    mirrors: list[MirrorModel] | None = None
    agents: AgentsModel = AgentsModel()

    @field_validator("mirrors")
    @classmethod
    def _unique(cls, mirrors: list[MirrorModel] | None) -> list[MirrorModel] | None:
        """Refuse two mirrors of one name."""
        return unique(mirrors) if mirrors else mirrors


def parse_host(document: Document, path: str = HOST_FILE) -> HostSettings:
    """Return the settings of a ``guard.yaml``; a relative ``live`` is relative to the guard home.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    model = check(HostModel, document, path)
    given = model.arming.model_dump(exclude_none=True) if model.arming else {}
    arming = {**SHIPPED_ARMING, **{Trigger(trigger): Arming(level) for trigger, level in given.items()}}
    return HostSettings(
        live=model.live,
        arming=arming,
        cycle_seconds=model.cycle,
        name=model.name,
        reserve_bytes=model.reserve,
        log_max_bytes=model.logs.max_size,
        log_keep=model.logs.keep,
        scrub_every_seconds=model.scrub.every,
        scrub_percent=model.scrub.percent,
        retention=model.retention.settings(),
        signatures=Signatures(model.require_signed_commits),
        push=PushBudget(model.push.max_files, model.push.max_size),
        gitleaks=model.secrets.gitleaks == "auto",
        mirrors=tuple(mirror.spec() for mirror in model.mirrors or ()),
        runtime=runtime_settings(model.runtime),
        agents_user=model.agents.user,
        confine=model.agents.confine,
        probe_networks=tuple(ip_network(text) for text in model.probes.allow),
    )


def load_host(data: bytes, path: str = HOST_FILE) -> HostSettings:
    """Return the settings in the bytes of a ``guard.yaml``.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    return parse_host(load(data, path), path)


def host_document(settings: HostSettings, runtime: object = EMBEDDED) -> str:
    """Return settings as a commented ``guard.yaml``; ``runtime`` is what stands under that key, as it is written.

    Raises:
        InvalidDocument: the settings cannot be written down, such as a path with control characters.
    """
    levels = {**SHIPPED_ARMING, **settings.arming}
    text = _TEMPLATE.format(
        live=_quoted(settings.live),
        runtime=runtime_text(runtime),
        user=_quoted(settings.agents_user),
        confine="true" if settings.confine else "false",
        arming="\n".join(f"  {trigger}: {level}" for trigger, level in levels.items()),
        cycle=f"{settings.cycle_seconds:g}s",
        name=_quoted(settings.name),
        reserve=written_size(settings.reserve_bytes),
        log_max=written_size(settings.log_max_bytes),
        log_keep=settings.log_keep,
        signatures=settings.signatures,
        mirrors=_listed(settings.mirrors),
    )
    load_host(_encoded(text))
    return text


def _listed(mirrors: Sequence[MirrorSpec]) -> str:
    """Return mirrors as items of a list, each with its name, address and trust."""
    rows = [
        f"\n  - name: {_quoted(m.name)}\n    url: {_quoted(m.url)}\n    trusted: {'true' if m.trusted else 'false'}"
        for m in mirrors
    ]
    return "".join(rows) or " []"


def with_arming(text: str, trigger: Trigger, level: Arming) -> str:
    """Return a ``guard.yaml`` with one level of arming set and everything else, comments too, as it was.

    Raises:
        InvalidDocument: the text is no valid ``guard.yaml``, or is written so that it must be edited by hand.
    """
    document = load(_encoded(text), HOST_FILE)
    before = parse_host(document)
    edited = _edited(text, document, trigger, level)
    wanted = replace(before, arming={**before.arming, trigger: level})
    try:
        reached = load_host(_encoded(edited)) == wanted
    except InvalidDocument:
        reached = False
    if not reached:
        line, column = document.position(("arming", str(trigger)))
        message = f"this cannot be edited by machine; set arming, {trigger} to {level} by hand"
        raise InvalidDocument(HOST_FILE, [Problem(HOST_FILE, line, "edit", message, column)])
    return edited


def _edited(text: str, document: Document, trigger: Trigger, level: Arming) -> str:
    """Change or insert one line; the caller checks what has become of it."""
    arming = document.node(("arming",))
    value = document.node(("arming", str(trigger)))
    ending = "\r\n" if "\r\n" in text else "\n"
    if value is not None:
        index = _index(text, value.at)
        match = _LEVEL.match(text, index)
        return text[:index] + str(level) + text[match.end() :] if match else text
    if arming is None:
        joint = "" if not text or text.endswith(("\n", "\r")) else ending
        return f"{text}{joint}arming:{ending}  {trigger}: {level}{ending}"
    if arming.value is None:
        line = document.position(("arming",))[0]
        end = _LINE_END.search(text, _index(text, (line, 1)))
        index = end.end() if end else len(text)
        return f"{text[:index]}{'' if end else ending}  {trigger}: {level}{ending}{text[index:]}"
    if arming.flow:
        index = text.find("{", _index(text, arming.at)) + 1
        return f"{text[:index]}{trigger}: {level}{', ' if arming.places else ''}{text[index:]}"
    line, column = min(arming.places.values())
    index = _index(text, (line, 1))
    return f"{text[:index]}{' ' * (column - 1)}{trigger}: {level}{ending}{text[index:]}"


def _index(text: str, at: tuple[int, int]) -> int:
    """Return the index of a line and column, both from 1; lines end where the YAML parser ends them."""
    ends = [0, *(match.end() for match in _LINE_END.finditer(text))]
    return ends[at[0] - 1] + at[1] - 1


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
