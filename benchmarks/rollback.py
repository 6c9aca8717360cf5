"""Rows of the table: going back, beside git and beside the tools that restore copies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks import tree
from benchmarks.peers import tools
from benchmarks.places import Pair, RollBack, Scene
from benchmarks.timing import Method, Row, interleaved, say

_PLAIN, _TUNED = "`git reset --hard`", "`git reset --hard`, tuned"
_MOST = {(100_000, 100): (0.10, 0.25, 0.25), (100_000, 1000): (None, 0.5, None), (1000, 10): (None, 0.4, None)}
"""By files and changed: at most what ratio of the steps and of the whole to plain git, and of the whole to tuned."""


def rows(scene: Scene, pair: Pair, asked: int, rounds: int) -> Iterator[Row]:
    """Measure going back ``pair``, and forth again, beside git; ``asked`` is how many changed files were asked for."""
    say(f"{scene.files} files: rolling back {pair.changed} paths, beside git")
    back = RollBack(scene.guarded, pair)
    plain, tuned = scene.git_copy(f"plain{asked}", pair), scene.git_copy(f"tuned{asked}", pair)
    tuned.tune()
    methods: dict[str, Method] = {"ours": back.whole, "plain": plain.reset, "tuned": tuned.reset}
    took = interleaved(methods, rounds)
    times = back.times[-rounds:]
    steps, whole, against_tuned = _MOST.get((scene.files, asked), (None, None, None))
    gate = (scene.files, asked) == (100_000, 100)

    def row(work: str, ours: tuple[float, ...], peer: str, most: float | None, *, gated: bool = False) -> Row:
        theirs = took["plain" if peer == _PLAIN else "tuned"]
        return Row(work, scene.files, pair.changed, ours, peer, theirs, most, gate=gated)

    yield row("rollback: the writing stages alone", tuple(t.writing for t in times), _PLAIN, None)
    yield row(
        "rollback: every step of the transition, journal and sync on",
        tuple(t.steps for t in times), _PLAIN, steps, gated=gate,
    )  # fmt: skip
    yield row("rollback, with emergency backup, until the answer", took["ours"], _PLAIN, whole, gated=gate)
    yield row("rollback, with emergency backup, until the answer", took["ours"], _TUNED, against_tuned)


def restored(scene: Scene, pair: Pair, rounds: int) -> Iterator[Row]:
    """Measure the same way back beside tools that restore a copy."""
    back = RollBack(scene.guarded, pair)
    states = _copies(scene.root, list(pair.trees.values()))
    for name, tool in tools().items():
        say(f"{scene.files} files: beside {name}")
        place = Path(scene.root / f"restored-{tool.__name__.lower()}")
        peer = tool(place, list(states))
        peer.prepare()
        took = interleaved({"ours": back.whole, "theirs": peer.put_back}, rounds)
        most = 0.10 if scene.files == 100_000 else None
        yield Row("restore of what changed", scene.files, pair.changed, took["ours"], name, took["theirs"], most)


def _copies(root: Path, trees: list[tree.Tree]) -> list[tuple[Path, tree.Tree]]:
    """Write both trees; files that are the same have the same times, or rsync would have to transfer all of them."""
    first, second = root / "copy0", root / "copy1"
    tree.write(first, trees[0])
    shutil.copytree(first, second)
    tree.turn_into(second, trees[0], trees[1])
    return [(first, trees[0]), (second, trees[1])]
