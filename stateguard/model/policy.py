"""The policy in force: what the state declares, over shipped defaults, under the host's floors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from stateguard.model.agent import AgentSpec, Channel, Probe
from stateguard.model.ceiling import SHIPPED_CEILING, Ceiling
from stateguard.model.mirror import MirrorSpec
from stateguard.model.retention import Retention
from stateguard.model.runtime import Embedded, RuntimeSettings
from stateguard.model.size import MIB


class Heal(StrEnum):
    """What happens to drift in a section."""

    HOLD = "hold"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Section:
    """A named part of the state: gitignore-style patterns and how its paths are treated."""

    name: str
    patterns: tuple[str, ...]
    captured: bool = False
    heal: Heal = Heal.HOLD
    required: bool = False
    ceiling: Ceiling = SHIPPED_CEILING


@dataclass(frozen=True, slots=True)
class Harmless:
    """What looks like a secret at some paths (gitignore-style patterns) and is none: of these kinds, or of any."""

    patterns: tuple[str, ...]
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What ``stateguard.yaml`` says, defaults filled in. Times in seconds."""

    sections: tuple[Section, ...]
    probes: tuple[Probe, ...] = ()
    ignore: tuple[str, ...] = ()
    confirm_window_seconds: float = 30.0
    soak_seconds: float = 900.0
    heal_after_seconds: float = 2.0
    capture_after_seconds: float = 60.0
    heal_war_count: int = 3
    heal_war_seconds: float = 3600.0
    attempts_per_incident: int = 3
    rollbacks_per_hour: int = 2
    rollbacks_per_day: int = 4
    harmless: tuple[Harmless, ...] = ()

    def ignoring(self, patterns: Iterable[str]) -> Policy:
        """Return the policy with further patterns of paths that are none of stateguard's business."""
        return replace(self, ignore=(*self.ignore, *patterns))


@dataclass(frozen=True, slots=True)
class System:
    """Everything a tree declares: agents, channels and policy."""

    agents: dict[str, AgentSpec]
    channels: tuple[Channel, ...]
    policy: Policy

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Every probe: those of the agents, of the channels and of the whole state."""
        of_agents = tuple(p for agent in self.agents.values() for p in agent.probes)
        of_channels = tuple(c.probe for c in self.channels if c.probe)
        return (*of_agents, *of_channels, *self.policy.probes)


class Arming(StrEnum):
    """What stateguard may do by itself when a trigger fires."""

    OBSERVE = "observe"
    PROPOSE = "propose"
    ACT = "act"


class Trigger(StrEnum):
    """The classes of cause that arming is set for."""

    APPLY = "apply"
    SOAK = "soak"
    FAILURE = "failure"
    CORRUPTION = "corruption"
    BREACH = "breach"
    PREDICTION = "prediction"


SHIPPED_ARMING: dict[Trigger, Arming] = {
    Trigger.APPLY: Arming.ACT,
    Trigger.SOAK: Arming.ACT,
    Trigger.FAILURE: Arming.PROPOSE,
    Trigger.CORRUPTION: Arming.ACT,
    Trigger.BREACH: Arming.ACT,
    Trigger.PREDICTION: Arming.OBSERVE,
}


class Signatures(StrEnum):
    """Which pushed commits must be signed by somebody trusted with the role push."""

    NONE = "none"
    HEAD = "head"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class PushBudget:
    """How many files one push may change, and how much it may bring."""

    files: int = 10_000
    size_bytes: int = 20 * MIB


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What ``guard.yaml`` says of this host."""

    live: str
    arming: dict[Trigger, Arming]
    cycle_seconds: float = 5.0
    name: str = ""
    reserve_bytes: int = 64 * MIB
    log_max_bytes: int = 10 * MIB
    log_keep: int = 3
    scrub_every_seconds: float = 86400.0
    scrub_percent: int = 5
    retention: Retention = field(default_factory=Retention)
    mirrors: tuple[MirrorSpec, ...] = ()
    signatures: Signatures = Signatures.NONE
    push: PushBudget = field(default_factory=PushBudget)
    runtime: RuntimeSettings = field(default_factory=Embedded)
    gitleaks: bool = True
    agents_user: str = ""
    confine: bool = True
    probe_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @property
    def needs_commands(self) -> bool:
        """Whether every agent must say which command runs it: not where somebody else starts them."""
        return isinstance(self.runtime, Embedded)
