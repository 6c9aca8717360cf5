"""A thousand accepted changes to three mirrors whose networks misbehave at random.

Checks that nothing is lost, nothing is forced and every queue drains, and compares the time of a push to a guard with
these mirrors with that to a guard without any, in alternating blocks of the same run.

    python tests/exercise/mirrors.py [--changes 1000] [--block 25] [--seed 7]
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from driving import Document, Driver, git
from helpers import eventually
from mirror.faulty import Fault, FaultyServer, drawn
from mirror.setting import bare, forced, refs
from stateguard.guard.client import ask

NAMES = ("a", "b", "c")
DRAIN_SECONDS = 600.0
SLOWER_SECONDS = 0.020
_MIRROR = "  - {{name: {name}, url: '{url}', deadline: 2s, breaker: {{failures: 5, pause: 2s}}}}\n"


class Chances:
    """Faults drawn in an order that only the seed decides, whichever thread asks."""

    def __init__(self, seed: int) -> None:
        self._chance, self._lock = random.Random(seed), threading.Lock()
        self.count: dict[str, int] = {}

    def fault(self) -> Fault:
        with self._lock:
            found = drawn(self._chance)
        kind = next((name for name, value in vars(found).items() if value not in (0.0, False, None)), "well")
        self.count[kind] = self.count.get(kind, 0) + 1
        return found


def plain(root: Path) -> Driver:
    """Take a directory of plain configuration under guard."""
    source = root / "source"
    (source / "config").mkdir(parents=True)
    (source / "config" / "plain.conf").write_text("n = 0\n", encoding="utf-8")
    return Driver(root, source).init("--no-baseline")


def mirrored(root: Path, server: FaultyServer) -> Driver:
    """Take one under guard that has mirrors behind a faulty server."""
    driver = plain(root)
    rows = "".join(_MIRROR.format(name=name, url=server.url(bare(server.root / name).name)) for name in NAMES)
    settings = driver.home / "guard.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("mirrors: []\n", f"mirrors:\n{rows}"), encoding="utf-8")
    return driver


def push(driver: Driver, number: int) -> float:
    """Push one change that must be accepted; returns the seconds that the pusher waited."""
    driver.edit("config/plain.conf", f"n = {number}\n")
    driver.commit(f"Change {number}")
    begun = time.perf_counter()
    done = driver.push()
    took = time.perf_counter() - begun
    assert done.returncode == 0, done.stderr
    return took


def states(driver: Driver) -> list[Document]:
    """Return the document of each mirror, from the running guard."""
    found: list[Document] = ask(driver.home / "run" / "control.sock", "mirror-status", {})["mirrors"]
    return found


def drained(driver: Driver) -> bool:
    """Say whether every mirror is in sync."""
    return all(mirror["state"] == "IN_SYNC" for mirror in states(driver))


def exercise(root: Path, changes: int, block: int, seed: int) -> bool:
    """Do it; returns whether every promise was kept."""
    chances = Chances(seed)
    with FaultyServer(root / "places", chances.fault) as server:
        (root / "places").mkdir()
        with_mirrors, without = mirrored(root / "with", server), plain(root / "without")
        try:
            with_mirrors.start()
            without.start()
            times = measured(with_mirrors, without, changes, block, lambda: drained(with_mirrors))
            begun = time.monotonic()
            eventually(lambda: drained(with_mirrors), DRAIN_SECONDS)
            drain = time.monotonic() - begun
            return told(with_mirrors, server, chances, times, drain)
        finally:
            with_mirrors.close()
            without.close()


def measured(
    with_mirrors: Driver, without: Driver, changes: int, block: int, quiet: Callable[[], bool]
) -> tuple[list[float], list[float]]:
    """Push all changes in blocks, and as many to the guard without mirrors while those of the other are quiet."""
    slow: list[float] = []
    plainly: list[float] = []
    for start in range(0, changes, block):
        numbers = range(start + 1, min(start + block, changes) + 1)
        slow += [push(with_mirrors, number) for number in numbers]
        eventually(quiet, DRAIN_SECONDS)
        plainly += [push(without, number) for number in numbers]
        print(f"{len(slow)} of {changes} changes: {_medians(slow, plainly)}", flush=True)
    return slow, plainly


def _medians(slow: list[float], plainly: list[float]) -> str:
    one, other = statistics.median(slow), statistics.median(plainly)
    return f"median push {one * 1000:.1f} ms with mirrors, {other * 1000:.1f} ms without"


def told(
    driver: Driver, server: FaultyServer, chances: Chances, times: tuple[list[float], list[float]], drain: float
) -> bool:
    """Check every promise and say how it went."""
    accepted = git(driver.work, "rev-list", "--first-parent", "origin/main").splitlines()
    served = refs(driver.repository)
    difference = statistics.median(times[0]) - statistics.median(times[1])
    kept = {
        f"{len(times[0])} changes accepted": len(accepted) == len(times[0]) + 1,
        f"push slower by {difference * 1000:.1f} ms at the median, at most {SLOWER_SECONDS * 1000:.0f}": (
            difference <= SLOWER_SECONDS
        ),
    }
    for name in NAMES:
        place = server.root / name
        history = git(place, "rev-list", "--first-parent", "refs/heads/main").splitlines()
        kept[f"{name}: all {len(accepted)} commits of main, in order"] = history == accepted
        kept[f"{name}: every ref as it is served"] = refs(place) == served
        kept[f"{name}: nothing forced in {moves(place)} moves of refs"] = forced(place) == []
        kept[f"{name}: every object whole"] = git(place, "fsck", "--strict", "--full", "--no-dangling") == ""
    for sentence, held in kept.items():
        print(f"{'kept  ' if held else 'BROKEN'}  {sentence}")
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(chances.count.items()))
    print(f"{server.connections} connections: {faults}; last queue drained after {drain:.1f} s")
    print(_medians(*times))
    return all(kept.values())


def moves(place: Path) -> int:
    """Return how many moves of refs a mirror has noted."""
    return len((place / "moves").read_text(encoding="utf-8").splitlines())


def main() -> int:
    """Parse, run, say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--block", type=int, default=25)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="stateguard-mirrors-") as scratch:
        return 0 if exercise(Path(scratch), given.changes, given.block, given.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
