"""Which lines of a conversation were written while which state was in force (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stateguard.model.tree import blob_id

Read = Callable[[str], bytes | None]
"""Returns the bytes of a blob by its id, None if they were never kept."""


@dataclass(frozen=True, slots=True)
class Force:
    """A main commit and its fingerprint, while they were in force; empty texts stand for nothing of ours."""

    revision: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a captured file had grown at one moment, and what had been in force since the mark before.

    ``length`` is in bytes; ``lines`` counts complete ones, None for a file that has no lines (a database).
    ``digest`` is the blob id of those bytes. A file that does not go on from the mark before begins a new
    ``generation``, of which the first ``shared`` lines are those of an earlier one, ``base``. ``at`` is RFC 3339
    UTC; ``operation`` is the transition that the mark was made for, if any.
    """

    path: str
    generation: int
    base: int | None
    shared: int
    length: int
    lines: int | None
    digest: str
    force: Force
    at: str
    operation: int | None


@dataclass(frozen=True, slots=True)
class Turns:
    """Lines of one generation, counted from 1, that one state was in force for; ``at``: seen by then."""

    generation: int
    from_line: int
    to_line: int
    force: Force
    at: str
    operation: int | None

    def as_json(self) -> dict[str, object]:
        """Return it as the command shows it."""
        return {
            "generation": self.generation,
            "from_line": self.from_line,
            "to_line": self.to_line,
            "fingerprint": self.force.fingerprint or None,
            "revision": self.force.revision or None,
            "at": self.at,
            "operation": self.operation,
        }


def lines_in(path: str, content: bytes) -> int | None:
    """Return the complete lines of a file of JSON lines, None for any other."""
    return content.count(b"\n") if path.endswith(".jsonl") else None


def goes_on(last: Mark, content: bytes) -> bool:
    """Say whether bytes are those of a mark with more behind them; what has no lines always goes on."""
    if last.lines is None:
        return True
    return len(content) >= last.length and blob_id(content[: last.length]) == last.digest


def shared_lines(one: bytes, other: bytes) -> int:
    """Return with how many equal complete lines both begin."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # the longest equal beginning lies between these
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return one[:low].count(b"\n")


def first(path: str, content: bytes, force: Force, at: str, operation: int | None) -> Mark:
    """Return the mark of a file that was never seen before."""
    digest = blob_id(content)
    return Mark(path, 1, None, 0, len(content), lines_in(path, content), digest, force, at, operation)


def placed(fresh: Mark, content: bytes, ends: Sequence[Mark], read: Read) -> Mark:
    """Return a new mark of a file in its generation; ``ends`` are the last marks of earlier ones, newest first.

    A file that was cut, replaced or put back begins a new generation and shares lines with the earlier one that has
    most in common with it, so that a line is put down to the state under which it was written at first.
    """
    if not ends:
        return fresh
    last = ends[0]
    onward = goes_on(last, content)
    if onward and len(ends) == 1:
        return replace(fresh, generation=last.generation, base=last.base, shared=last.shared)
    shared = {end.generation: shared_lines(read(end.digest) or b"", content) for end in ends}
    best = max(shared, key=lambda generation: (shared[generation], generation))
    if onward and (last.lines is None or shared[best] <= last.lines):
        return replace(fresh, generation=last.generation, base=last.base, shared=last.shared)
    return replace(fresh, generation=last.generation + 1, base=best, shared=shared[best])


def stretches(last: Mark, mark: Mark) -> bool:
    """Say whether a mark says all that the last one said, so that it can take its place."""
    same = (last.generation, last.force) == (mark.generation, mark.force)
    return same and last.operation is None and mark.operation is None


def turns(marks: Sequence[Mark], generation: int | None = None) -> tuple[Turns, ...]:
    """Return which lines of a file were written under what, in order; of the newest generation if none is named.

    ``marks`` are those of one path, oldest first. Every line from the first to the last mark's is in exactly one.
    """
    if not marks:
        return ()
    wanted = marks[-1].generation if generation is None else generation
    mine = [mark for mark in marks if mark.generation == wanted]
    found: list[Turns] = []
    reached = 0
    if mine and mine[0].base is not None and mine[0].shared:
        reached = mine[0].shared
        earlier = turns(marks, mine[0].base)
        found = [
            replace(t, generation=wanted, to_line=min(t.to_line, reached)) for t in earlier if t.from_line <= reached
        ]
    for mark in mine:
        if mark.lines is None or mark.lines <= reached:
            continue
        if found and found[-1].force == mark.force:
            found[-1] = replace(found[-1], to_line=mark.lines, at=mark.at, operation=mark.operation)
        else:
            found.append(Turns(wanted, reached + 1, mark.lines, mark.force, mark.at, mark.operation))
        reached = mark.lines
    return tuple(found)
