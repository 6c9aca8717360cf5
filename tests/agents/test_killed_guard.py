"""A guard that is really killed, at any instruction: no agent is lost and none is doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.setting import IGNORES_TERM, Setting
from helpers import eventually
from stateguard.agents.child import VARIABLE
from stateguard.agents.process import ProcessRuntime
from stateguard.host.process import identify, is_session_leader, with_variable
from stateguard.model.agent import AgentSpec, StopPolicy
from stateguard.model.health import AgentState

ROOT = Path(__file__).resolve().parents[2]
SLEEPS = ("sh", "-c", "echo $$ >> pids; exec sleep 600")

Guard = Callable[..., "subprocess.Popen[str]"]
After = Callable[[], ProcessRuntime]


def spec(name: str = "a", argv: tuple[str, ...] = SLEEPS, grace: float = 5.0) -> AgentSpec:
    return AgentSpec(name, argv, stop=StopPolicy("TERM", grace))


def leaders(setting: Setting) -> dict[int, str]:
    """Return the living agents of this test by pid."""
    return {
        pid: value.split(":")[1]
        for pid, value in with_variable(VARIABLE)
        if value.startswith(setting.identity + ":") and is_session_leader(pid) and identify(pid)
    }


@pytest.fixture
def guard(setting: Setting) -> Iterator[Guard]:
    """Run guards of their own: ``guard([["start", spec]], fault)``; each dies before the next."""
    made: list[subprocess.Popen[str]] = []

    def run(commands: list[list[object]], fault: str = "") -> subprocess.Popen[str]:
        plain = [
            [verb, *[[s.name, s.command, s.stop.grace_period_seconds] for s in specs if isinstance(s, AgentSpec)]]
            for verb, *specs in commands
        ]
        made.append(
            subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("guard_process.py")),
                    str(setting.home.root),
                    str(setting.live),
                    setting.identity,
                    json.dumps(plain),
                ],
                env={**os.environ, "PYTHONPATH": str(ROOT), "STATEGUARD_FAULT": fault},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert made[-1].stdout
        assert made[-1].stdout.readline() == ("" if fault else "ready\n")
        if fault:
            assert made[-1].wait(10) == -signal.SIGKILL
        return made[-1]

    yield run
    for process in made:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def after(setting: Setting) -> Iterator[Callable[[], ProcessRuntime]]:
    """Make the guards that come after; to be called when the one before is dead."""
    made: list[ProcessRuntime] = []

    def new() -> ProcessRuntime:
        made.append(ProcessRuntime(setting.live, setting.home, setting.identity, setting.changed))
        return made[-1]

    yield new
    for runtime in made:
        runtime.close()


def test_registered_agents_are_taken_over(setting: Setting, guard: Guard, after: After) -> None:
    kill(guard([["start", spec("a"), spec("b")]]))
    eventually(lambda: len(leaders(setting)) == 2)  # a program that begins shows its variables a moment later
    before = leaders(setting)
    assert sorted(before.values()) == ["a", "b"]
    runtime = after()
    runtime.adopt({"a": spec("a"), "b": spec("b")})
    assert {s.pid: n for n, s in runtime.statuses().items()} == before
    assert {s.state for s in runtime.statuses().values()} == {AgentState.RUNNING}
    assert {s.running for s in runtime.statuses().values()} == {"r1"}
    runtime.start(spec("a"), "r1")
    assert leaders(setting) == before
    pid = runtime.statuses()["a"].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: runtime.statuses()["a"].state is AgentState.BACKOFF, 0.5)
    assert runtime.statuses()["a"].message == "ended, nobody knows with which status"
    assert runtime.stop("a")
    assert runtime.stop("b")
    assert leaders(setting) == {}


@pytest.mark.parametrize("content", [None, b"", b'{"version": 1, "agents": [{"na'])
def test_a_lost_registry_doubles_nothing(setting: Setting, guard: Guard, after: After, content: bytes | None) -> None:
    kill(guard([["start", spec()]]))
    before = eventually(lambda: leaders(setting))  # a program that begins shows its variables a moment later
    registry = setting.home.run / "agents.json"
    registry.unlink()
    if content is not None:
        registry.write_bytes(content)
    runtime = after()
    runtime.adopt({"a": spec()})
    found = runtime.statuses()["a"]
    assert (found.state, {found.pid: "a"}, found.running) == (AgentState.RUNNING, before, "r1")
    assert found.started_at
    assert abs(found.started_at - registry.stat().st_mtime) < 30
    runtime.start(spec(), "r2")
    assert leaders(setting) == before


@pytest.mark.parametrize("fault", ["agents.spawned:1:kill", "agents.registered:1:kill", "files.rename:1:kill"])
def test_a_guard_killed_while_starting_doubles_nothing(
    setting: Setting, guard: Guard, after: After, fault: str
) -> None:
    guard([["start", spec()]], fault)
    before = leaders(setting)
    assert list(before.values()) == ["a"]
    runtime = after()
    runtime.adopt({"a": spec()})
    assert {s.pid: n for n, s in runtime.statuses().items()} == before
    assert {s.running for s in runtime.statuses().values()} == {"r1"}
    runtime.start(spec(), "r1")
    assert leaders(setting) == before


def test_a_guard_killed_while_stopping_leaves_an_agent_that_can_be_stopped(
    setting: Setting, guard: Guard, after: After
) -> None:
    guard([["start", spec()], ["stop", spec()]], "agents.stop:1:kill")
    assert list(leaders(setting).values()) == ["a"]
    runtime = after()
    runtime.adopt({"a": spec()})
    assert runtime.stop("a")
    assert leaders(setting) == {}


def test_what_has_died_meanwhile_is_not_running(setting: Setting, guard: Guard, after: After) -> None:
    kill(guard([["start", spec()]]))
    (pid,) = leaders(setting)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: identify(pid) is None)
    runtime = after()
    runtime.adopt({"a": spec()})
    assert runtime.statuses()["a"].state is AgentState.STOPPED


def test_orphans_of_an_agent_that_died_meanwhile_are_killed(setting: Setting, guard: Guard, after: After) -> None:
    forks = spec("a", (sys.executable, "-c", IGNORES_TERM))
    kill(guard([["start", forks]]))
    eventually((setting.live / "grandchild").exists)
    grandchild = int((setting.live / "grandchild").read_text())
    (pid,) = leaders(setting)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: identify(pid) is None)
    assert identify(grandchild)
    after().adopt({"a": forks})
    eventually(lambda: identify(grandchild) is None)


def test_a_child_in_a_session_of_its_own_is_no_second_agent(setting: Setting, guard: Guard, after: After) -> None:
    helper = spec("a", ("sh", "-c", "setsid sh -c 'echo $$ > helper; exec sleep 600' & exec sleep 600"))
    kill(guard([["start", helper]]))
    eventually(lambda: (setting.live / "helper").exists() and (setting.live / "helper").read_text())
    child = int((setting.live / "helper").read_text())
    (pid,) = set(leaders(setting)) - {child}
    runtime = after()
    runtime.adopt({"a": helper})
    assert runtime.statuses()["a"].pid == pid
    assert identify(child), "it belongs to the agent and is left alone"


def test_a_doubled_agent_is_ended_and_the_registered_one_kept(setting: Setting, guard: Guard, after: After) -> None:
    kill(guard([["start", spec()]]))
    (first,) = leaders(setting)
    registry = setting.home.run / "agents.json"
    registry.rename(registry.with_name("aside"))
    kill(guard([["start", spec()]]))
    (second,) = set(leaders(setting)) - {first}
    runtime = after()
    runtime.adopt({"a": spec()})
    assert list(leaders(setting)) == [second]
    assert runtime.statuses()["a"].pid == second


def test_another_homes_agents_are_left_alone(setting: Setting, guard: Guard) -> None:
    kill(guard([["start", spec()]]))
    before = leaders(setting)
    (setting.home.run / "agents.json").unlink()
    other = ProcessRuntime(setting.live, setting.home, "another-home", setting.changed)
    other.adopt({"a": spec()})
    other.close()
    assert leaders(setting) == before


def test_guards_killed_over_and_over_keep_one_of_each(setting: Setting, guard: Guard, after: After) -> None:
    specs = [spec("a"), spec("b")]
    for fault in ("agents.spawned:1:kill", "agents.spawned:1:kill", "files.write:1:kill", ""):
        process = guard([["adopt", *specs], ["start", *specs]], fault)
        if not fault:
            kill(process)
        assert len(set(leaders(setting).values())) == len(leaders(setting))
    before = leaders(setting)
    assert sorted(before.values()) == ["a", "b"]
    runtime = after()
    runtime.adopt({s.name: s for s in specs})
    assert {s.pid: n for n, s in runtime.statuses().items()} == before
