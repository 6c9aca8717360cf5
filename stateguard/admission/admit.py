"""One call: a tree, the one before it and the policy in force give a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stateguard.admission.attributes import attribute_problems, is_attributes, steers_git
from stateguard.admission.differences import Differences, differences
from stateguard.admission.documents import contents, is_bounded, is_read, is_seed, positions
from stateguard.admission.foreign.reading import Recognised
from stateguard.admission.foreign.survey import is_foreign
from stateguard.admission.known import Known
from stateguard.admission.names import MAX_TARGET_BYTES, shown_path, symlink_problem
from stateguard.admission.places import Places
from stateguard.admission.references import Keeper, command_problems, reference_problems, secret_problems
from stateguard.admission.tree import OverBudgetError, Reading, Tree
from stateguard.config.problem import Problem
from stateguard.config.sections import PathRules
from stateguard.config.system import is_declaration
from stateguard.config.yaml import MAX_BYTES
from stateguard.errors import StateguardError
from stateguard.model.policy import Policy, System
from stateguard.model.secret import sealed_name, sealed_path
from stateguard.model.tree import SYMLINK
from stateguard.text import words
from stateguard.trust.age import MAX_FILE_BYTES, is_age

MAX_PATHS = 200_000
MAX_BLOB_BYTES = 100 * 1024 * 1024
MAX_SEED_BYTES = 32 * 1024 * 1024
"""Conversations above this size come in without a look at each line."""

_MOST_PROBLEMS = 200


class _TooLateError(Exception):
    """A tree takes longer to judge than there is time for."""


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


def judge(
    tree: Tree,
    before: Tree | None,
    policy: Policy,
    *,
    commands: bool = True,
    known: Known | None = None,
    late: Callable[[], bool] | None = None,
    secrets: Keeper | None = None,
) -> Verdict:
    """Return the verdict on a tree.

    ``before`` is what it replaces, taken as judged already: what did not change is not looked at again, except for
    the declarations. ``policy`` is the one in force before, which says what is captured. ``commands``
    says that every agent needs one: the guard runs them itself. ``known`` spares directories that were judged lately
    from being read again. ``late`` says that there is no time left; a tree that is not judged by then is refused.
    ``secrets`` knows which secrets agents would get; None: that is not known here.
    Bad content never raises.

    Raises:
        StateguardError: the object of a directory is missing.
    """
    known = known if known is not None else Known()
    after = Reading(tree, known, MAX_PATHS)
    try:
        after.open()
    except OverBudgetError:
        message = f"the tree has more than {MAX_PATHS} paths, directories included; remove some"
        return Verdict((Problem("", 0, "budget", message),), None, ())
    old = Reading(before, known) if before is not None else None
    judging = _Judging(after, differences(old, after), PathRules(policy), first=old is None, commands=commands)
    judging.late, judging.secrets = late, secrets
    try:
        verdict = judging.verdict()
    except _TooLateError:
        return Verdict((Problem("", 0, "budget", "it takes too long to judge this; push it in parts"),), None, ())
    for reading in (old, after) if old is not None else (after,):
        reading.close()
    return verdict


class _Judging:
    """One tree being judged."""

    def __init__(self, reading: Reading, found: Differences, rules: PathRules, *, first: bool, commands: bool) -> None:
        self.tree, self.rules, self.first, self.commands = reading.tree, rules, first, commands
        self.fresh, self.removed, self.problems = found.fresh, found.removed, list(found.problems)
        noted = ((path, (mode, identity)) for path, mode, identity in reading.noted() if path not in found.refused)
        self.noted = {shown_path(path): entry for path, entry in noted}
        self.places = Places(reading, self.noted.keys())
        self.late: Callable[[], bool] | None = None
        self.secrets: Keeper | None = None

    def report(self, path: str, code: str, message: str) -> None:
        self.problems.append(Problem(path, 0, code, message))

    def verdict(self) -> Verdict:
        changed = self.fresh.keys() | self.removed
        captured = {path for path in changed if self.rules.captured(path)}
        for path in () if self.first else sorted(captured):
            message = "the running system owns this path, a push does not change it; leave it as it is on main"
            self.report(path, "captured-path", message)
        absent = {path for path in sorted(self.fresh) if not self.fits(path)}
        files = self.files(absent)
        said = contents(files, None if self.first else changed)
        system = said.system
        self.problems.extend(said.problems)
        unread = any(is_declaration(path) and path not in files for path in self.noted)
        if system is not None and not unread:
            self.problems.extend(reference_problems(system, self.places, positions(files)))
            self.problems.extend(command_problems(system) if self.commands else ())
            self.problems.extend(secret_problems(system, self.trouble, positions(files)) if self.secrets else ())
        return Verdict(self.worst(), None if unread else system, tuple(sorted(changed - captured)), said.recognised)

    def trouble(self, name: str) -> str:
        """Return what keeps a secret from agents, given what this tree has for it."""
        path = sealed_path(name)
        entry = self.places.file(path)
        size = self.tree.size(entry[1]) if entry else 0
        content = self.tree.read(entry[1]) if entry and size <= MAX_FILE_BYTES else None
        return self.secrets.trouble(name, content) if self.secrets else ""

    def fits_as_age(self, path: str, identity: str) -> bool:
        """Say whether a file that is called encrypted is, and opens here if it is a secret; report it otherwise."""
        data = self.bytes_of(path, identity)
        if data is None:
            return False
        if not is_age(data):
            self.report(path, "age", "this is not encrypted with age; encrypt it, or call it otherwise")
            return False
        name = sealed_name(path)
        why = self.secrets.unopened(name, data) if self.secrets and name else ""
        if why:
            self.report(path, "age", f"this holds the secret {name}, {why}")
        return not why

    def worst(self) -> tuple[Problem, ...]:
        """Return the problems, sorted, each once, and not more than anybody reads."""
        found = sorted(set(self.problems))
        if len(found) <= _MOST_PROBLEMS:
            return tuple(found)
        rest = words.count(len(found) - _MOST_PROBLEMS, "more problem")
        return (*found[:_MOST_PROBLEMS], Problem("", 0, "more", f"and {rest}; mend these first"))

    def fits(self, path: str) -> bool:
        """Say whether the object at a path is there and may come in; report it otherwise."""
        self.hurry()
        mode, identity = self.entry(path)
        size = self.size_of(path)
        if size is None:
            return False
        if size > MAX_BLOB_BYTES:
            limit = words.size(MAX_BLOB_BYTES)
            self.report(
                path, "budget", f"the file has {words.size(size)}, at most {limit} are let in; keep it elsewhere"
            )
            return False
        if mode == SYMLINK and steers_git(path):
            self.report(path, "symlink", "git reads this file for itself, so it must be no link; replace it")
            return False
        if path.endswith(".age") and mode != SYMLINK and not self.fits_as_age(path, identity):
            return False
        if is_attributes(path) and not self.fits_as_attributes(path, identity, size):
            return False
        if mode == SYMLINK:
            target = b"" if size > MAX_TARGET_BYTES else self.bytes_of(path, identity)
            problem = symlink_problem(path, target) if target is not None else None
            self.problems.extend([problem] if problem else [])
            return problem is None and target is not None
        return True

    def fits_as_attributes(self, path: str, identity: str, size: int) -> bool:
        if size > MAX_BYTES:
            self.report(path, "budget", f"the file has {words.size(size)}, at most {words.size(MAX_BYTES)} are read")
            return False
        data = self.bytes_of(path, identity)
        found = attribute_problems(path, data) if data is not None else []
        self.problems.extend(found)
        return data is not None and not found

    def hurry(self) -> None:
        if self.late is not None and self.late():
            raise _TooLateError

    def entry(self, path: str) -> tuple[int, str]:
        return self.fresh.get(path) or self.noted[path]

    def size_of(self, path: str) -> int | None:
        try:
            return self.tree.size(self.entry(path)[1])
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
        self.report(path, "missing-object", f"the object {self.entry(path)[1]} is missing; push again")

    def files(self, absent: set[str]) -> dict[str, bytes]:
        """Return the bytes of what must be read; what is too large for its kind is reported and left out."""
        files: dict[str, bytes] = {}
        for path in sorted((self.noted.keys() | self.fresh.keys()) - absent):
            if not is_read(path, self.places) or not (self.bounds(path) or is_foreign(path) or path in self.fresh):
                continue
            self.hurry()
            mode, identity = self.entry(path)
            if mode == SYMLINK:
                if is_declaration(path):
                    self.report(path, "symlink", "this must be a file of its own, not a link; replace it")
                continue
            data = self.bounded(path, identity)
            if data is not None:
                files[path] = data
        return files

    def bounds(self, path: str) -> bool:
        return is_bounded(path, self.places)

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
