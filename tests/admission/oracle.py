"""What admission says of a tree, worked out the long way: every path is looked at, and nothing is left out."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from admission.trees import Objects
from stateguard.admission.documents import contents, is_bounded, is_read, positions
from stateguard.admission.foreign.survey import is_foreign
from stateguard.admission.names import path_problems, shown_path, symlink_problem
from stateguard.admission.references import command_problems, reference_problems
from stateguard.config.problem import Problem
from stateguard.config.sections import PathRules
from stateguard.config.system import is_declaration
from stateguard.errors import StorageError
from stateguard.model.policy import Policy, System
from stateguard.model.tree import SYMLINK, parents

Entries = Mapping[bytes, tuple[int, str]]


class Listed:
    """Answers what a tree holds, from a list of its paths."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.noted: Collection[str] = frozenset(paths)
        self._above = {directory for path in self.noted for directory in parents(path)}

    def exists(self, path: str) -> bool:
        return path in self.noted or path in self._above

    def directories(self, path: str) -> Iterable[str]:
        return (one.removeprefix(f"{path}/") for one in self._above if one.rpartition("/")[0] == path)


@dataclass(frozen=True)
class Said:
    """What is said of a tree."""

    problems: frozenset[Problem]
    system: System | None
    changed: tuple[str, ...]
    collides: bool


def said(entries: Entries, before: Entries | None, policy: Policy, objects: Objects) -> Said:
    """Judge a tree of small files."""
    rules, old = PathRules(policy), before or {}
    problems: list[Problem] = []
    named: dict[str, tuple[int, str]] = {}
    for raw, entry in entries.items():
        wrong = path_problems(raw, entry[0]) if raw not in old or old[raw][0] != entry[0] else []
        problems += wrong
        if not wrong:
            named[shown_path(raw)] = entry
    fresh = {path for path, entry in named.items() if old.get(path.encode()) != entry}
    changed = fresh | {shown_path(raw) for raw in old if raw not in entries}
    owned = {path for path in changed if rules.captured(path)}
    message = "the running system owns this path, a push does not change it; leave it as it is on main"
    problems += [Problem(path, 0, "captured-path", message) for path in owned if before is not None]
    files = {}
    for path, (mode, identity) in named.items():
        again = is_read(path, named) and (is_bounded(path, named) or is_foreign(path))
        if path not in fresh and not again:
            continue
        try:
            data = objects.read(identity)
        except StorageError:
            problems.append(Problem(path, 0, "missing-object", f"the object {identity} is missing; push again"))
            continue
        link = symlink_problem(path, data) if mode == SYMLINK and path in fresh else None
        problems += [link] if link else []
        if mode == SYMLINK and is_declaration(path) and not link:
            problems.append(Problem(path, 0, "symlink", "this must be a file of its own, not a link; replace it"))
        elif mode != SYMLINK and is_read(path, named):
            files[path] = data
    found = contents(files, None if before is None else changed)
    problems += found.problems
    system = None if any(is_declaration(path) and path not in files for path in named) else found.system
    if system is not None:
        problems += [*reference_problems(system, Listed(named), positions(files)), *command_problems(system)]
    return Said(frozenset(problems), system, tuple(sorted(changed - owned)), collide(named))


def collide(paths: Iterable[str]) -> bool:
    """Say whether some paths, with the directories above them, cannot all be told apart on every disk."""
    files = set(paths)
    directories = {above for path in files for above in parents(path)}
    every = files | directories
    return len({_folded(path) for path in every}) < len(every) or bool(files & directories)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
