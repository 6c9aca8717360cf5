"""What a write into the live directory would meet, and what of it is in the way (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stateguard.model.transition import PathWrite
from stateguard.model.tree import OBSTACLE, parents


@dataclass(frozen=True, slots=True)
class Ground:
    """What lies above and at the paths of some writes.

    ``blocked`` are paths above them that exist and are no directories. ``directories`` names, for each path that is
    one, everything that lies below: files, links, and directories that are empty.
    """

    blocked: frozenset[str] = frozenset()
    directories: Mapping[str, frozenset[str]] = field(default_factory=dict)


def in_the_way(todo: Sequence[PathWrite], managed: Callable[[str], bool], ground: Ground) -> tuple[str, ...]:
    """Return the paths whose present content is not stateguard's and would be lost by these writes, sorted.

    What is unmanaged is never changed: a file where another shall be, a directory that would not be empty, a file or
    link where a directory is needed, and what git could not hold, whoever put it there.
    """
    gone = {w.path for w in todo if w.after is None}
    found: set[str] = set()
    for write in todo:
        if write.after is not None:
            found |= {p for p in parents(write.path) if p in ground.blocked and not (p in gone and managed(p))}
        if write.before == OBSTACLE and write.path in ground.directories:
            if write.after is not None and not ground.directories[write.path] <= gone:
                found.add(write.path)
        elif write.before == OBSTACLE or (write.before is not None and not managed(write.path)):
            found.add(write.path)
    return tuple(sorted(found))


def cleared(todo: Sequence[PathWrite]) -> tuple[PathWrite, ...]:
    """Return the writes with nothing as content before where a directory or the like lay: that is not written back."""
    mended = (replace(w, before=None) if w.before == OBSTACLE else w for w in todo)
    return tuple(w for w in mended if w.before != w.after)


def aside_name(path: str, operation: int, taken: Callable[[str], bool]) -> str:
    """Return the free path beside another to which what lies there is moved out of an operation's way."""
    lead, slash, name = path.rpartition("/")
    stem = name.encode()[:200].decode(errors="ignore")
    tries = (f"{lead}{slash}{stem}.aside-{operation}{f'-{n}' if n else ''}" for n in range(1_000_000))
    return next(name for name in tries if not taken(name))
