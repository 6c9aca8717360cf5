"""Try probes many times in a row, and remember how that went: before one is trusted with a rollback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stateguard.host.clock import boot_seconds, now_text
from stateguard.host.database import Database
from stateguard.host.reach import ORDINARY, Reach
from stateguard.host.sandbox import UNCONFINED, Sandbox
from stateguard.model.agent import Probe
from stateguard.model.health import Result
from stateguard.model.selftest import Named, Trial, digest, goes_on
from stateguard.observe.ask import ask

WORKERS = 8
BUDGET_SECONDS = 30.0
"""A probe is given so long for all of its runs; the verdict is on those that it had."""

_TABLE = """CREATE TABLE IF NOT EXISTS probe_trial (
    probe TEXT PRIMARY KEY, digest TEXT NOT NULL, runs INTEGER NOT NULL, failures INTEGER NOT NULL,
    last_failure TEXT NOT NULL, seconds REAL NOT NULL, at TEXT NOT NULL)"""

Told = Callable[[int, int], None]
"""Is told how many runs are done, of how many."""


def trials(
    probes: Sequence[Probe],
    live: Path,
    count: int,
    told: Told,
    workers: int = WORKERS,
    sandbox: Sandbox = UNCONFINED,
    reach: Reach = ORDINARY,
) -> list[Trial]:
    """Ask every probe so many times, as fast as it answers; each by itself, several probes beside each other."""
    lock, done = threading.Lock(), [0]

    def one(probe: Probe) -> Trial:
        runs = failures = 0
        last, began = "", boot_seconds()
        while goes_on(count, runs, failures) and (not runs or boot_seconds() - began < BUDGET_SECONDS):
            outcome = ask(probe, live, sandbox, reach)
            runs += 1
            if outcome.result is not Result.PASS:
                failures, last = failures + 1, outcome.message
            with lock:
                done[0] += 1
                told(done[0], count * len(probes))
        with lock:
            done[0] += count - runs
        return Trial(probe.id, digest(probe), runs, failures, last, boot_seconds() - began, now_text())

    with ThreadPoolExecutor(workers, thread_name_prefix="selftest") as pool:
        return list(pool.map(one, probes))


class Trials:
    """Owner of the table ``probe_trial``: the last self-test of each probe."""

    def __init__(self, database: Database) -> None:
        """Create the table on first use."""
        self._database = database
        database.create(_TABLE)
        self._flaky: frozenset[Named] | None = None

    def record(self, found: Sequence[Trial]) -> None:
        """Remember these self-tests, each in place of the one before.

        Raises:
            StorageError: the database cannot be written.
        """
        with self._database.transaction():
            for t in found:
                values = (t.probe, t.digest, t.runs, t.failures, t.last_failure, t.seconds, t.at)
                self._database.execute("INSERT OR REPLACE INTO probe_trial VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self._flaky = None

    def all(self) -> dict[str, Trial]:
        """Return the last self-test of every probe that had one, by its id."""
        rows = self._database.rows("SELECT * FROM probe_trial ORDER BY probe")
        return {row["probe"]: Trial(**dict(row)) for row in rows}

    def flaky(self) -> frozenset[Named]:
        """Return the probes that were found flaky, with the specification that was."""
        if self._flaky is None:
            self._flaky = frozenset(t.named for t in self.all().values() if t.flaky)
        return self._flaky
