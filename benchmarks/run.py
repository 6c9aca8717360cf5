"""One run: which rows at which sizes, in a scratch directory that is removed afterwards."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import answers, example, inside, reactions, rollback
from benchmarks.page import publish, shown
from benchmarks.places import Scene
from benchmarks.timing import Row, say

_ROUNDS = 5
_SIZES = (1_000, 10_000, 100_000)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, publish; the exit status says whether every gate holds."""
    given = _arguments(argv)
    sizes = [1_000] if given.quick else given.sizes
    rounds = 1 if given.quick else given.rounds
    root = Path(tempfile.mkdtemp(prefix="stateguard-bench-", dir=given.scratch))
    rows: list[Row] = []
    try:
        for row in _rows(root, sizes, rounds, quick=given.quick, agents=not (given.quick or given.no_agents)):
            print(shown(row), flush=True)
            rows.append(row)
            if given.publish:
                publish(rows, given.publish)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if given.quick:
        return 0
    missed = [row for row in rows if row.gate and not row.held]
    for row in missed:
        say(f"missed: {shown(row)}")
    return 1 if missed else 0


def _rows(root: Path, sizes: Sequence[int], rounds: int, *, quick: bool, agents: bool) -> Iterator[Row]:
    for files in sizes:
        place = root / str(files)
        place.mkdir()
        scene = Scene(place, files)
        try:
            yield from _size(scene, rounds, quick=quick, tools=files == sizes[-1] and not quick)
        finally:
            scene.guarded.end()
        shutil.rmtree(place)
    if agents:
        yield from reactions.rows(root, rounds)
        yield from example.rows(root, rounds)


def _size(scene: Scene, rounds: int, *, quick: bool, tools: bool) -> Iterator[Row]:
    yield from answers.memory(scene, "after its start")
    counts = [10] if quick else sorted({10, max(10, scene.files // 1000), scene.files // 100})
    pair = scene.pair(counts[0], 1)
    for turn, count in enumerate(counts, 1):
        pair = scene.pair(count, turn) if turn > 1 else pair
        yield from rollback.rows(scene, pair, count, rounds)
        if count == max(10, scene.files // 1000) and tools:
            yield from rollback.restored(scene, pair, min(3, rounds))
    yield from answers.memory(scene, "after rollbacks")
    yield from answers.rows(scene, rounds)
    yield from inside.rows(scene, pair, rounds)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 files once: whether it works, not how fast")
    parser.add_argument("--scratch", type=Path, help="a directory of the file system to measure on")
    parser.add_argument("--sizes", type=int, nargs="*", default=_SIZES, help="how many files the trees hold")
    parser.add_argument("--no-agents", action="store_true", help="leave out what needs running agents")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="repetitions of each method")
    parser.add_argument("--publish", type=Path, help="the root of the checkout whose results and page are written")
    return parser.parse_args(argv)
