"""Commands about conversations: what there is, and which lines were written under which state."""

from __future__ import annotations

import errno
from typing import Any

from stateguard.errors import NotFoundError, StorageError
from stateguard.guard.applies import Say
from stateguard.guard.commands.desk import Command, Desk
from stateguard.guard.compose import Guard
from stateguard.host.clock import now_text
from stateguard.model import watermark
from stateguard.model.watermark import Mark


def _list(desk: Desk, _parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    guard = desk.guard
    present = guard.archive.captured()
    over = {one.path: one.why for one in present.over}
    rows = []
    for path in sorted({*present.every, *guard.watermarks.paths()}):
        marks = guard.watermarks.of(path)
        last = marks[-1] if marks else None
        rows.append(
            {
                "path": path,
                "present": path in present.every,
                "bytes": last.length if last else None,
                "lines": last.lines if last else None,
                "generation": last.generation if last else None,
                "revision": (last.force.revision or None) if last else None,
                "fingerprint": (last.force.fingerprint or None) if last else None,
                "at": last.at if last else None,
                "not_kept": over.get(path),
            }
        )
    return {"conversations": rows}


def _show(desk: Desk, parameters: dict[str, Any], _say: Say) -> dict[str, Any]:
    guard, path = desk.guard, str(parameters["path"])
    marks = guard.watermarks.of(path)
    present = path in guard.archive.captured().paths
    if not marks and not present:
        message = f"{path!r} is no file that the running system owns"
        raise NotFoundError(message, next_step="see: stateguard conversations list")
    now = _as_it_is(guard, path, marks) if present else None
    every = [*marks, now] if now is not None else marks
    kept = marks[-1] if marks else None
    generation = every[-1].generation
    return {
        "path": path,
        "present": present,
        "generation": generation,
        "lines": every[-1].lines,
        "marked_lines": kept.lines if kept and kept.generation == generation else 0,
        "turns": [turns.as_json() for turns in watermark.turns(every)],
        "earlier": [t.as_json() for g in range(1, generation) for t in watermark.turns(every, g)],
        "marks": [_mark(mark) for mark in marks],
    }


def _as_it_is(guard: Guard, path: str, marks: list[Mark]) -> Mark | None:
    """Return the mark that a capture would make of a file now, None if it would make none."""
    try:
        content = guard.scanner().content(path)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        message = f"{path} cannot be read: {error.strerror}"
        raise StorageError(message, next_step="check who may read it") from error
    fresh = watermark.first(path, content, guard.archive.force(guard.applied), now_text(), None)
    if marks and marks[-1].digest == fresh.digest:
        return None
    ends = {mark.generation: mark for mark in marks}
    return watermark.placed(fresh, content, [*reversed(ends.values())], guard.archive.blob)


def _mark(mark: Mark) -> dict[str, Any]:
    return {
        "generation": mark.generation,
        "bytes": mark.length,
        "lines": mark.lines,
        "digest": mark.digest,
        "fingerprint": mark.force.fingerprint or None,
        "revision": mark.force.revision or None,
        "at": mark.at,
        "operation": mark.operation,
    }


COMMANDS: dict[str, Command] = {
    "conversations-list": Command(_list),
    "conversations-show": Command(_show),
}
