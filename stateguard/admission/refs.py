"""Which refs a push may move, and how; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from stateguard.config.problem import Problem, clipped
from stateguard.model.identity import BASELINE_TAGS, INCIDENTS, MAIN

MAX_NAME_BYTES = 255

_BAD = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff\\\\^:?*\\[~]|\\.\\.|@\\{|//|/\\.|\\.lock(?:/|$)|[/.]$")
_BRANCHES = "refs/heads/"
_TAGS = "refs/tags/"


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One ref that a push moves; ``fast_forward`` is None where that is no question or not known."""

    name: str
    old: str
    new: str
    fast_forward: bool | None = None

    @property
    def creates(self) -> bool:
        """Whether the ref did not exist."""
        return set(self.old) <= {"0"}

    @property
    def deletes(self) -> bool:
        """Whether the ref will not exist."""
        return set(self.new) <= {"0"}


def ref_problems(updates: Iterable[RefUpdate]) -> list[Problem]:
    """Return what is wrong with the updates of one push: ``path`` is the ref's name, ``line`` is 0."""
    found = ((update.name, _verdict(update)) for update in updates)
    return [Problem(clipped(name, 300), 0, *verdict) for name, verdict in found if verdict]


def _verdict(update: RefUpdate) -> tuple[str, str] | None:
    name = update.name
    if _BAD.search(name) or len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        return "ref-name", f"a ref's name has at most {MAX_NAME_BYTES} bytes and no special characters; rename it"
    if name == MAIN:
        return _main(update)
    if name == INCIDENTS or name.startswith(f"{INCIDENTS}/"):
        return "protected-ref", "incident reports are written by the guard alone; push to another branch"
    if name == BASELINE_TAGS.rstrip("/") or name.startswith(BASELINE_TAGS):
        return "protected-ref", "baselines are issued by the guard alone; run: stateguard baseline create"
    if name.startswith(_TAGS):
        return _tag(update)
    if name.startswith(_BRANCHES):
        return None
    return "protected-ref", "only branches and tags may be pushed; push to refs/heads/ instead"


def _main(update: RefUpdate) -> tuple[str, str] | None:
    if update.deletes:
        return "deletion", "main cannot be deleted; push a commit that changes it instead"
    if not update.creates and update.fast_forward is not True:
        return (
            "not-fast-forward",
            "main only goes forward; run: git fetch origin && git rebase origin/main, then push again",
        )
    return None


def _tag(update: RefUpdate) -> tuple[str, str] | None:
    if update.deletes:
        return "deletion", "tags are not deleted; leave it, or push another name"
    if not update.creates and update.old != update.new:
        return "protected-ref", "tags are not moved; push another name"
    return None
