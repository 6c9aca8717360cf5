"""Processes that somebody else started: which of them is an agent, and that nothing is doubled or ended by mistake."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from agents.contract.places import detached, gone
from agents.setting import Setting
from helpers import eventually
from stateguard.agents.attach import candidates, same
from stateguard.agents.process import ProcessRuntime
from stateguard.errors import AgentsError, NotFoundError, RefusedError
from stateguard.host.process import ProcessIdentity, identify
from stateguard.model.agent import AgentSpec, StopPolicy
from stateguard.model.health import AgentState

LOOP = "while :; do sleep 0.05; done"


@pytest.fixture
def live(setting: Setting) -> Path:
    for name in ("bin", "sub"):
        (setting.live / name).mkdir()
    (setting.live / "bin" / "run.sh").write_text(f"#!/bin/sh\n{LOOP}\n")
    (setting.live / "bin" / "run.sh").chmod(0o755)
    return setting.live


@pytest.fixture
def start(live: Path) -> Iterator[Callable[..., int]]:
    """Start processes that are nobody's children."""
    made: list[ProcessIdentity] = []

    def run(*argv: str, directory: Path = live) -> int:
        pid = detached(directory, *argv)
        made.extend(filter(None, [identify(pid)]))
        return pid

    yield run
    for identity in made:
        if identify(identity.pid) == identity:
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, signal.SIGKILL)


@pytest.fixture
def runtime(setting: Setting) -> Iterator[ProcessRuntime]:
    made = ProcessRuntime(setting.live, setting.home, setting.identity, setting.changed)
    yield made
    with contextlib.suppress(AgentsError):  # a test has closed it
        for name in made.statuses():
            made.stop(name)
    made.close()


def spec(*command: str, name: str = "a", environment: tuple[tuple[str, str], ...] = ()) -> AgentSpec:
    return AgentSpec(name, command, stop=StopPolicy("TERM", 2.0), environment=environment)


def found(live: Path, *specs: AgentSpec) -> dict[str, list[int]]:
    """Return the candidates' process ids by agent."""
    looked_for = {one.name: one for one in specs}
    return {name: [c.identity.pid for c in some] for name, some in candidates(looked_for, live).items()}


@pytest.mark.parametrize(
    ("command", "argv", "below", "expected"),
    [
        (("python3", "bin/run.sh", "x"), ("python3", "bin/run.sh", "x"), "", True),
        (("python3", "bin/run.sh"), ("/opt/venv/bin/python", "bin/run.sh"), "", True),
        (("python", "bin/run.sh"), ("/usr/bin/python3.11", "./bin/run.sh"), "", True),
        (("sh", "bin/run.sh"), ("/bin/sh", "../bin/run.sh"), "sub", True),
        (("bin/run.sh", "x"), ("/bin/sh", "bin/run.sh", "x"), "", True),
        (("./bin/run.sh", "x"), ("/usr/bin/env", "-S", "bin/run.sh", "x"), "", True),
        (("sh", "-c", "exec python3 bin/run.sh 'a b'"), ("python3", "bin/run.sh", "a b"), "", True),
        (("sh", "-c", "python3 bin/run.sh"), ("sh", "-c", "python3 bin/run.sh"), "", True),
        (("sh", "-c", "echo '"), ("sh", "-c", "echo '"), "", True),
        (("python3", "bin/run.sh", "x"), ("python3", "bin/run.sh", "y"), "", False),
        (("python3", "bin/run.sh"), ("python3", "bin/run.sh", "y"), "", False),
        (("python3", "bin/run.sh"), ("ruby", "bin/run.sh"), "", False),
        (("python3", "bin/run.sh"), ("python3", "bin/run.sh"), "sub", False),
        (("python3", "run.sh"), ("nice", "python3", "run.sh"), "", False),
    ],
)
def test_an_argument_list_is_compared_by_what_it_names(
    live: Path, command: tuple[str, ...], argv: tuple[str, ...], below: str, expected: bool
) -> None:
    assert same(command, live, argv, live / below) is expected


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, min_size=1, max_size=4))
def test_every_command_is_its_own_and_never_a_longer_one(command: list[str], more: list[str]) -> None:
    nowhere = Path("/nonexistent/live")
    assert same(command, nowhere, command, nowhere)
    assert not same(command, nowhere, [*command, *more], nowhere)


def test_agents_that_run_are_found_by_their_command(live: Path, start: Callable[..., int]) -> None:
    script, python = start("bin/run.sh", "one"), start(sys.executable, "-c", "import time; time.sleep(600)")
    start("sh", "-c", f"cd /tmp; {LOOP}")
    agents = [
        spec("bin/run.sh", "one", name="script"),
        spec("python3", "-c", "import time; time.sleep(600)", name="python"),
        spec("bin/run.sh", "two", name="other"),
        AgentSpec("nothing", ()),
    ]
    assert found(live, *agents) == {"script": [script], "python": [python], "other": [], "nothing": []}


def test_of_a_process_and_its_copies_the_topmost_counts(live: Path, start: Callable[..., int]) -> None:
    (live / "bin" / "fork.py").write_text("import os, time\nos.fork()\ntime.sleep(600)\n")
    pid = start(sys.executable, "bin/fork.py")
    eventually(lambda: len([p for p in _children(pid) if p]) == 1)
    assert found(live, spec("python3", "bin/fork.py")) == {"a": [pid]}


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_of_several_the_one_with_the_agents_environment_counts(live: Path, start: Callable[..., int]) -> None:
    argv = ("sleep", "601")
    one, two = start("env", "PORT=1", *argv), start("env", "PORT=2", *argv)
    eventually(lambda: found(live, spec(*argv))["a"] == sorted([one, two]))
    assert found(live, spec(*argv, environment=(("PORT", "2"),))) == {"a": [two]}
    assert found(live, spec(*argv, environment=(("PORT", "3"),))) == {"a": sorted([one, two])}
    assert found(live, spec(*argv, environment=(("PORT", "2"), ("KEY", "secret://k")))) == {"a": [two]}


def test_an_attached_process_is_supervised_and_replaced_by_the_guards_own(
    live: Path, start: Callable[..., int], runtime: ProcessRuntime, setting: Setting
) -> None:
    agent = spec("bin/run.sh")
    pid = start("bin/run.sh")
    runtime.attach(agent, pid, "r1")
    status = runtime.statuses()["a"]
    assert (status.state, status.pid, status.running, status.exits) == (AgentState.RUNNING, pid, "r1", 0)
    assert runtime.candidates({"a": agent}) == {}
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: runtime.statuses()["a"].state is AgentState.BACKOFF)
    assert runtime.statuses()["a"].message == "ended, nobody knows with which status"
    eventually(lambda: runtime.statuses()["a"].state is AgentState.STARTING)
    own = runtime.statuses()["a"].pid
    assert own
    assert own != pid
    assert (setting.home.logs / "agents" / "a.log").exists()


def test_it_is_not_doubled_when_the_guard_starts_anew(
    live: Path, start: Callable[..., int], runtime: ProcessRuntime, setting: Setting
) -> None:
    agent = spec("bin/run.sh")
    pid = start("bin/run.sh")
    runtime.attach(agent, pid, "r1")
    runtime.close()
    second = ProcessRuntime(setting.live, setting.home, setting.identity, setting.changed)
    with contextlib.closing(second):
        second.adopt({"a": agent})
        second.start(agent, "r2")
        assert (second.statuses()["a"].pid, second.statuses()["a"].running) == (pid, "r1")
        assert found(live, agent) == {"a": [pid]}
        assert second.stop("a")
        assert gone(pid)


def test_only_its_own_family_is_ended(live: Path, runtime: ProcessRuntime) -> None:
    """A process that shares its group with others, as in a script that starts several, must not take them along."""
    script = 'sleep 602 & echo $!; sh -c "sleep 603 & sleep 604 & wait" >/dev/null & echo $!'
    sibling, pid = _two(live, script)
    eventually(lambda: len(_children(pid)) == 2)
    children = [int(child) for child in _children(pid)]
    runtime.attach(spec("sh"), pid, "r")
    assert runtime.stop("a")
    assert all(gone(one) for one in (pid, *children))
    assert not gone(sibling)
    os.kill(sibling, signal.SIGKILL)


def _two(live: Path, script: str) -> tuple[int, int]:
    out = live / "pids"
    subprocess.run(["sh", "-c", f"({script}) >pids 2>&1"], cwd=live, stdin=subprocess.DEVNULL, check=True, timeout=30)
    first, second = out.read_text().split()
    return int(first), int(second)


def test_what_cannot_be_an_agent_is_refused(
    live: Path, start: Callable[..., int], runtime: ProcessRuntime, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(NotFoundError, match="there is no process 4194304"):
        runtime.attach(spec("x"), 4194304, "r")
    elsewhere = start("sleep", "605", directory=tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="the live directory is"):
        runtime.attach(spec("x"), elsewhere, "r")
    with pytest.raises(RefusedError, match="runs this command"):
        runtime.attach(spec("x"), os.getpid(), "r")
    with pytest.raises(RefusedError, match="runs this command"):
        runtime.attach(spec("x"), os.getppid(), "r")
    pid = start("sh", "-c", "sleep 606 & wait")
    runtime.attach(spec("x"), pid, "r")
    with pytest.raises(RefusedError, match=f"a runs as process {pid}"):
        runtime.attach(spec("x"), start("sleep", "607"), "r")
    for other in (pid, int(eventually(lambda: _children(pid))[0])):
        with pytest.raises(RefusedError, match=f"process {other} belongs to a"):
            runtime.attach(spec("x", name="b"), other, "r")
    assert not gone(elsewhere)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start another user's process")
def test_another_users_process_is_refused(live: Path, runtime: ProcessRuntime) -> None:
    other = subprocess.Popen(["sleep", "608"], cwd=live, user=65534)
    try:
        with pytest.raises(RefusedError, match="belongs to user 65534"):
            runtime.attach(spec("sleep", "608"), other.pid, "r")
        assert found(live, spec("sleep", "608")) == {"a": []}
    finally:
        other.kill()
        other.wait()
