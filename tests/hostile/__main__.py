"""Try to get in what must not, and count what becomes of it: ``PYTHONPATH=tests .venv/bin/python -m hostile``."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from hostile import benign, chains, documents, objects, packs, plain, pushes, signatures, trees, words
from hostile.kinds import Kind, Tally, run

KINDS: dict[str, Kind] = {
    kind.name: kind
    for module in (trees, objects, documents, packs, signatures, chains, words, benign, pushes)
    for kind in module.KINDS
}


def main() -> int:
    """Make all attempts; the exit status says whether each came out as it must."""
    options = _options()
    console, tallies = Console(), list[Tally]()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress, tempfile.TemporaryDirectory() as room:
        for number, kind in enumerate(KINDS[name] for name in options.kind or KINDS):
            trials = min(kind.trials, options.trials or kind.trials)
            task = progress.add_task(kind.name, total=trials)
            place = Path(room) / str(number)
            place.mkdir()
            tallies.append(run(kind, trials, options.seed, place, lambda task=task: progress.advance(task)))  # type: ignore[misc]
            progress.console.print(f"{kind.name}: {tallies[-1].tried} tried, {tallies[-1].failures} otherwise")
        beside = {} if options.kind else _by_plain_git(options.seed, options.trials, Path(room))
    _show(tallies, console)
    for what, (tried, taken) in beside.items():
        console.print(f"plain git took {taken} of {tried} {what}, of which we take none")
    return 1 if any(tally.failures or not tally.tried for tally in tallies) else 0


def _by_plain_git(seed: int, most: int, room: Path) -> dict[str, plain.Counts]:
    """Try plain git with the same."""
    found = {}
    for number, (what, (trials, count)) in enumerate(plain.ROWS.items()):
        place = room / f"plain{number}"
        place.mkdir()
        found[what] = count(random.Random(f"{what} {seed}"), min(trials, most or trials), place)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hostile", description=__doc__)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this kind; may be repeated")
    parser.add_argument("--trials", type=int, default=0, help="at most so many of each (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="decides what is random")
    return parser.parse_args()


def _show(tallies: list[Tally], console: Console) -> None:
    table = Table("kind", "each is", "tried", "otherwise", "seed")
    for tally in tallies:
        failures = str(tally.failures)
        table.add_row(tally.kind.name, tally.kind.must, str(tally.tried), failures, str(tally.seed))
    console.print(table)
    for tally in tallies:
        for what in tally.wrong:
            sys.stdout.write(f"{tally.kind.name}: {what}\n")


if __name__ == "__main__":
    sys.exit(main())
