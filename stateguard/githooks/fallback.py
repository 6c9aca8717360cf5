"""What the hooks do in this process when no guard runs: admit, move main, leave the apply to the guard."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from stateguard.errors import RefusedError
from stateguard.guard.admit import admit
from stateguard.guard.applies import Answer, Applies
from stateguard.guard.compose import Guard, compose
from stateguard.guard.libraries import refuse_holes
from stateguard.guard.recover import come_home
from stateguard.guard.upgrade import upgrade
from stateguard.host import files
from stateguard.host.home import Home
from stateguard.host.lock import WriterLock
from stateguard.host.logs import log

_PATIENCE_SECONDS = 30.0


def run(home: Home, command: str, request: dict[str, Any]) -> int:
    """Answer one hook; returns its exit status.

    Raises:
        StateguardError: it could not be decided; the push must be refused.
    """
    home.require()
    if os.getuid() != home.root.stat().st_uid:
        raise RefusedError(
            "the guard does not run, and only its own user can push without it", next_step="stateguard run"
        )
    refuse_holes()
    with WriterLock(home.writer_lock, "hook").acquire(_PATIENCE_SECONDS):
        upgrade(home, log)
        guard = compose(home, lambda *_: None)
        try:
            _require_home(guard)
            if command == "admit":
                return _admit(guard, request)
            return _push(guard, request)
        finally:
            guard.close()


def _require_home(guard: Guard) -> None:
    come_home(guard)
    if guard.repository.spooled:
        message = f"{guard.home.spool} holds what the repository could not take, and cannot be brought home yet"
        raise RefusedError(message, next_step="look at the disk of repo.git, then: stateguard recover")


def _admit(guard: Guard, request: dict[str, Any]) -> int:
    verdict = admit(
        guard, request["updates"], request.get("quarantine"), request.get("options", []), request.get("user", "")
    )
    for text in verdict.lines:
        print(f"stateguard: {text}")
    return 0 if verdict.admitted else 1


def _push(guard: Guard, request: dict[str, Any]) -> int:
    known = guard.books.journal.by_token(request["token"])
    if known is not None and known.outcome is None:
        return _undecided(request, known.id)
    left = [o.id for o in guard.books.journal.unfinished()]
    if left and known is None:
        raise RefusedError(
            f"operation {left[0]} was interrupted and is decided when the guard starts again",
            next_step="stateguard run, then push again",
        )
    options = [*request.get("options", []), "wait=none"]
    answer = Applies(guard).receive(
        request["token"], request["old"], request["new"], options, request.get("user", ""), _unheard
    )
    done = guard.books.journal.by_token(request["token"])
    if answer.accepted and done is not None and done.result.get("detail", {}).get("admitted_only"):
        print("stateguard: no guard runs: admitted; it is applied when the guard starts")
    _answer(request, answer)
    return 0


def _undecided(request: dict[str, Any], operation: int) -> int:
    """Say what is known of a push that was begun: only a guard can finish it or undo it."""
    print(f"stateguard: your push is operation {operation}; the guard ended before it was decided")
    print("stateguard:   changed: perhaps files of the live directory, agents, and main")
    print("stateguard:   next: stateguard run finishes or undoes it; git fetch shows which")
    reason = f"undecided: operation {operation} is finished or undone when the guard starts"
    _answer(request, Answer(accepted=False, reason=reason))
    return 0


def _answer(request: dict[str, Any], answer: Answer) -> None:
    files.replace(Path(request["answer"]), json.dumps(answer.as_json()).encode())


def _unheard(_text: str) -> None:
    """Say nothing: what a running guard would say does not hold here."""
