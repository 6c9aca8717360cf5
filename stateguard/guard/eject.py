"""Stop guarding: the agents run on, the served repository becomes a plain one, the home is kept as a record."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stateguard.errors import LockHeldError, RefusedError, StorageError
from stateguard.guard.client import stream
from stateguard.guard.compose import Guard, compose
from stateguard.guard.hooks import HOOKS
from stateguard.host import files
from stateguard.host.clock import boot_seconds, now_text
from stateguard.host.home import Home
from stateguard.host.lock import WriterLock, held
from stateguard.host.space import give_up_reserve
from stateguard.live.lock import release
from stateguard.model.health import ALIVE
from stateguard.record.audit import Entry
from stateguard.state.git import git_raw
from stateguard.state.settings import unserve

Say = Callable[[str], None]

_STOPPING_SECONDS = 120.0
_BETWEEN_SECONDS = 0.05
_ANSWER_SECONDS = 10.0
_COPY_SECONDS = 600.0
_NOTHING = "nothing was changed"


def refuse_ejected(home: Home) -> None:
    """Let nothing write to a home that guards nothing any more.

    Raises:
        RefusedError: it was ejected.
    """
    if home.ejected.exists():
        message = f"{home.root} was ejected: it guards nothing any more and is kept as a record"
        raise RefusedError(
            message, next_step="guard the directory anew: stateguard --home NEW init --from LIVE --live LIVE"
        )


def eject(home: Home, copy: Path | None, actor: str, say: Say) -> dict[str, Any]:
    """Stop guarding; ``copy`` is where a bare copy of the served repository is made besides.

    Whatever interrupts it, it may be run again and does the rest.

    Raises:
        RefusedError: a transition has not ended, or there is something where the copy would lie.
        LockHeldError: the guard does not stop, or a command writes.
        StorageError: git or the disk refused.
    """
    if copy is not None and os.path.lexists(copy) and not (copy.is_dir() and not any(copy.iterdir())):
        message = f"{copy} is there already and is no empty directory"
        raise RefusedError(message, next_step="name a directory that does not exist yet")
    if copy is not None:
        _require_place(copy)
    changed = "the guard was stopped" if _stop_guard(home, say) else _NOTHING
    with WriterLock(home.writer_lock, "eject").acquire(_STOPPING_SECONDS):
        guard = compose(home, lambda *_: None)
        try:
            _refuse_unfinished([o.id for o in guard.books.journal.unfinished()], changed)
            guard.look()
            return _leave(guard, copy, actor)
        finally:
            guard.close()


def _require_place(copy: Path) -> None:
    """Make the directory of the copy before anything is stopped: what cannot be made must not cost the guard.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        copy.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{copy} cannot be made: {error.strerror}", next_step="name another directory") from error


def _stop_guard(home: Home, say: Say) -> bool:
    """Ask a running guard to end, unless it is in the middle of something; say whether there was one."""
    role, pid = WriterLock(home.writer_lock, "eject").holder()
    if role != "daemon" or not held(home.writer_lock):
        return False
    answers = stream(home.socket, "status", {}, _ANSWER_SECONDS)
    running = next((d["result"]["transition"] for d in answers if "result" in d), None)
    _refuse_unfinished([running["operation"]] if running else [], _NOTHING)
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        message = f"the guard (process {pid}) belongs to another user"
        raise RefusedError(message, next_step="run this as the user who owns the home") from error
    say(f"asked the guard (process {pid}) to stop")
    give_up_at = boot_seconds() + _STOPPING_SECONDS
    while held(home.writer_lock):
        if boot_seconds() > give_up_at:
            message = f"the guard (process {pid}) did not stop within {_STOPPING_SECONDS:.0f} s"
            raise LockHeldError(message, changed="it was asked to stop", next_step="see its log; try again")
        time.sleep(_BETWEEN_SECONDS)
    return True


def _refuse_unfinished(operations: list[int], changed: str) -> None:
    if operations:
        message = f"operation {operations[0]} has not ended"
        hint = "wait for it, or after a crash: stateguard recover; then eject again"
        raise RefusedError(message, changed=changed, next_step=hint)


def _leave(guard: Guard, copy: Path | None, actor: str) -> dict[str, Any]:
    home, live = guard.home, guard.live
    statuses = guard.runtime.statuses()
    agents = [{"name": n, "pid": s.pid} for n, s in sorted(statuses.items()) if s.state in ALIVE and s.pid is not None]
    try:
        if copy is not None:
            git_raw(("clone", "--quiet", "--mirror", str(home.repository), str(copy)), deadline_seconds=_COPY_SECONDS)
        if not home.ejected.exists():
            guard.books.audit.append([Entry("eject", actor, {"revision": guard.applied, "main": guard.main})])
            files.replace(home.ejected, json.dumps({"at": now_text(), "actor": actor}).encode() + b"\n", 0o600)
        for repository in (home.repository, *([copy] if copy else [])):
            for name in HOOKS:
                (repository / "hooks" / name).unlink(missing_ok=True)
            unserve(repository)
        release(live, guard.identity, home.root)
        give_up_reserve(home.reserve)
    except OSError as error:
        message = f"{error.filename or home.root} cannot be changed: {error.strerror}"
        raise StorageError(message, changed="a part of it", next_step="mend that, then eject again") from error
    return {
        "home": str(home.root),
        "live": str(live.resolve()),
        "repository": str(home.repository),
        "copy": str(copy) if copy else None,
        "revision": guard.applied or None,
        "main": guard.main or None,
        "agents": agents,
    }
