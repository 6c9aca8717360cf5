"""An agent that can read its files again is told so by a signal, and goes on running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver
from helpers import eventually
from tiny import write_tiny

AGENT = """\
mkdir -p logs
trap 'cat "config/$1.conf" >"logs/$1.mode"; echo told >>"logs/$1.told"' HUP
cat "config/$1.conf" >"logs/$1.mode"; echo $$ >"logs/$1.pid"
while :; do sleep 0.05; done
"""
READY = '! grep -q unready "logs/$1.mode" && kill -0 "$(cat "logs/$1.pid")"\n'


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Driver]:
    source = write_tiny(tmp_path / "source")
    (source / "bin" / "agent.sh").write_text(AGENT)
    (source / "bin" / "ready.sh").write_text(READY)
    alpha = source / "agents" / "alpha" / "agent.yaml"
    alpha.write_text(alpha.read_text() + "reload: {signal: SIGHUP, on: [config/alpha.conf], settle_seconds: 0.5}\n")
    made = Driver(tmp_path, source).init("--no-baseline")
    made.start()
    yield made
    made.close()


@pytest.mark.slow
def test_a_change_is_taken_by_a_signal_and_taken_back_by_another(drive: Driver) -> None:
    pids = {name: agent["pid"] for name, agent in drive.agents().items()}
    mode, told = drive.live / "logs" / "alpha.mode", drive.live / "logs" / "alpha.told"

    def unchanged() -> bool:
        return {name: agent["pid"] for name, agent in drive.agents().items()} == pids

    done = drive.offer("config/alpha.conf", "mode = other\n")
    assert done.returncode == 0, done.stderr
    assert "0 of 2 agents restarted, 1 reloaded, 2/2 healthy" in done.stderr
    assert (mode.read_text(), told.read_text()) == ("mode = other\n", "told\n")
    assert unchanged(), "beta depends on alpha and is left alone too"
    assert all(agent["running"] == drive.main for agent in drive.agents().values())
    plan = drive.ask("plan", "--", "-1")
    assert (plan["agents"], plan["reloaded"]) == ([], ["alpha"])
    assert "reloaded       alpha" in drive.must("plan", "--", "-1")
    # what does not work is taken back in the same way
    done = drive.offer("config/alpha.conf", "mode = unready\n")
    assert done.returncode == 1
    assert "rolled back" in done.stderr
    assert unchanged()
    assert mode.read_text() == "mode = other\n"
    assert told.read_text() == "told\n" * 3
    # its own files are taken by the signal, its specification is not
    drive.sync()
    done = drive.offer("agents/alpha/prompt.md", "Answer at length.\n")
    assert "1 reloaded" in done.stderr, done.stderr
    assert unchanged()
    text = (drive.work / "agents" / "alpha" / "agent.yaml").read_text()
    done = drive.offer("agents/alpha/agent.yaml", text.replace("critical: true", "critical: false"))
    assert "2 of 2 agents restarted" in done.stderr, done.stderr
    assert not unchanged()
    # a rollback by a person goes the same way
    done = drive.offer("config/alpha.conf", "mode = third\n")
    assert "1 reloaded" in done.stderr, done.stderr
    drive.must("rollback", "--yes", "--", "-1")
    eventually(lambda: mode.read_text() == "mode = other\n")
    assert drive.newest(kind="rollback")["outcome"] == "succeeded"


def test_a_signal_that_ends_an_agent_is_rejected_before_it_is_tried(drive: Driver) -> None:
    text = (drive.work / "agents" / "beta" / "agent.yaml").read_text()
    done = drive.offer("agents/beta/agent.yaml", text + "reload: {signal: KILL}\n")
    assert done.returncode == 1
    assert "KILL ends the agent" in done.stderr
