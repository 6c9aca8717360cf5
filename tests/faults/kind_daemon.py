"""SIGKILL of the real daemon of the running example, at random moments of pushes, failing pushes and rollbacks."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from driving import DEADLINE_SECONDS, Document, Driver, end_pushing, git, processes_in
from faults.kinds import Outcome, Result, Trial
from faults.verdict import Broken
from scenarios.playing import write_example
from stateguard.demo.example import play

_SHARE_OF_FAILING, _SHARE_OF_ROLLBACKS = 0.25, 0.35
_CONFIG = "config/nutrition.yaml"
_LIMIT_SECONDS = 2 * DEADLINE_SECONDS


class Daemon:
    """One trial: a transition is begun; after a share of the time that it takes (``kill@SHARE``) the daemon is killed.

    All trials of a worker strike the same running example, one after the other, as on a real host.
    """

    name, default, counts = "daemon", 6, True

    def __init__(self) -> None:
        """Nothing runs before the first trial."""
        self._driver: Driver | None = None
        self._took: dict[str, float] = {}
        self._changes = 0

    def available(self) -> str:
        """Return what this machine lacks: nothing."""
        return ""

    def trials(self, seed: int, number: int) -> Iterator[Trial]:
        """Yield trials with the moments chosen by the seed; a little beyond the end too."""
        chance = random.Random(seed)
        for _ in range(number):
            dice = chance.random()
            rolling = _SHARE_OF_FAILING + _SHARE_OF_ROLLBACKS
            journey = "failing" if dice < _SHARE_OF_FAILING else "rollback" if dice < rolling else "apply"
            yield Trial(self.name, journey, (f"kill@{chance.uniform(0, 1.1):.4f}",), chance.randrange(1 << 30))

    def run(self, trial: Trial, room: Path) -> Result:
        """Begin it, kill the daemon, start another, and check; the clock runs from the beginning to the verdict."""
        began = time.monotonic()
        driver = self._ready()
        try:
            self._strike(driver, trial)
        except Broken as error:
            (room / "guard.log").write_bytes(driver.log.read_bytes())
            self._end()
            return Result(trial, error.outcome, time.monotonic() - began, error.what)
        except BaseException:
            (room / "guard.log").write_bytes(driver.log.read_bytes())
            self._end()
            raise
        return Result(trial, Outcome.SURVIVED, time.monotonic() - began)

    def _strike(self, driver: Driver, trial: Trial) -> None:
        share = float(trial.faults[0].removeprefix("kill@"))
        takes = self._time(driver, trial.journey)
        if trial.journey == "rollback":
            self._change(driver)
            _require(driver.push().returncode == 0, Outcome.ERROR, "the push to be taken back was refused")
        before = _agents(driver)
        old, main = _config(driver), driver.main
        if trial.journey == "rollback":
            person = _begin_rollback(driver)
        else:
            self._change(driver) if trial.journey == "apply" else self._break(driver)
            push = driver.begin_push()
        time.sleep(share * takes)  # the moment is the point: what the daemon does just then is nobody's choice
        driver.kill()
        driver.start(health="")
        if trial.journey == "rollback":
            told = person.wait(_LIMIT_SECONDS) == 0
            new = git(driver.repository, "show", f"{main}~1:{_CONFIG}") + "\n"
            said = "the rollback"
        else:
            status, said = end_pushing(push)
            told, new = status == 0, (driver.work / _CONFIG).read_text()
        status = driver.settled()
        live = _config(driver)
        _require(live in (old, new), Outcome.TORN, "the live file is neither the old nor the new one")
        moved = driver.main != main
        _require(moved == (live == new and new != old), Outcome.TORN, f"main moved: {moved}, but live does not say so")
        # Of a rollback a person may get no answer, and asks; a pusher's git waits for the next guard.
        true = told == moved if trial.journey != "rollback" else not told or moved
        _require(true, Outcome.LOST, f"{said}: told {told}, main moved: {moved}")
        _require(trial.journey != "failing" or not moved, Outcome.TORN, "a state that fails is on main")
        _whole(driver, status, before)

    def _time(self, driver: Driver, journey: str) -> float:
        """Return how many seconds such a transition takes here when nothing strikes it; measured once."""
        if journey not in self._took:
            if journey == "rollback":
                self._change(driver)
                _require(driver.push().returncode == 0, Outcome.ERROR, "a push was refused")
                driver.sync()
            began = time.monotonic()
            if journey == "rollback":
                _begin_rollback(driver).wait(_LIMIT_SECONDS)
            else:
                self._change(driver) if journey == "apply" else self._break(driver)
                end_pushing(driver.begin_push())
            self._took[journey] = time.monotonic() - began
            self._ready()
        return self._took[journey]

    def _change(self, driver: Driver) -> None:
        self._changes += 1
        text = (driver.work / _CONFIG).read_text()
        lines = [line for line in text.splitlines() if not line.startswith("# change")]
        driver.edit(_CONFIG, "\n".join([*lines, f"# change {self._changes}", ""]))
        driver.commit("Change a comment that an agent reads at its start")

    def _break(self, driver: Driver) -> None:
        self._changes += 1
        play(driver.work, "will-not-start")
        text = (driver.work / _CONFIG).read_text()
        driver.edit(_CONFIG, f"{text}# broken {self._changes}\n")
        driver.commit("Break it")

    def _ready(self) -> Driver:
        """Return the driver of an example that runs, is well, and has a clone as main is."""
        if self._driver is None:
            root = Path(tempfile.mkdtemp(prefix="sg-daemon-"))
            self._driver = Driver(root, write_example(root / "source"))
            self._driver.init().start()
        self._driver.wait(lambda s: not s["incidents"] and s["health"] == "HEALTHY" and not s["transition"])
        self._driver.settled()
        self._driver.sync()
        return self._driver

    def _end(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    def close(self) -> None:
        """End what runs."""
        self._end()


def _begin_rollback(driver: Driver) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(driver.command("rollback", "-1", "--yes"), stdin=quiet, stdout=quiet, stderr=quiet)


def _config(driver: Driver) -> str:
    return (driver.live / _CONFIG).read_text()


def _agents(driver: Driver) -> list[str]:
    return sorted(a["name"] for a in driver.status()["agents"])


def _whole(driver: Driver, status: Document, before: list[str]) -> None:
    pids = sorted(a["pid"] for a in status["agents"])
    running = sorted(processes_in(driver.live))
    _require(len(running) <= len(before), Outcome.DOUBLED, f"{len(running)} agents run, {len(before)} are declared")
    _require(running == pids and len(running) == len(before), Outcome.LOST, f"running {running}, known {pids}")
    _require(status["drift"] == [], Outcome.TORN, f"drift: {status['drift']}")
    applied = git(driver.repository, "rev-parse", "refs/stateguard/applied")
    _require(applied == driver.main, Outcome.TORN, f"main is {driver.main}, applied {applied}")
    audit = driver.ask("audit", "verify")
    _require(audit["valid"], Outcome.LOST, f"the audit chain: {audit['problems']}")
    reason = driver.ask("recover")["reason"]
    _require(reason == "nothing was interrupted", Outcome.STUCK, f"recover says: {reason}")


def _require(holds: object, outcome: Outcome, what: str) -> None:
    if not holds:
        raise Broken(outcome, what)


KIND = Daemon()
