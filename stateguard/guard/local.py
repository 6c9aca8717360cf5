"""Run a command in this process, because no guard listens; under the writer lock if it writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stateguard.guard.applies import Applies, Say
from stateguard.guard.commands.desk import Desk, Progress, nobody
from stateguard.guard.commands.table import COMMANDS
from stateguard.guard.compose import Guard, compose
from stateguard.guard.eject import refuse_ejected
from stateguard.guard.recover import recover
from stateguard.guard.upgrade import upgrade
from stateguard.host.home import Home
from stateguard.host.lock import WriterLock
from stateguard.live.lock import claim
from stateguard.model.transition import Step
from stateguard.transition.journal import Operation

_PATIENCE_SECONDS = 30.0


def without_daemon(
    home: Home,
    name: str,
    parameters: dict[str, Any],
    say: Say,
    announce: Callable[[Operation, Step], None],
    progress: Progress = nobody,
) -> dict[str, Any]:
    """Run a command in this process. One that writes first finishes or undoes what was interrupted.

    ``announce`` is told each step of a transition before it begins, ``progress`` how far other long work is.

    Raises:
        LockHeldError: another process writes.
        StateguardError: whatever the command meets.
    """
    found = COMMANDS[name]
    if not found.writes:
        guard = compose(home, announce)
        try:
            guard.look()
            return found.answer(_desk(guard, progress), parameters, say)
        finally:
            guard.close()
    with WriterLock(home.writer_lock, name).acquire(_PATIENCE_SECONDS):
        refuse_ejected(home)
        upgrade(home, say)
        guard = compose(home, announce)
        try:
            claim(guard.live, guard.identity, home.root)
            guard.supervise()
            desk = _desk(guard, progress)
            if name != "recover":
                recover(guard, desk.applies)
            return found.answer(desk, parameters, say)
        finally:
            guard.close()


def _desk(guard: Guard, progress: Progress) -> Desk:
    def metrics() -> str:
        from stateguard.guard.metrics.instruments import Instruments  # noqa: PLC0415 - keeps other commands fast

        return Instruments(guard).exposition()

    return Desk(guard, Applies(guard), None, list, metrics, progress)
