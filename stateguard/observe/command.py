"""Run a command in the live directory: exit status 0 passes."""

from __future__ import annotations

from pathlib import Path

from stateguard.host import command
from stateguard.host.sandbox import UNCONFINED, Sandbox
from stateguard.model.agent import CommandCheck
from stateguard.observe.outcome import Outcome, broken, excerpt, failed, passed, silent

_LINE_CHARACTERS = 200


def check(asked: CommandCheck, timeout_seconds: float, live: Path, sandbox: Sandbox = UNCONFINED) -> Outcome:
    """Run it; its process group ends with it or with the timeout.

    The reason for a failure is the last line it wrote: to standard error, or else to standard output.
    """
    try:
        done = command.run_bounded(asked.argv, cwd=live, deadline_seconds=timeout_seconds, sandbox=sandbox)
    except FileNotFoundError as error:
        return broken(f"{error.filename or asked.argv[0]}: no such program or directory")
    except (OSError, ValueError) as error:
        return broken(excerpt(f"{asked.argv[0]} cannot be started: {error}".encode(), _LINE_CHARACTERS))
    if done.status is None:
        return silent(timeout_seconds)
    said = excerpt(done.errors, _LINE_CHARACTERS, last=True) or excerpt(done.output, _LINE_CHARACTERS, last=True)
    if done.status == 0:
        return passed(excerpt(done.output, _LINE_CHARACTERS, last=True) or "exit status 0")
    ended = f"exit status {done.status}" if done.status > 0 else f"killed by signal {-done.status}"
    return failed(said or ended)
