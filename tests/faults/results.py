"""The results of trials: a file of JSON lines that a later run goes on with, and the scoreboard made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from faults.kinds import Outcome, Result, Trial

PEER = "peer"
_MOST_SEEDS = 4

COLUMNS = (Outcome.SURVIVED, Outcome.TORN, Outcome.LOST, Outcome.DOUBLED, Outcome.STUCK, Outcome.ERROR)
HEAD = ("trials", "struck", "twice", "thrice", *map(str, COLUMNS))
"""Twice and thrice are trials in which one recovery, or two in a row, were struck too."""


class Results:
    """A results file, and what it holds already."""

    def __init__(self, path: Path | None) -> None:
        """Read what an earlier run left there; the last line may have been cut short with it."""
        self._path = path
        self.all: list[Result] = []
        if path is not None and path.exists():
            kept = path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in kept if line.endswith("\n")]
            if len(whole) < len(kept):
                path.write_text("".join(whole), encoding="utf-8")
            self.all = [Result.from_json(json.loads(line)) for line in whole]
        self._done = Counter(result.trial for result in self.all)

    def left(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return the trials that have not been run yet."""
        done = self._done.copy()
        found = []
        for trial in trials:
            if done[trial] > 0:
                done[trial] -= 1
            else:
                found.append(trial)
        return found

    def forget(self, trials: Iterable[Trial]) -> None:
        """Drop what is known of some trials: they are run again."""
        gone = set(trials)
        self.all = [result for result in self.all if result.trial not in gone]
        self._done = Counter(result.trial for result in self.all)
        if self._path is not None and self._path.exists():
            self._path.write_text("".join(map(_line, self.all)), encoding="utf-8")

    def add(self, result: Result) -> None:
        """Keep a result."""
        self.all.append(result)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(_line(result))


def _line(result: Result) -> str:
    return json.dumps(result.as_json(), ensure_ascii=False) + "\n"


def scoreboard(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return the rows of the scoreboard: a kind, and its numbers as in ``HEAD``."""
    rows = []
    for kind in dict.fromkeys(r.trial.kind for r in results):
        mine = [r for r in results if r.trial.kind == kind]
        rows.append((kind, *_counted(mine)))
    return rows


def markdown(results: Sequence[Result]) -> str:
    """Return the scoreboard as Markdown: a table of the kinds, with their seeds and commands, and one of the peers."""
    peers = [r for r in results if r.trial.kind == PEER]
    ours = [r for r in results if r.trial.kind != PEER]
    rows = [(*row, _command(row[0], ours)) for row in scoreboard(ours)]
    parts = [_table(("kind", *HEAD, "command"), rows)] if rows else []
    tools = sorted({r.trial.journey for r in peers})
    rows = [(tool, *_counted([r for r in peers if r.trial.journey == tool])) for tool in tools]
    parts += [_table(("tool", *HEAD), rows)] if rows else []
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


def _command(kind: str, results: Sequence[Result]) -> str:
    seeds = Counter(r.trial.seed for r in results if r.trial.kind == kind)
    if len(seeds) > _MOST_SEEDS:
        return f"`--kind {kind} --trials {seeds.total()}`; each has a seed of its own"
    return "; ".join(f"`--kind {kind} --trials {number} --seed {seed}`" for seed, number in sorted(seeds.items()))


def _counted(results: Sequence[Result]) -> tuple[str, ...]:
    outcomes = Counter(r.outcome for r in results)
    again = (sum(r.again == 1 for r in results), sum(r.again > 1 for r in results))
    numbers = (len(results), sum(r.hit for r in results), *again, *(outcomes[c] for c in COLUMNS))
    return tuple(f"{number:,}" for number in numbers)
