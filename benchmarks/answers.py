"""Rows of the table: questions, pushes, what a guard keeps in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import tree
from benchmarks.commands import run
from benchmarks.places import Scene
from benchmarks.timing import Row, interleaved, say, timed

_MEGABYTE = 1e6
_MOST_MEMORY = 200.0


def memory(scene: Scene, when: str) -> Iterator[Row]:
    """Report what the daemon keeps in memory."""
    most = _MOST_MEMORY if scene.files == 100_000 else None
    taken = (scene.guarded.memory_bytes() / _MEGABYTE,)
    yield Row(f"memory of the guard {when}", scene.files, 0, taken, most=most, unit="MB")


def rows(scene: Scene, rounds: int) -> Iterator[Row]:
    """Measure drift, status and pushes of a scene at rest."""
    yield from _drift(scene, rounds)
    yield from _status(scene, 2 * rounds)
    yield from _pushes(scene, rounds)


def _drift(scene: Scene, rounds: int) -> Iterator[Row]:
    """Ask what drifted while one file has: the whole status over the control socket, beside ``git status``."""
    say(f"{scene.files} files: asking what drifted")
    path = next(p for p in scene.base if p.startswith("data/"))
    guarded, copy = scene.guarded, scene.root / "status"
    scene.at_base()
    run("git", "clone", "-q", guarded.home / "repo.git", copy)
    for root in (guarded.live, copy):
        (root / path).write_bytes(b"somebody wrote here\n")
    guarded.wait(lambda s: [d["path"] for d in s["drift"]] == [path])

    def ours() -> float:
        found: list[object] = []
        took = timed(lambda: found.append(guarded.status()["drift"]))
        _demand(found[0] == [{"path": path, "kind": "changed"}], f"drift is {found[0]}")
        return took

    def theirs() -> float:
        found: list[str] = []
        took = timed(lambda: found.append(run("git", "status", "--porcelain", cwd=copy)))
        _demand(found[0] == f" M {path}\n", f"git status is {found[0]}")
        return took

    took = interleaved({"ours": ours, "theirs": theirs}, 2 * rounds)
    most = 0.02 if scene.files == 100_000 else None
    yield Row(
        "drift answer (the whole status over the control socket)", scene.files, 1, took["ours"], "`git status`",
        took["theirs"], most,
    )  # fmt: skip
    (guarded.live / path).write_bytes(scene.base[path].content())
    guarded.wait(lambda s: not s["drift"])


def _status(scene: Scene, rounds: int) -> Iterator[Row]:
    """Run ``stateguard status`` as a whole process beside an interpreter that imports click."""
    script = Path(sys.executable).with_name("stateguard")
    argv = [script] if script.exists() else [sys.executable, "-m", "stateguard"]

    def ours() -> float:
        return timed(lambda: run(*argv, "--home", scene.guarded.home, "status"))

    def theirs() -> float:
        return timed(lambda: run(sys.executable, "-c", "import click"))

    took = interleaved({"ours": ours, "theirs": theirs}, rounds)
    most = 1.5 if scene.files == 100_000 else None
    peer = "`python -c 'import click'`"
    yield Row("`stateguard status`, whole process", scene.files, 0, took["ours"], peer, took["theirs"], most)


def _pushes(scene: Scene, rounds: int) -> Iterator[Row]:
    """Push one changed file, applied before git answers, beside a bare repository without hooks."""
    say(f"{scene.files} files: pushing")
    guarded = scene.guarded
    guarded.sync()
    bare, clone = scene.root / "bare.git", scene.root / "bare-clone"
    run("git", "clone", "-q", "--bare", guarded.home / "repo.git", bare)
    run("git", "clone", "-q", bare, clone)
    path = next(p for p in scene.base if p.startswith("data/"))
    turns = iter(range(1, 1_000_000))

    def pushing(work: Path) -> tuple[float, tree.File]:
        file = tree.File(path, next(turns), executable=scene.base[path].executable)
        (work / path).write_bytes(file.content())
        run("git", "commit", "-qam", "Change a file", cwd=work)
        return timed(lambda: run("git", "push", "-q", "origin", "HEAD:main", cwd=work)), file

    def ours() -> float:
        took, file = pushing(guarded.clone)
        _demand((guarded.live / path).read_bytes() == file.content(), "the push was answered and is not live")
        return took

    def theirs() -> float:
        took, _ = pushing(clone)
        heads = {run("git", "rev-parse", f"{ref}^{{commit}}", cwd=at) for ref, at in (("main", bare), ("HEAD", clone))}
        _demand(len(heads) == 1, "the push did not arrive")
        return took

    took = interleaved({"ours": ours, "theirs": theirs}, 2 * rounds)
    tree.check(
        guarded.live, {**scene.base, path: tree.File(path, next(turns) - 2, executable=scene.base[path].executable)}
    )
    peer = "`git push` to a bare repository without hooks"
    yield Row(
        "small push, admitted and applied, no agents touched", scene.files, 1, took["ours"], peer, took["theirs"],
        0.150, beyond=True, gate=True,
    )  # fmt: skip


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise tree.WrongTreeError(otherwise)
