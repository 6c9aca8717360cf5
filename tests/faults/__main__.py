"""Break stateguard on purpose and count what it survives: ``PYTHONPATH=tests .venv/bin/python -m faults``."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from faults.kinds import Kind, Outcome, Result, Trial, all_kinds
from faults.results import HEAD, Results, markdown, scoreboard
from faults.workers import Workers

_MEMORY = Path("/dev/shm")  # noqa: S108 - the file system in memory, if there is one: trials are many and small


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    kinds = all_kinds()
    options = _options(kinds)
    console = Console()
    results = Results(options.resume)
    if options.report:
        sys.stdout.write(markdown(results.all))
        return 0
    if options.repeat:
        todo = [Trial.parse(options.repeat)]
        results.forget(todo)
    else:
        todo = list(_wanted(options, kinds, console))
    left = results.left(todo)
    if len(left) < len(todo):
        console.print(f"{len(todo) - len(left)} of {len(todo)} trials were run before; going on")
    options.keep.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=options.keep / "guards.log", level=logging.WARNING)  # faults are what they complain of
    root = Path(tempfile.mkdtemp(prefix="stateguard-faults-", dir=options.room))
    try:
        _run(left, kinds, results, Workers(kinds, options.jobs, root, options.keep), console)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    _show(results.all, console)
    wanted = set(todo)
    mine = (r for r in results.all if r.trial in wanted and kinds[r.trial.kind].counts)
    return 1 if any(r.outcome is not Outcome.SURVIVED for r in mine) else 0


def _options(kinds: dict[str, Kind]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--kind", default=",".join(kinds), help="kinds of faults, separated by commas (default: all)")
    parser.add_argument(
        "--trials", type=int, default=0, help="trials of each kind (default: a small number of its own)"
    )
    parser.add_argument("--seed", type=int, default=1, help="decides what is random")
    parser.add_argument("--resume", type=Path, help="results file, one JSON document a line; a later run goes on there")
    parser.add_argument("--keep", type=Path, default=Path("faults-kept"), help="where homes of failed trials are kept")
    room = _MEMORY if _MEMORY.is_dir() else None
    parser.add_argument("--room", type=Path, default=room, help="where trials happen (default: in memory)")
    parser.add_argument("--jobs", type=int, default=1, help="trials at the same time")
    parser.add_argument("--repeat", metavar="TRIAL", help="run one trial again, as a result names it")
    parser.add_argument("--report", action="store_true", help="only print the scoreboard of --resume as Markdown")
    options = parser.parse_args()
    unknown = sorted(set(options.kind.split(",")) - set(kinds))
    if unknown:
        parser.error(f"there is no kind {', '.join(unknown)}; there are {', '.join(kinds)}")
    if options.trials < 0 or options.jobs < 1:
        parser.error("--trials and --jobs are positive numbers")
    return options


def _wanted(options: argparse.Namespace, kinds: dict[str, Kind], console: Console) -> Iterator[Trial]:
    for name in options.kind.split(","):
        why = kinds[name].available()
        if why:
            console.print(f"skipped: {name} {why}")
            continue
        yield from kinds[name].trials(options.seed, options.trials or kinds[name].default)


def _run(trials: list[Trial], kinds: dict[str, Kind], results: Results, workers: Workers, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    outcomes = workers.run(trials)
    with Progress(*columns, console=console) as progress:
        task, bad = progress.add_task("trials", total=len(trials)), 0
        for result in outcomes:
            results.add(result)
            if result.outcome is not Outcome.SURVIVED and kinds[result.trial.kind].counts:
                bad += 1
                _complain(result, console)
            progress.update(task, advance=1, description=f"trials, {bad} not survived")


def _complain(result: Result, console: Console) -> None:
    console.print(f"{result.outcome}: {result.trial.text}\n  {result.detail}", markup=False, highlight=False)
    console.print(f"  again: {result.as_json()['reproduce']}", markup=False, highlight=False, soft_wrap=True)


def _show(results: list[Result], console: Console) -> None:
    table = Table("kind", *HEAD, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for row in scoreboard(results):
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
