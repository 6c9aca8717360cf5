"""What tests of the responder ask and say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helpers import eventually
from stateguard.detect.failure import TELLING, conditions
from stateguard.guard.view import facts
from stateguard.host.clock import now_text
from stateguard.model.condition import Condition, Severity
from stateguard.model.health import Health
from stateguard.model.identity import INCIDENTS
from stateguard.model.incident import Incident
from stateguard.model.policy import Arming, Trigger
from transition.setting import CHANGE, Setting

ARMED = dict.fromkeys(Trigger, Arming.ACT)
OLD_PROMPT, BRIEF = "be good\n", "be brief\n"


def report(setting: Setting, number: int) -> str:
    """Return the published report of an incident."""
    repository = setting.guard.repository
    head = repository.ref(INCIDENTS)
    assert head
    entry = setting.guard.books.declared.paths(head)[f"incidents/{number:04d}.md"]
    return repository.blob(entry.id).decode()


def events(incident: Incident) -> list[str]:
    return [e.event for e in incident.timeline]


def failing(setting: Setting) -> list[Condition]:
    """Return what the detectors say once the helper's probe has failed."""

    def found() -> list[Condition]:
        return [c for c in conditions(facts(setting.guard)) if c.type not in TELLING]

    return eventually(found)


def trouble(
    setting: Setting,
    found: Sequence[Condition],
    arming: Mapping[Trigger, Arming] = ARMED,
    *,
    onset: str | None = None,
    suspended: bool = False,
) -> Incident:
    responder = setting.guard.responder
    return responder.trouble(found, onset or now_text(), dict(arming), suspended=suspended)


def made_up(probe: str | None = "helper/ready", *, external: bool = False) -> Condition:
    """Return a condition as the detectors would find it, when it is not the point that it is true."""
    return Condition(
        "AGENT_FAILED",
        "helper",
        Severity.MEDIUM,
        "ProbeFailed",
        "helper fails",
        "probe",
        probe=probe,
        external=external,
    )


def bad_later(setting: Setting) -> str:
    """Apply a change that works, until a file appears; returns the commit."""
    new = setting.commit(CHANGE)
    assert setting.push(new).accepted
    (setting.guard.live / "late").touch()
    return new


def verdicts_are_in(setting: Setting) -> bool:
    readings = setting.guard.prober.readings()
    return bool(readings) and all(r.health is Health.HEALTHY for r in readings.values())
