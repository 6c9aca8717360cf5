"""The same power cuts for what people use instead: ``git checkout -f`` in a post-receive hook, and dulwich's defaults.

Torn: the work tree is neither the old nor the new one. Lost: it is not the new one, although the deployment had ended
and the push was acknowledged. Stuck: the next deployment refuses.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from dulwich import porcelain

from faults.blocklog import Counter, Write, surviving, write_image
from faults.box import BoxError
from faults.disk import FILE_SYSTEMS, FileSystem, logged, make_image, missing, on_disk
from faults.kernel import flush_all
from faults.kind_peer import _judged, _repository, _tree
from faults.kinds import Outcome, Result, Trial

Trees = tuple[dict[str, bytes], dict[str, bytes]]


class PowerPeer:
    """One trial: ``FILE_SYSTEM+HOW@SHARE`` of a deployment; for the table only."""

    name, default, counts = "powerpeer", 24, False

    def __init__(self) -> None:
        """Nothing is made before the first trial."""
        self._place: Path | None = None
        self._runs: dict[tuple[str, str], tuple[Path, Trees, list[Write], int, int, int]] = {}

    def available(self) -> str:
        """Return what this machine lacks."""
        return missing()

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Yield cuts of both tools on each file system; of three one comes right after the acknowledgement."""
        chance = random.Random(seed)
        grounds = [(fs, tool) for fs in FILE_SYSTEMS for tool in ("git", "dulwich")]
        for n in range(number):
            fs, tool = grounds[n * len(grounds) // number]
            how = chance.choice(("cut", "ack", "lossy"))
            yield Trial(self.name, tool, (fs, f"{how}@{chance.random():.4f}"), chance.randrange(1 << 30))

    def run(self, trial: Trial, room: Path) -> Result:
        """Cut, mount what is left, look, and deploy again."""
        began, fs = time.monotonic(), FILE_SYSTEMS[trial.faults[0]]
        how, share = trial.faults[1].split("@")
        if self._place is None:
            self._place = Path(tempfile.mkdtemp(prefix="stateguard-powerpeer-", dir=room.parent.parent))
            (self._place / "disk").mkdir()
        key = (fs.name, trial.journey)
        if key not in self._runs:
            self._runs[key] = _run(fs, self._place, trial.journey)
        image, trees, writes, begun, told, ended = self._runs[key]
        cut = told if how == "ack" else begun + round(float(share) * (ended - begun))
        chance = random.Random(trial.seed) if how == "lossy" else None
        write_image(image, surviving(writes, cut, chance), room / "cut.img")
        look = partial(_look, self._place / "disk", trial.journey, trees, acknowledged=cut >= told)
        try:
            outcome = on_disk(fs, room / "cut.img", self._place / "disk", look)
        except BoxError:
            outcome = Outcome.STUCK
        return Result(trial, outcome, time.monotonic() - began)

    def close(self) -> None:
        """Forget the runs; their directory lies in the one that the caller removes."""
        self._runs.clear()


def _run(fs: FileSystem, place: Path, tool: str) -> tuple[Path, Trees, list[Write], int, int, int]:
    image = place / f"{fs.name}-{tool}.img"
    make_image(fs, image)
    trees = on_disk(fs, image, place / "disk", partial(_prepare, place / "disk", tool), keep=True)
    (begun, told, ended), writes = logged(fs, image, place, partial(_deployed, place / "disk", tool))
    return image, trees, writes, begun, told, ended


def _prepare(disk: Path, tool: str) -> Trees:
    trees = _repository(disk)
    if tool == "dulwich":
        (disk / "live" / ".git").symlink_to(disk / "repo.git")
        subprocess.run(["git", f"--git-dir={disk / 'repo.git'}", "config", "core.bare", "false"], check=True)
    return trees


def _deployed(disk: Path, tool: str, counter: Counter) -> tuple[int, int, int]:
    begun = counter.read()
    _deploy(disk, tool)
    told = counter.read()
    flush_all(disk)  # what the kernel does by itself within half a minute
    return begun, told, counter.read()


def _deploy(disk: Path, tool: str) -> None:
    if tool == "dulwich":
        porcelain.reset(str(disk / "live"), "hard", "main")
        return
    git = ["git", f"--git-dir={disk / 'repo.git'}", f"--work-tree={disk / 'live'}", "checkout", "-f", "main"]
    subprocess.run(git, check=True, capture_output=True, cwd=disk)


def _look(disk: Path, tool: str, trees: Trees, *, acknowledged: bool) -> Outcome:
    outcome = _judged(_tree(disk / "live"), *trees)
    if outcome is Outcome.LOST and not acknowledged:
        outcome = Outcome.SURVIVED
    if outcome is Outcome.SURVIVED:
        _deploy(disk, tool)
        outcome = _judged(_tree(disk / "live"), *trees)
    return outcome


KIND = PowerPeer()
