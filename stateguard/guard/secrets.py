"""Whether a push brings secrets: in new files of any of its commits, not only the last, in names and in messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from stateguard.admission.names import MAX_DEPTH, shown_path
from stateguard.admission.secrets.scan import Found, blanked, find, in_text
from stateguard.config.problem import Problem
from stateguard.config.sections import glob
from stateguard.errors import StorageError
from stateguard.guard.budget import Deadline, Spending
from stateguard.guard.gitleaks import DEADLINE_SECONDS, Opinion
from stateguard.model.identity import EMPTY_TREE, WITHDRAWN, short
from stateguard.model.policy import Harmless, System
from stateguard.model.tree import DIRECTORY
from stateguard.state import trees
from stateguard.state.commits import split_signature
from stateguard.state.repository import Repository

MAX_BYTES = 2 * 1024 * 1024
"""Larger files are not looked through; the pusher is told. The guard's other threads stand still for one file."""

MAX_TREES = 200_000
MAX_SECONDS = 60.0
"""For what is looked through on its own; a push has a deadline for all of its judging."""

SECOND = "gitleaks"
"""The kind of what only the second opinion has found."""

_MOST_PROBLEMS = 20
_MOST_TAGS = 10
_COMMIT, _TREE, _BLOB, _TAG = 1, 2, 3, 4
_SUBMODULE = 0o160000
_SIGNATURE = re.compile(rb"\n-----BEGIN (?:SSH|PGP) SIGNATURE-----\n")
_HINT = (
    "take it out of every commit of this push, and make it invalid where it came from; "
    "what is none: secrets.allow in the stateguard.yaml on main, or stateguard:allow in a comment behind it"
)


Second = Callable[[Sequence[tuple[str, bytes]], float], Opinion]
"""Is shown names and bytes of files, and how many seconds there are, and says what it thinks of them."""

Look = Callable[[int, str, bytes], bool]
"""Is shown type number, title and bytes of an object, and says whether to read on in it."""


class TooMuchError(Exception):
    """A push brings more than can be looked through."""


class Search:
    """One push being looked through, each object of it once."""

    def __init__(
        self,
        pushed: Repository,
        harmless: Sequence[Harmless],
        before: Repository | None = None,
        spending: Spending | None = None,
        deadline: Deadline | None = None,
        look: Look = lambda *_: True,
        second: Second | None = None,
    ) -> None:
        """``pushed`` sees what the push brings, ``before`` what was there (None: nothing was).

        ``harmless`` says what is no secret. ``spending`` counts the new files; those over its budget are not read.
        ``look`` is shown each tag, commit and directory that is new before it is looked through. ``second`` is asked
        about the files besides.
        """
        self._second = second
        self._pushed, self._harmless, self._before, self._look = pushed, harmless, before, look
        refs = before.every_ref() if before is not None else {}
        self._known = [commit for name, commit in refs.items() if name.startswith(("refs/heads/", WITHDRAWN))]
        self._seen: set[str] = set()
        self._trees = MAX_TREES
        self._deadline, self._spending = deadline or Deadline(MAX_SECONDS), spending or Spending()
        self._waiting: list[tuple[str, str, int, str]] = []
        self.problems: list[Problem] = []
        self.unread: list[str] = []
        """Paths of files that were too large."""
        self.trouble = ""
        """Why the second opinion is missing; empty if it is not, or nobody was to be asked."""
        self.over: Problem | None = None
        """That the push brings more than its budget."""

    def through(self, new: str) -> None:
        """Look through everything that was not there and that a ref would name; what is too much is a problem.

        Raises:
            StorageError: an object is missing, or tags name tags without end.
        """
        try:
            self._through(new)
            self.over = self._spending.problem()
            if self.over is None or self._spending.waived:
                self._read()
        except TooMuchError as error:
            message = f"{error}, more than is looked through for secrets; push it in parts"
            self.problems.append(Problem("push", 0, "budget", message))
        finally:
            self._waiting.clear()

    def _through(self, new: str) -> None:
        for _ in range(_MOST_TAGS):
            kind, content = self._pushed.raw(new)
            if kind != _TAG:
                break
            where = f"tag {short(new)}"
            if not self._look(kind, where, content):
                return
            self._report(where, find(_SIGNATURE.split(content)[0]), at_line=False)
            new = content.partition(b"\n")[0].removeprefix(b"object ").decode(errors="replace")
        else:
            raise StorageError("a tag names tags without end", next_step="tag the commit itself")
        if kind == _COMMIT:
            for commit in reversed(self._pushed.beyond(self._known, new)):
                self._commit(commit)
        elif kind == _TREE:
            self._tree(EMPTY_TREE, new, "")
        elif kind == _BLOB:
            self._file("the file that is tagged", new, "")

    def _commit(self, commit: str) -> None:
        where, content = f"commit {short(commit)}", self._pushed.raw(commit)[1]
        if not self._look(_COMMIT, where, content):
            return
        self._report(where, find(split_signature(content)[0]), at_line=False)
        view = self._pushed.commit(commit)
        before = self._pushed.commit(view.parents[0]).tree if view.parents else EMPTY_TREE
        self._tree(before, view.tree, f" ({where})")

    def _tree(self, before: str, after: str, where: str) -> None:
        for path, blob in self._files(before, after, where):
            found = in_text(path)
            shown = _without_names(path) if found else path
            self._report(shown, found, f", in a name{where}", at_line=False)
            if blob not in self._seen:
                self._seen.add(blob)
                self._file(shown, blob, where)

    def _file(self, path: str, blob: str, where: str) -> None:
        """Count a file that is new; it is read when all are counted."""
        if self._before is not None and self._before.has(blob):
            return
        size = self._pushed.blob_size(blob)
        if self._spending.add(size):
            self._waiting.append((path, blob, size, where))

    def _read(self) -> None:
        shown: list[tuple[str, bytes]] = []
        places: list[str] = []
        for path, blob, size, where in self._waiting:
            self._hurry()
            if size > MAX_BYTES:
                self.unread.append(path)
                continue
            content = self._pushed.blob(blob)
            self._report(path, find(content), where)
            if self._second is not None:
                shown.append((path, content))
                places.append(where)
        if self._second is not None and shown:
            left = max(1.0, min(DEADLINE_SECONDS, self._deadline.left_seconds() / 2))
            self._besides(self._second(shown, left), [path for path, _ in shown], places)

    def _besides(self, opinion: Opinion, paths: Sequence[str], places: Sequence[str]) -> None:
        """Report what the second opinion has found that was not found yet."""
        self.trouble = opinion.trouble
        told = {(problem.path, problem.line) for problem in self.problems}
        for leak in opinion.leaks:
            path = paths[leak.file]
            if (path, leak.line) not in told:
                one = Found(SECOND, f"a secret to gitleaks, by its rule {leak.rule}", leak.line, 1)
                self._report(path, [one], places[leak.file])

    def _hurry(self) -> None:
        if self._deadline.passed():
            raise TooMuchError(f"files that take more than {self._deadline.limit_seconds:.0f} s")

    def _files(self, before: str, after: str, where: str) -> Iterator[tuple[str, str]]:
        """Yield path and id of the files that one tree has and another has not; a tree is read once, in all commits."""
        todo = [(b"", before, after)]
        while todo:
            lead, old, new = todo.pop()
            self._hurry()
            self._trees -= 1
            if self._trees < 0 or lead.count(b"/") > MAX_DEPTH:
                raise TooMuchError(f"over {MAX_TREES} directories, or one in more than {MAX_DEPTH} others")
            if new not in (old, EMPTY_TREE):
                title = f"directory {shown_path(lead or b'/')}{where}"
                if not self._look(_TREE, title, self._pushed.raw(new)[1]):
                    continue
            present = trees.rows(self._pushed, old)
            for name, row in trees.rows(self._pushed, new).items():
                known = present.get(name)
                if row == known:
                    continue
                mode, child = trees.parsed(row)
                there = trees.parsed(known) if known is not None else None
                if mode == _SUBMODULE or (there is not None and there[0] != _SUBMODULE and there[1] == child):
                    continue
                if mode == DIRECTORY:
                    if child in self._seen:
                        continue
                    self._seen.add(child)
                    below = there[1] if there is not None and there[0] == DIRECTORY else EMPTY_TREE
                    todo.append((lead + name + b"/", below, child))
                else:
                    yield shown_path(lead + name), child

    def _report(self, path: str, found: Iterable[Found], where: str = "", *, at_line: bool = True) -> None:
        for one in found:
            if len(self.problems) < _MOST_PROBLEMS and not self._is_harmless(path, one.kind):
                line = one.line if at_line else 0
                message = f"this looks like {one.title} ({one.kind}){where}; {_HINT}"
                self.problems.append(Problem(path, line, "secret", message))

    def _is_harmless(self, path: str, kind: str) -> bool:
        return any(
            (not one.kinds or kind in one.kinds) and any(glob(pattern, path) for pattern in one.patterns)
            for one in self._harmless
        )


def secrets_in(repository: Repository, tree: str, system: System | None) -> list[Problem]:
    """Return what looks like a secret in a tree, but for what its own policy calls harmless.

    Raises:
        StorageError: an object is missing.
    """
    search = Search(repository, system.policy.harmless if system is not None else ())
    search.through(tree)
    return search.problems


def told_of(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems without a secret in any of them: their messages quote what was read."""
    return [replace(one, path=blanked(one.path), message=blanked(one.message)) for one in problems]


def _without_names(path: str) -> str:
    """Return a path without the names that look like a secret."""
    shown = "/".join("(withheld)" if in_text(name) else name for name in path.split("/"))
    return "(withheld)" if in_text(shown) else shown
