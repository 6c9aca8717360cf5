"""All that a tree holds of other tools, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set as AbstractSet

from stateguard.admission.foreign import a2a, crewai, mcp
from stateguard.admission.foreign.a2a import card, is_card
from stateguard.admission.foreign.crewai import crews, is_crewai
from stateguard.admission.foreign.mcp import is_mcp, servers
from stateguard.admission.foreign.reading import Recognised
from stateguard.config.problem import Problem
from stateguard.text import words

FOREIGN_NAMES = crewai.NAMES | mcp.NAMES | a2a.NAMES
"""The names of all files of other tools; some files have them that are none."""


def is_foreign(path: str) -> bool:
    """Say whether a path has a name that another tool gives its files."""
    return is_crewai(path) or is_mcp(path) or is_card(path)


def survey(
    files: Mapping[str, bytes], cards: Collection[str], changed: AbstractSet[str] | None
) -> tuple[list[Recognised], list[Problem]]:
    """Return what is recognised, sorted, and the problems in what ``changed`` (None: everything) concerns.

    ``cards`` are the files that agents name as their Agent Cards.
    """
    found: list[Recognised] = []
    problems: list[Problem] = []
    for recognised, wrong in _all(files, cards, changed):
        found += [recognised] if recognised else []
        problems += wrong
    return sorted(found, key=lambda one: (one.format, one.path)), problems


def _all(
    files: Mapping[str, bytes], cards: Collection[str], changed: AbstractSet[str] | None
) -> Iterator[tuple[Recognised | None, list[Problem]]]:
    yield from crews(files, changed)
    for path in sorted(files):
        declared = path in cards
        if declared or is_card(path):
            recognised, wrong = card(path, files[path], declared=declared)
        elif is_mcp(path):
            recognised, wrong = servers(path, files[path])
        else:
            continue
        yield recognised, wrong if changed is None or path in changed else []


def summary(found: Sequence[Recognised]) -> str:
    """Return ``crewai: 3 agents, 5 tasks in config/; mcp: 2 servers (1 stdio, 1 http); a2a: 1 card, 4 skills``."""
    told = {"crewai": _crews, "mcp": _servers, "a2a": _cards}
    groups = {name: [one for one in found if one.format == name] for name in told}
    return "; ".join(f"{name}: {tell(groups[name])}" for name, tell in told.items() if groups[name])


def _totals(found: Sequence[Recognised]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for one in found:
        totals.update(dict(one.counts))
    return totals


def _number(number: int, noun: str) -> str:
    return words.count(number, noun.removesuffix("s"))


def _crews(found: Sequence[Recognised]) -> str:
    place = found[0].path if len(found) == 1 else words.count(len(found), "directory", "directories")
    return ", ".join(_number(number, noun) for noun, number in _totals(found).items()) + f" in {place}"


def _servers(found: Sequence[Recognised]) -> str:
    totals = _totals(found)
    number = totals.pop("servers")
    kinds = ", ".join(f"{count} {kind}" for kind, count in totals.items())
    return _number(number, "servers") + (f" ({kinds})" if kinds else "")


def _cards(found: Sequence[Recognised]) -> str:
    return f"{words.count(len(found), 'card')}, {_number(_totals(found)['skills'], 'skills')}"
