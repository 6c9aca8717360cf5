"""What one size is measured in: a guarded tree in its two states, and the git copies beside it on the same disk."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import tree
from benchmarks.guarded import Document, Guarded
from benchmarks.peers import GitCopy
from benchmarks.timing import say

_WRITING = (2, 3, 4)
"""The numbers of the stages that write the live directory."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two commits of one repository, the later one with so many files changed, and their trees."""

    changed: int
    before: str
    after: str
    trees: dict[str, tree.Tree]


class Scene:
    """A guard over a tree of so many files."""

    def __init__(self, root: Path, files: int) -> None:
        """Found the home below ``root``, with its daemon running."""
        self.root, self.files = root, files
        self.base = tree.grown(files)
        say(f"{files} files: writing the tree, and taking it under guard")
        source = root / "source"
        tree.write(source, self.base)
        self.guarded = Guarded(root / "guarded")
        self.guarded.begin(source)
        self.first = self.guarded.main()
        tree.check(self.guarded.live, self.base)

    def pair(self, changed: int, turn: int) -> Pair:
        """Push a commit that changes so many files of the first one; returns both."""
        guarded = self.guarded
        self.at_base()
        guarded.sync()
        now = tree.changed(self.base, changed, turn)
        tree.turn_into(guarded.clone, self.base, now)
        commit = guarded.commit(f"Change {changed} files")
        guarded.push()
        tree.check(guarded.live, now)
        return Pair(tree.difference(self.base, now), self.first, commit, {self.first: self.base, commit: now})

    def at_base(self) -> None:
        """Make the live directory hold the tree that the scene began with."""
        if self.guarded.main() != self.first:
            self.guarded.ask("rollback", target=self.first, reason="bench")
        self.guarded.wait(lambda s: not s["drift"])
        tree.check(self.guarded.live, self.base)

    def git_copy(self, name: str, pair: Pair) -> GitCopy:
        """Clone the served repository to a directory of that name."""
        return GitCopy(self.guarded.home / "repo.git", self.root / name, pair.trees)


@dataclass(slots=True)
class Times:
    """What one rollback took, in seconds: all of it as its caller sees it, the engine's steps, and writing alone."""

    whole: float
    steps: float
    writing: float


class RollBack:
    """Goes from one state of a pair to the other by the guard's own rollback, again and again."""

    def __init__(self, guarded: Guarded, pair: Pair) -> None:
        """Begin with the later state, which is live."""
        self._guarded, self._trees = guarded, pair.trees
        self._next = [pair.before, pair.after]
        self.times: list[Times] = []

    def whole(self) -> float:
        """Roll back to the other state; returns the seconds from the question to the answer."""
        target = self._next.pop(0)
        self._next.append(target)
        began = time.perf_counter()
        said = self._guarded.stream("rollback", target=target, reason="bench")
        ended, last = said[-1]
        record = last["result"]
        if record["outcome"] != "succeeded":
            message = f"the rollback ended as {record['outcome']}: {record['detail']['message']}"
            raise RuntimeError(message)
        first = next(at for at, document in said if "progress" in document)
        latest = [at for at, document in said if "progress" in document][-1]
        stages = {stage["number"]: stage["duration_seconds"] for stage in record["stages"]}
        steps = latest - first + stages[max(stages)]
        self.times.append(Times(ended - began, steps, sum(stages.get(number, 0.0) for number in _WRITING)))
        tree.check(self._guarded.live, self._trees[target])
        self._settled()
        return ended - began

    def _settled(self) -> None:
        """Let the guard finish the look around that follows a change: nothing is measured before it is at rest."""

        def rests(status: Document) -> bool:
            return not status["drift"] and not status["transition"]

        self._guarded.wait(rests)
