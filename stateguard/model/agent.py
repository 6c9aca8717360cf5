"""What an agent, its probes and a channel are, as their files declare them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from stateguard.model.secret import referenced


class ProbeKind(StrEnum):
    """Kubernetes' three kinds of probe."""

    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """GET a URL; 200 to 399 passes."""

    url: str


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """Connect to a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """Run an argument list in the live directory; exit status 0 passes."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A file of the live directory exists and is not older than an age in seconds (None: any age)."""

    path: str
    max_age_seconds: float | None = None


Check = HttpCheck | TcpCheck | CommandCheck | FileCheck


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe with the Kubernetes fields; ``agent`` is None for a probe of the whole state."""

    name: str
    kind: ProbeKind
    check: Check
    agent: str | None = None
    initial_delay_seconds: float = 0.0
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    failure_threshold: int = 3
    success_threshold: int = 1
    required: bool = True
    external: bool = False

    @property
    def id(self) -> str:
        """Name that is unique in a system: ``agent/name``, or ``/name`` for a probe of the whole state."""
        return f"{self.agent or ''}/{self.name}"

    @property
    def title(self) -> str:
        """How people read it: ``nutrition: ready`` or ``plan-my-week``."""
        return f"{self.agent}: {self.name}" if self.agent else self.name


class Restart(StrEnum):
    """When an agent that ended by itself is started again."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class StopPolicy:
    """How an agent is asked to end: drain, signal, patience, then KILL."""

    signal: str = "TERM"
    grace_period_seconds: float = 5.0
    drain_url: str | None = None


DEFAULT_RELOAD_ON = ("config/**",)


@dataclass(frozen=True, slots=True)
class Reload:
    """How a running agent is told to read its files again: a signal, for changes of these files.

    ``settle_seconds`` is the time it is given before its probes are asked.
    """

    signal: str
    on: tuple[str, ...] = DEFAULT_RELOAD_ON
    settle_seconds: float = 1.0


DEFAULT_RESTART_ON = ("bin/**", "config/**")


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent as its ``agents/<name>/agent.yaml`` declares it; ``command`` may be empty where others start it.

    ``environment`` is as it stands there: a value may be a reference to a secret, never the secret.
    """

    name: str
    command: tuple[str, ...]
    description: str = ""
    role: str = "support"
    critical: bool = False
    phase: str = "standard"
    environment: tuple[tuple[str, str], ...] = ()
    depends_on: tuple[str, ...] = ()
    restart: Restart = Restart.ALWAYS
    restart_on: tuple[str, ...] = DEFAULT_RESTART_ON
    reload: Reload | None = None
    stop: StopPolicy = field(default_factory=StopPolicy)
    data_version: int = 1
    reads_data_versions: tuple[int, ...] = ()
    prompt: str | None = None
    card: str | None = None
    probes: tuple[Probe, ...] = ()
    metrics_url: str | None = None

    @property
    def secrets(self) -> dict[str, str]:
        """The variables that get secrets, each with the name of its secret."""
        found = ((variable, referenced(value)) for variable, value in self.environment)
        return {variable: name for variable, name in found if name is not None}

    @property
    def plain(self) -> dict[str, str]:
        """The variables whose values stand in the specification itself."""
        return {variable: value for variable, value in self.environment if referenced(value) is None}

    @property
    def directory(self) -> str:
        """The directory that belongs to the agent, with a trailing slash."""
        return f"agents/{self.name}/"

    @property
    def parent(self) -> bool:
        """Whether this agent coordinates the others."""
        return self.role == "parent"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel between agents as its ``protocols/<name>.yaml`` declares it; ``sender`` may be outside."""

    name: str
    path: str
    sender: str
    receiver: str
    transport: str = "http"
    probe: Probe | None = None

    def touches(self, agent: str) -> bool:
        """Say whether an agent speaks or listens on it."""
        return agent in (self.sender, self.receiver)
