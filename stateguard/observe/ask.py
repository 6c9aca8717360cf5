"""Ask a probe once."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from stateguard.host.logs import failure
from stateguard.host.reach import ORDINARY, Reach
from stateguard.host.sandbox import UNCONFINED, Sandbox
from stateguard.model.agent import CommandCheck, FileCheck, HttpCheck, Probe, TcpCheck
from stateguard.observe import command, file, http, tcp
from stateguard.observe.outcome import Outcome, broken


def ask(probe: Probe, live: Path, sandbox: Sandbox = UNCONFINED, reach: Reach = ORDINARY) -> Outcome:
    """Ask a probe once, within its own timeout; commands run, and files are looked for, in the live directory.

    ``sandbox`` starts the commands, ``reach`` says which addresses may be asked.
    """
    try:
        return _check(probe, live, sandbox, reach)
    except Exception as error:  # noqa: BLE001 - a fault of a check is an observation like any other, never the end
        failure("a check failed in an unforeseen way", probe=probe.id)
        return broken(f"the check itself failed: {type(error).__name__}")


def _check(probe: Probe, live: Path, sandbox: Sandbox, reach: Reach) -> Outcome:
    match probe.check:
        case HttpCheck():
            return http.check(probe.check, probe.timeout_seconds, reach)
        case TcpCheck():
            return tcp.check(probe.check, probe.timeout_seconds, reach)
        case CommandCheck():
            return command.check(probe.check, probe.timeout_seconds, live, sandbox)
        case FileCheck():
            return file.check(probe.check, live)
        case _:
            assert_never(probe.check)
