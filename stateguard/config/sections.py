"""Which section a path belongs to, and what is captured or ignored: gitignore patterns, compiled once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from pathspec import GitIgnoreSpec

from stateguard.model.policy import Policy, Section

_LONGEST_PATTERN = 200
_MOST_WILDCARDS = 3
_CACHED_PATHS = 200_000
_AMBIGUOUS = ("[", "--", "&&", "||", "~~")


def pattern_problem(pattern: str) -> str | None:
    """Return what is wrong with a gitignore pattern, or None.

    Wildcards are bounded: a pattern is matched by backtracking, and whoever pushes writes it.
    """
    if not pattern.strip() or pattern.lstrip().startswith("#"):
        return "the pattern is empty; write for example config/**"
    if len(pattern) > _LONGEST_PATTERN:
        return f"the pattern has more than {_LONGEST_PATTERN} characters; shorten it"
    parts = pattern.split("/")
    if parts.count("**") > _MOST_WILDCARDS or any(part.count("*") > _MOST_WILDCARDS for part in parts):
        return f"the pattern has more than {_MOST_WILDCARDS} wildcards in a row of them; split it into several"
    if any(sign in pattern.partition("[")[2] for sign in _AMBIGUOUS):
        return "only simple sets such as [abc] or [0-9], one in a pattern, are read; split it into several"
    try:
        _spec((pattern,))
    except (ValueError, re.error):
        return "this is no gitignore pattern; write for example config/** or *.log"
    return None


@lru_cache(maxsize=4096)
def _spec(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns)


def glob(pattern: str, path: str) -> bool:
    """Say whether a gitignore-style pattern matches a path of the tree."""
    return _spec((pattern,)).match_file(path)


def literal(path: str) -> str:
    """Return the gitignore pattern that means one directory, below the root, whatever signs its name has."""
    return "/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", path) + "/"


def _fixed_part(pattern: str) -> str:
    """Return the directories of a pattern before its first wildcard; empty where it may match anywhere."""
    parts = pattern.strip("/").split("/")
    fixed = [p for p in parts[: next((n for n, p in enumerate(parts) if set(p) & set("*?[!\\")), len(parts))] if p]
    anchored = "/" in pattern.rstrip("/")
    return "/".join(fixed) if anchored and fixed else ""


def _tops(patterns: Iterable[str]) -> frozenset[str] | None:
    """Return the names at the root below which alone patterns can match; None: anywhere."""
    tops = frozenset(_fixed_part(pattern).partition("/")[0] for pattern in patterns)
    return None if "" in tops else tops


class PathRules:
    """The sections and ignore patterns of a policy, ready to be asked about paths.

    Paths are relative and slash-separated; a directory is asked about with a slash at its end.
    """

    __slots__ = ("_cached_paths", "_ignored", "_known", "_sections")

    def __init__(self, policy: Policy, cached_paths: int = _CACHED_PATHS) -> None:
        """Compile the patterns of a policy; the answers for so many paths are kept.

        Raises:
            ValueError: a pattern is none.
        """
        self._sections = tuple((one, _spec(one.patterns), _tops(one.patterns)) for one in reversed(policy.sections))
        self._ignored = _spec(policy.ignore)
        self._cached_paths = cached_paths
        self._known: dict[str, Section | None] = {}

    def section(self, path: str) -> Section | None:
        """Return the section of a path; as in gitignore, the last section that matches decides."""
        if path in self._known:
            return self._known[path]
        if len(self._known) >= self._cached_paths:
            self._known.clear()
        top = path.partition("/")[0]
        found = next(
            (one for one, spec, tops in self._sections if (tops is None or top in tops) and spec.match_file(path)), None
        )
        self._known[path] = found
        return found

    def captured(self, path: str) -> bool:
        """Say whether the running system owns a path."""
        section = self.section(path)
        return section is not None and section.captured

    def captured_roots(self) -> tuple[str, ...]:
        """Return the directories below which captured paths can lie; an empty text means the root itself."""
        roots = set()
        for section, _, _ in self._sections:
            if section.captured:
                roots |= {_fixed_part(pattern) for pattern in section.patterns}
        return ("",) if "" in roots else tuple(sorted(roots))

    def desired(self, paths: Iterable[str]) -> frozenset[str]:
        """Return those of the paths of a commit that are desired state: all that is not captured."""
        return frozenset(path for path in paths if not self.captured(path))

    def ignored(self, path: str) -> bool:
        """Say whether an untracked path is none of stateguard's business."""
        return self._ignored.match_file(path)

    @staticmethod
    def glob(pattern: str, path: str) -> bool:
        """Say whether a gitignore-style pattern matches a path of the tree."""
        return glob(pattern, path)
