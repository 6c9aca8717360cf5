"""Commands about probes."""

from __future__ import annotations

from typing import Any

from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk
from stateguard.guard.selftest import chosen, lines, selftest
from stateguard.guard.view import trial_document
from stateguard.host.clock import boot_seconds
from stateguard.model.selftest import digest


def _probe_test(desk: Desk, parameters: dict[str, Any], say: Say) -> dict[str, Any]:
    guard, began = desk.guard, boot_seconds()
    probes = chosen(guard.books.declared.literally(guard.applied), [str(n) for n in parameters.get("names") or []])
    tested = selftest(guard, probes, int(parameters.get("count") or 0), desk.progress)
    for text in lines(tested, boot_seconds() - began):
        say(text)
    guard.wake.set()
    return tested


def _probe_list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    guard = desk.guard
    known, readings = guard.trials.all(), guard.prober.readings()
    found = []
    for probe in guard.books.declared.literally(guard.applied).probes:
        trial = known.get(probe.id)
        current = trial is not None and trial.digest == digest(probe)
        tested = trial_document(probe, trial) if trial is not None and current else None
        flaky = bool(tested and tested["flaky"])
        health = str(readings[probe.id].health) if probe.id in readings and desk.pid is not None else "UNKNOWN"
        found.append(
            {
                "probe": probe.id,
                "title": probe.title,
                "kind": str(probe.kind),
                "scope": "external" if probe.external else "internal",
                "required": probe.required,
                "counts": "required" if probe.required and not flaky else "wanted",
                "health": health,
                "tested": tested | {"at": trial.at} if tested and trial else None,
            }
        )
    return {"probes": found}


COMMANDS: dict[str, Command] = {"probe-test": Command(_probe_test), "probe-list": Command(_probe_list)}
"""A self-test changes nothing but its own record, and would keep pushes waiting if it took its turn."""
