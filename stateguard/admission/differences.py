"""By what a tree differs from the one before it, and what is wrong with the names that are new in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from stateguard.admission.known import Row
from stateguard.admission.names import collisions, path_problems, shown_path
from stateguard.admission.tree import Place, Reading
from stateguard.config.problem import Problem
from stateguard.model.tree import DIRECTORY, REGULAR

Pair = tuple[Place | None, Place | None]
"""A directory before and after; None where it is not there."""

_SLASH = "a name in the tree has a slash; write the tree with git add"


@dataclass(slots=True)
class Differences:
    """What is new or has changed (path to mode and object id), and what is no longer there.

    ``refused`` are the raw paths that have a bad name or mode: they are in neither.
    """

    fresh: dict[str, tuple[int, str]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    refused: set[bytes] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def differences(before: Reading | None, after: Reading) -> Differences:
    """Compare two trees; directories that are equal in both are not looked at.

    Names are judged where they are new or have another mode: what was there before was judged before.

    Raises:
        StateguardError: an object is missing.
    """
    found = Differences()
    todo: list[Pair] = [(before.root if before else None, after.root)]
    while todo:
        old, new = todo.pop()
        if old is not None and new is not None and old.id == new.id:
            continue
        if new is not None and new.too_long:
            found.problems.extend(path_problems(new.lead[:-1], REGULAR))
        elif old is None or not old.too_long:
            rows = before.rows(old) if before and old else (), after.rows(new) if new else ()
            todo.extend(_level(found, (old, new), *rows))
    return found


def _level(found: Differences, pair: Pair, before: Sequence[Row], after: Sequence[Row]) -> Iterator[Pair]:
    """Note by what one directory differs, and yield the directories in it that do."""
    there, here = frozenset(before), frozenset(after)
    gone, come = [row for row in before if row not in here], [row for row in after if row not in there]
    lead = next(place.lead for place in pair if place is not None)
    names, replaced = _names(come), frozenset(_names(gone))
    if not replaced.issuperset(names) or len(here) < len(after) or len(frozenset(names)) < len(names):
        found.problems.extend(collisions(shown_path(lead), _names(after)))
    modes = {name: mode for name, mode, _ in gone if mode != DIRECTORY}
    for name, mode, identity in come:
        if b"/" in name:
            found.problems.append(Problem(shown_path(lead + name), 0, "path", _SLASH))
            found.refused.add(lead + name)
        elif mode != DIRECTORY:
            _note(found, lead + name, (mode, identity), modes.pop(name, None))
    found.removed |= {shown_path(lead + name) for name in modes}
    yield from _pairs(pair, gone, come)


def _names(rows: Iterable[Row]) -> list[tuple[bytes, bool]]:
    return [(name, mode == DIRECTORY) for name, mode, _ in rows]


def _note(found: Differences, path: bytes, entry: tuple[int, str], mode_before: int | None) -> None:
    wrong = [] if mode_before == entry[0] else path_problems(path, entry[0])
    if wrong:
        found.problems.extend(wrong)
        found.refused.add(path)
    else:
        found.fresh[shown_path(path)] = entry


def _pairs(pair: Pair, gone: Iterable[Row], come: Iterable[Row]) -> Iterator[Pair]:
    """Yield the directories that left and came, those of one name together."""
    old, new = ({name: child for name, mode, child in rows if mode == DIRECTORY} for rows in (gone, come))
    for name in sorted(name for name in old.keys() | new.keys() if b"/" not in name):
        yield (
            pair[0].below(name, old[name]) if pair[0] and name in old else None,
            pair[1].below(name, new[name]) if pair[1] and name in new else None,
        )
