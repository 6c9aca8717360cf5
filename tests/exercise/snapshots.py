"""Ten thousand snapshots of a small state, taken as fast as they can be, with maintenance running beside.

Shows how large captured.git is as they grow in number, how much memory git takes, and how long the guard is held up:
by moving packs away, and for how long a thread of it that only wants to answer does not get its turn. Then the
shipped retention lets go of most of them.

    python tests/exercise/snapshots.py [--snapshots 10000] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from driving import Driver, git
from stateguard.guard.capture import Capture
from stateguard.guard.compose import Guard, compose
from stateguard.guard.maintenance import MARK, Maintenance
from stateguard.host.command import Cancel
from stateguard.host.home import Home
from stateguard.state.upkeep import Background, CalledOffError, consolidate, extent, occupied_bytes

SAMPLES = 10
DEADLINE_SECONDS = 600.0
MOST_BYTES = 256 * 1024 * 1024
LONGEST_SECONDS = 0.050
MOST_LOOSE, MOST_PACKS = 12_000, 60
LINEAR = 2.0
"""The last part may take so many times the disk of the first: conversations grow, and so does what is new of them."""
_BEAT_SECONDS = 0.002
_LOOK_SECONDS = 0.05
_STATE = "apiVersion: stateguard/v1\nresponse: {capture_after: 0}\n"
_KEEP_ALL = "\nretention:\n  snapshots: {newest: 1000000, keep: 3650d}\n"


@dataclass
class Row:
    """The repository after so many snapshots, consolidated."""

    snapshots: int
    bytes: int
    packs: int


@dataclass
class Measured:
    """What was seen. Times are in seconds."""

    rows: list[Row] = field(default_factory=list)
    most_loose: int = 0
    most_packs: int = 0
    git_bytes: int = 0
    moving_seconds: float = 0.0
    quiet: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    beats_quiet: list[float] = field(default_factory=list)
    beats_beside: list[float] = field(default_factory=list)
    kept_snapshots: int = 0
    kept_bytes: int = 0


class Exercise:
    """One guard's parts, its own thread played by the caller's."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.guard: Guard = compose(Home(driver.home), lambda *_: None)
        self.maintenance = Maintenance(self.guard, lambda: False)
        self.capture = Capture(self.guard, lambda: False)
        self.seen = Measured()
        self._active = self._ended = False
        self._sample = threading.Event()
        self._number = 0

    def run(self, number: int) -> Measured:
        """Take so many snapshots, then let retention do its work."""
        threads = [threading.Thread(target=one, daemon=True) for one in (self._maintain, self._beat, self._look)]
        for thread in threads:
            thread.start()
        for turn in range(number):
            self._snapshot(turn)
            if (turn + 1) % max(1, number // SAMPLES) == 0:
                self._sample.set()
                self._until(lambda: not self._sample.is_set())
        self._shipped_retention()
        self._ended = True
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
        return self.seen

    def close(self) -> None:
        self._ended = True
        self.maintenance.stop()
        self.guard.close()

    def _snapshot(self, number: int) -> None:
        talk = self.driver.live / "conversations" / f"talk{number % 10}.jsonl"
        with talk.open("a", encoding="utf-8") as stream:
            stream.write(
                json.dumps({"id": str(number), "role": "user", "content": f"{number} says {number * number}"}) + "\n"
            )
        beside, began = self._active, time.monotonic()
        self.capture.look()
        self.capture.turn()
        assert not self.capture.failed, self.capture.failed
        (self.seen.beside if beside else self.seen.quiet).append(time.monotonic() - began)
        self._between()
        self._number = number + 1

    def _between(self) -> None:
        began = time.monotonic()
        self.maintenance.between()
        self.seen.moving_seconds = max(self.seen.moving_seconds, time.monotonic() - began)

    def _until(self, holds: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            assert time.monotonic() < give_up_at
            self.guard.wake.wait(0.01)
            self.guard.wake.clear()
            self._between()

    def _shipped_retention(self) -> None:
        settings = self.driver.home / "guard.yaml"
        settings.write_text(settings.read_text(encoding="utf-8").replace(_KEEP_ALL, ""), encoding="utf-8")
        mark = self.guard.store.marked(MARK)
        assert mark
        mark["since"]["boot_seconds"] -= 2 * 86400
        self.guard.store.mark(MARK, mark)
        self._until(lambda: "at" in (self.guard.store.marked(MARK) or {}))
        self.seen.kept_bytes = occupied_bytes(self.guard.captured.path)
        self.seen.kept_snapshots = int(
            git(self.guard.captured.path, "rev-list", "--count", "--glob=refs/stateguard/snapshots/*")
        )

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        self._active = True
        try:
            yield
        finally:
            self._active = False

    def _maintain(self) -> None:
        while not self._ended:
            found = extent(self.guard.captured.path)
            self.seen.most_loose = max(self.seen.most_loose, found.loose)
            self.seen.most_packs = max(self.seen.most_packs, found.packs)
            with self._working(), contextlib.suppress(CalledOffError):
                self.maintenance.turn()
                if self._sample.is_set():
                    self._measure()
            self._sample.wait(1.0)

    def _measure(self) -> None:
        path, number = self.guard.captured.path, self._number
        consolidate(self.guard.captured, Background(Cancel(), DEADLINE_SECONDS))
        self.seen.rows.append(Row(number, occupied_bytes(path), extent(path).packs))
        self._sample.clear()

    def _beat(self) -> None:
        """Be a thread that wants its turn again and again, as one that answers does."""
        while not self._ended:
            beside, began = self._active, time.monotonic()
            time.sleep(_BEAT_SECONDS)
            late = time.monotonic() - began - _BEAT_SECONDS
            (self.seen.beats_beside if beside else self.seen.beats_quiet).append(late)

    def _look(self) -> None:
        """Look at the memory of git, at its highest so far."""
        mine = psutil.Process()
        while not self._ended:
            for child in mine.children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError, StopIteration):
                    if {"pack-objects", "repack"} & set(child.cmdline()):
                        lines = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8").splitlines()
                        peak = next(int(row.split()[1]) * 1024 for row in lines if row.startswith("VmHWM"))
                        self.seen.git_bytes = max(self.seen.git_bytes, peak)
            time.sleep(_LOOK_SECONDS)


def small_state(root: Path) -> Driver:
    """Take a small state under guard: twenty files, and ten conversations that grow."""
    source = root / "source"
    for name in ("config", "conversations"):
        (source / name).mkdir(parents=True)
    (source / "stateguard.yaml").write_text(_STATE, encoding="utf-8")
    for number in range(20):
        (source / "config" / f"{number}.conf").write_text(f"n = {number}\n" * 50, encoding="utf-8")
    for number in range(10):
        (source / "conversations" / f"talk{number}.jsonl").write_text("", encoding="utf-8")
    driver = Driver(root, source).init("--no-baseline")
    with (driver.home / "guard.yaml").open("a", encoding="utf-8") as settings:
        settings.write(_KEEP_ALL)
    return driver


def wrong(seen: Measured) -> list[str]:
    """Return what was not as promised."""
    found = []
    first, last = seen.rows[0], seen.rows[-1]
    growth = [(b.bytes - a.bytes) / (b.snapshots - a.snapshots) for a, b in zip(seen.rows, seen.rows[1:], strict=False)]
    half = len(growth) // 2
    if sum(growth[half:]) / len(growth[half:]) > LINEAR * max(sum(growth[:half]) / half, 1024):
        found.append(f"grows faster than linearly: {first} … {last}")
    if seen.git_bytes > MOST_BYTES:
        found.append(f"git took {seen.git_bytes} bytes of memory")
    if seen.moving_seconds > LONGEST_SECONDS:
        found.append(f"moving packs away held the guard up for {seen.moving_seconds:.3f} s")
    if seen.most_loose > MOST_LOOSE or seen.most_packs > MOST_PACKS:
        found.append(f"there were {seen.most_loose} loose objects and {seen.most_packs} packs at a time")
    return found


def quantiles(times: list[float]) -> str:
    """Return median, 99th and 99.9th percentile and maximum in milliseconds."""
    if len(times) < 2:
        return "-"
    cuts = statistics.quantiles(times, n=1000, method="inclusive")
    return " / ".join(f"{1000 * value:.1f}" for value in (cuts[499], cuts[989], cuts[998], max(times)))


def report(seen: Measured) -> Iterator[str]:
    """Yield what was seen as Markdown."""
    yield "| snapshots | captured.git | bytes per snapshot | packs |"
    yield "|---:|---:|---:|---:|"
    for row in seen.rows:
        yield f"| {row.snapshots:,} | {row.bytes / 2**20:.1f} MiB | {row.bytes / row.snapshots:,.0f} | {row.packs} |"
    yield ""
    yield f"at most at a time: {seen.most_loose:,} loose objects, {seen.most_packs} packs"
    yield f"peak memory of git: {seen.git_bytes / 2**20:.0f} MiB"
    yield f"longest that the guard's thread moved packs away: {1000 * seen.moving_seconds:.2f} ms"
    yield "times in ms, as median / 99 % / 99.9 % / longest:"
    yield f"  one snapshot: {quantiles(seen.quiet)} alone, {quantiles(seen.beside)} beside maintenance"
    yield f"  late turn of a waiting thread: {quantiles(seen.beats_quiet)} alone, {quantiles(seen.beats_beside)} beside"
    yield f"after the shipped retention: {seen.kept_snapshots:,} snapshots, {seen.kept_bytes / 2**20:.1f} MiB"


def main() -> int:
    """Run it; exit status 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshots", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="Write what was seen as JSON, too.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapshots-") as root:
        driver = small_state(Path(root))
        exercise = Exercise(driver)
        try:
            seen = exercise.run(arguments.snapshots)
        finally:
            exercise.close()
            driver.close()
    sys.stdout.write("\n".join(report(seen)) + "\n")
    if arguments.out:
        arguments.out.write_text(json.dumps(asdict(seen)), encoding="utf-8")
    problems = wrong(seen)
    sys.stdout.write("".join(f"NOT AS PROMISED: {problem}\n" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
