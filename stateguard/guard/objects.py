"""Whether the objects of a push have the form that git gives them, in any of its commits, not only the last."""

from __future__ import annotations

from collections.abc import Callable

from stateguard.admission.objects import MalformedError, commit_of, rows_of, tag_of
from stateguard.config.problem import Problem, shown
from stateguard.text.escape import line

_MOST_PROBLEMS = 20
_TAGS = "refs/tags/"
_COMMIT, _TREE, _TAG = 1, 2, 4
_ANEW = "make the tag anew: git tag -f -a NAME COMMIT"
_FORMS: dict[int, tuple[Callable[[bytes], object], str]] = {
    _COMMIT: (
        commit_of,
        "write it and what follows anew: git rebase --force-rebase COMMIT^, or --root where it is the first",
    ),
    _TREE: (rows_of, "build it anew: git read-tree --empty && git add -A && git commit --amend"),
    _TAG: (tag_of, _ANEW),
}
"""By type number, what reads an object, and what to do where that cannot."""


class Forms:
    """The objects of one push as they are read, and what is wrong with their forms."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def fits(self, kind: int, title: str, content: bytes) -> bool:
        """Say whether an object of this type number has the form that git gives it; report it otherwise."""
        read, hint = _FORMS[kind]
        try:
            read(content)
        except MalformedError as error:
            self._report(title, f"{error}; {hint}")
            return False
        return True

    def name(self, ref: str, kind: int, content: bytes) -> None:
        """Report a tag that calls itself otherwise than the ref that would name it."""
        if kind != _TAG:
            return
        try:
            name = tag_of(content).name.decode(errors="backslashreplace")
        except MalformedError:  # reported when everything is looked through
            return
        if ref != _TAGS + name:
            self._report(ref, f"the tag calls itself {line(shown(name))}; push it under that name, or {_ANEW}")

    def _report(self, path: str, message: str) -> None:
        problem = Problem(path, 0, "object", message)
        if len(self.problems) < _MOST_PROBLEMS and problem not in self.problems:
            self.problems.append(problem)
