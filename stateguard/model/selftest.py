"""What trying a probe many times says of it (pure): one that fails now and then decides nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace

from stateguard.model.agent import Probe
from stateguard.model.policy import System

ALLOWED_PERCENT = 1
"""A probe that fails in more than so many percent of its runs, while all is well, is flaky."""

ENOUGH_FAILURES = 10
"""So many failures say it all; the runs that are left would only take time."""

Named = tuple[str, str]
"""A probe as it was tested: its id and the digest of its specification."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How the runs of one probe went. ``at`` is RFC 3339, ``seconds`` is what all runs took together."""

    probe: str
    digest: str
    runs: int
    failures: int
    last_failure: str
    seconds: float
    at: str = ""

    @property
    def flaky(self) -> bool:
        """Whether it fails too often to be required."""
        return is_flaky(self.runs, self.failures)

    @property
    def named(self) -> Named:
        """The probe that this speaks of."""
        return (self.probe, self.digest)


def is_flaky(runs: int, failures: int) -> bool:
    """Say whether so many failures in so many runs are too many."""
    return failures * 100 > runs * ALLOWED_PERCENT


def goes_on(wanted: int, runs: int, failures: int) -> bool:
    """Say whether one more run tells anything: not all wanted were made, and the verdict is not certain yet."""
    return runs < wanted and not (failures >= ENOUGH_FAILURES and is_flaky(wanted, failures))


def digest(probe: Probe) -> str:
    """Return what identifies a probe's specification; whether it is required is left out, that is what is decided."""
    document = asdict(probe) | {"required": None, "check": {type(probe.check).__name__: asdict(probe.check)}}
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[:32]


def found_flaky(probes: Iterable[Probe], flaky: Collection[Named]) -> tuple[Probe, ...]:
    """Return the required probes that were found flaky and have not changed since."""
    return tuple(p for p in probes if p.required and flaky and (p.id, digest(p)) in flaky)


def softened(system: System, flaky: Collection[Named]) -> System:
    """Return a system in which required probes that were found flaky are wanted: recorded, and nothing more."""
    wanted = {p.id for p in found_flaky(system.probes, flaky)}
    if not wanted:
        return system

    def soft(probe: Probe) -> Probe:
        return replace(probe, required=False) if probe.id in wanted else probe

    return replace(
        system,
        agents={n: replace(a, probes=tuple(map(soft, a.probes))) for n, a in system.agents.items()},
        channels=tuple(replace(c, probe=soft(c.probe)) if c.probe else c for c in system.channels),
        policy=replace(system.policy, probes=tuple(map(soft, system.policy.probes))),
    )
