"""One call: a tree, the one before it and the policy in force give a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stateguard.admission.documents import contents, is_bounded, is_read, is_seed, positions
from stateguard.admission.foreign.reading import Recognised
from stateguard.admission.foreign.survey import is_foreign
from stateguard.admission.names import MAX_TARGET_BYTES, collisions, path_problems, shown_path, symlink_problem
from stateguard.admission.references import command_problems, reference_problems
from stateguard.config.problem import Problem
from stateguard.config.sections import PathRules
from stateguard.config.system import is_declaration
from stateguard.config.yaml import MAX_BYTES
from stateguard.errors import StateguardError
from stateguard.model.policy import Policy, System
from stateguard.model.tree import SYMLINK
from stateguard.text import words

MAX_PATHS = 200_000
MAX_BLOB_BYTES = 100 * 1024 * 1024
MAX_SEED_BYTES = 32 * 1024 * 1024
"""Conversations above this size come in without a look at each line."""

_MOST_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole tree, flattened; what lies at a path is read only when it is needed.

    ``entries`` maps each raw path to mode and object id. ``read`` and ``size`` (in bytes) take an object id and raise
    StateguardError where the object is missing.
    """

    entries: Mapping[bytes, tuple[int, str]]
    read: Callable[[str], bytes]
    size: Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a tree, what it declares, and the desired paths by which it differs from before.

    ``recognised`` is what it holds of other tools.
    """

    problems: tuple[Problem, ...]
    system: System | None
    changed: tuple[str, ...]
    recognised: tuple[Recognised, ...] = ()

    @property
    def admitted(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def judge(tree: Tree, before: Tree | None, policy: Policy, *, commands: bool = True) -> Verdict:
    """Return the verdict on a tree.

    ``before`` is what it replaces, taken as judged already: what did not change is not looked at again, except for
    the declarations. ``policy`` is the one in force before, which says what is captured. ``commands``
    says that every agent needs one: the guard runs them itself. Bad content never raises.
    """
    if len(tree.entries) > MAX_PATHS:
        message = f"the tree has {len(tree.entries)} paths, at most {MAX_PATHS} are let in; remove some"
        return Verdict((Problem("", 0, "budget", message),), None, ())
    return _Judging(tree, before, PathRules(policy), commands).verdict()


@dataclass(slots=True)
class _Judging:
    """One tree being judged."""

    tree: Tree
    before: Tree | None
    rules: PathRules
    commands: bool
    problems: list[Problem] = field(default_factory=list)
    named: dict[str, tuple[int, str]] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def report(self, path: str, code: str, message: str) -> None:
        self.problems.append(Problem(path, 0, code, message))

    def verdict(self) -> Verdict:
        self.names()
        changed = self.fresh | self.removed
        if self.before is not None:
            for path in sorted(changed):
                if self.rules.captured(path):
                    message = "the running system owns this path, a push does not change it; leave it as it is on main"
                    self.report(path, "captured-path", message)
        absent = {path for path in sorted(self.fresh) if not self.fits(path)}
        files = self.files(absent)
        said = contents(files, None if self.before is None else changed)
        system = said.system
        self.problems.extend(said.problems)
        unread = any(is_declaration(path) and path not in files for path in self.named)
        if system is not None and not unread:
            self.problems.extend(reference_problems(system, self.named.keys(), positions(files)))
            self.problems.extend(command_problems(system) if self.commands else ())
        desired = tuple(sorted(path for path in changed if not self.rules.captured(path)))
        return Verdict(self.worst(), None if unread else system, desired, said.recognised)

    def worst(self) -> tuple[Problem, ...]:
        """Return the problems, sorted, each once, and not more than anybody reads."""
        found = sorted(set(self.problems))
        if len(found) <= _MOST_PROBLEMS:
            return tuple(found)
        rest = words.count(len(found) - _MOST_PROBLEMS, "more problem")
        return (*found[:_MOST_PROBLEMS], Problem("", 0, "more", f"and {rest}; mend these first"))

    def names(self) -> None:
        """Judge the names that are new, and sort all paths that have a good one."""
        old = self.before.entries if self.before is not None else {}
        for raw, entry in self.tree.entries.items():
            same = old.get(raw)
            wrong = [] if same is not None and same[0] == entry[0] else path_problems(raw, entry[0])
            if wrong:
                self.problems.extend(wrong)
                continue
            path = shown_path(raw)
            self.named[path] = entry
            if same != entry:
                self.fresh.add(path)
        self.removed = {shown_path(raw) for raw in old if raw not in self.tree.entries}
        if self.fresh:
            self.problems.extend(collisions(self.named))

    def fits(self, path: str) -> bool:
        """Say whether the object at a path is there and may come in; report it otherwise."""
        mode, identity = self.named[path]
        size = self.size_of(path)
        if size is None:
            return False
        if size > MAX_BLOB_BYTES:
            limit = words.size(MAX_BLOB_BYTES)
            self.report(
                path, "budget", f"the file has {words.size(size)}, at most {limit} are let in; keep it elsewhere"
            )
            return False
        if mode == SYMLINK:
            target = b"" if size > MAX_TARGET_BYTES else self.bytes_of(path, identity)
            problem = symlink_problem(path, target) if target is not None else None
            self.problems.extend([problem] if problem else [])
            return problem is None and target is not None
        return True

    def size_of(self, path: str) -> int | None:
        try:
            return self.tree.size(self.named[path][1])
        except StateguardError:
            self.missing(path)
            return None

    def bytes_of(self, path: str, identity: str) -> bytes | None:
        try:
            return self.tree.read(identity)
        except StateguardError:
            self.missing(path)
            return None

    def missing(self, path: str) -> None:
        self.report(path, "missing-object", f"the object {self.named[path][1]} is missing; push again")

    def files(self, absent: set[str]) -> dict[str, bytes]:
        """Return the bytes of what must be read; what is too large for its kind is reported and left out."""
        files: dict[str, bytes] = {}
        for path in sorted(self.named.keys() - absent):
            if not is_read(path, self.named) or not (self.bounds(path) or is_foreign(path) or path in self.fresh):
                continue
            mode, identity = self.named[path]
            if mode == SYMLINK:
                if is_declaration(path):
                    self.report(path, "symlink", "this must be a file of its own, not a link; replace it")
                continue
            data = self.bounded(path, identity)
            if data is not None:
                files[path] = data
        return files

    def bounds(self, path: str) -> bool:
        return is_bounded(path, self.named)

    def bounded(self, path: str, identity: str) -> bytes | None:
        size = self.size_of(path)
        if size is None or (is_seed(path) and size > MAX_SEED_BYTES):
            return None
        if size > MAX_BYTES and is_foreign(path) and not self.bounds(path):
            return None  # no tool of that name writes such a file: it is somebody else's
        if size > MAX_BYTES and self.bounds(path):
            limit = words.size(MAX_BYTES)
            self.report(path, "budget", f"the file has {words.size(size)}, at most {limit} are read; split it")
            return None
        return self.bytes_of(path, identity)
