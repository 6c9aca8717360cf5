"""Agents that run when a home is made: taken over as they are, found by their command or named by a person."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.contract.places import detached, gone
from driving import Driver
from tiny import write_tiny


class Running:
    """The tiny system in its live directory, run by nobody in particular, and the guard's driver."""

    def __init__(self, root: Path) -> None:
        self.drive = Driver(root, root / "live")
        write_tiny(self.drive.live)
        self.pids: dict[str, int] = {}

    def start(self, *names: str) -> None:
        for name in names:
            self.pids[name] = detached(self.drive.live, "sh", "-c", f"exec sh bin/agent.sh {name}")

    def shown(self) -> dict[str, int]:
        return {name: agent["pid"] for name, agent in self.drive.agents().items()}

    def close(self) -> None:
        self.drive.close()
        for pid in self.pids.values():
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    # The agents replace themselves by sleep: what is looked for is what they are seen as.
    made = Running(tmp_path)
    text = (made.drive.live / "bin" / "agent.sh").read_text()
    loop = "while :; do sleep 0.2; done"
    (made.drive.live / "bin" / "agent.sh").write_text(text.replace("exec sleep 100000", loop))
    yield made
    made.close()


def test_agents_that_run_are_taken_over(running: Running) -> None:
    drive = running.drive
    running.start("alpha", "beta")
    error = drive.refused("init", "--from", drive.live, "--live", drive.live, status=1)
    assert f"process {running.pids['alpha']} (sh bin/agent.sh alpha) seems to be alpha" in error["message"]
    assert "--attach" in error["next"]
    assert not (drive.home / "guard.yaml").exists()
    drive.init("--attach", "--no-baseline")
    assert running.shown() == running.pids
    drive.start()
    assert running.shown() == running.pids
    done = drive.offer("config/beta.conf", "mode = other\n")
    assert done.returncode == 0, done.stderr
    assert gone(running.pids["beta"])
    now = running.shown()
    assert now["alpha"] == running.pids["alpha"]
    assert now["beta"] != running.pids["beta"]
    # a crash is seen, and the next process is the guard's own
    os.kill(running.pids["alpha"], signal.SIGKILL)
    drive.wait(lambda s: s["agents"][0]["pid"] not in (None, running.pids["alpha"]) and s["health"] == "HEALTHY")


def test_one_of_several_is_named_by_a_person(running: Running) -> None:
    drive = running.drive
    running.start("alpha")
    first = running.pids["alpha"]
    running.start("alpha", "beta")
    try:
        error = drive.refused("init", "--from", drive.live, "--live", drive.live, "--attach", status=1)
        assert "2 processes seem to be alpha" in error["message"]
        for bad, status in (("alpha=x", 2), ("=1", 2), ("gamma=1", 15), ("alpha=4194304", 15)):
            drive.refused("init", "--from", drive.live, "--live", drive.live, "--process", bad, status=status)
        drive.init("--attach", "--process", f"alpha={running.pids['alpha']}", "--no-baseline")
        assert running.shown() == running.pids
        assert not gone(first), "what was not named is left alone"
    finally:
        os.kill(first, signal.SIGKILL)


def test_an_agent_is_attached_later(running: Running) -> None:
    drive = running.drive
    drive.init("--no-baseline")
    drive.must("agent", "stop", "beta")
    assert drive.refused("agent", "attach", "beta", status=15)["code"] == "not-found"
    assert drive.refused("agent", "attach", "gamma", status=15)["code"] == "not-found"
    assert drive.refused("agent", "attach", "alpha", "1", status=1)["code"] == "refused"
    assert drive.run("agent", "attach", "beta", "x").returncode == 2
    running.start("beta")
    drive.must("agent", "attach", "beta")
    assert running.shown()["beta"] == running.pids["beta"]
    drive.start()
    assert running.shown()["beta"] == running.pids["beta"], "not doubled"
    entry = next(e for e in drive.ask("audit", "log")["entries"] if e["kind"] == "agent")
    assert entry["body"] == {"action": "attach", "agents": ["beta"], "pid": running.pids["beta"]}
    drive.must("agent", "stop", "beta")
    assert gone(running.pids["beta"])
