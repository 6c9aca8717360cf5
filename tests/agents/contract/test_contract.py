"""The contract of the port, run against every runtime with real service managers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agents.contract.drain import Drain
from agents.contract.places import (
    GRACE_SECONDS,
    PROGRAMS,
    RELOADER,
    STUBBORN,
    AttachPlace,
    EmbeddedPlace,
    Place,
    gone,
    spec,
)
from agents.setting import Setting
from helpers import eventually
from stateguard.agents.runtime import GuardRuntime
from stateguard.errors import AgentsError
from stateguard.host.process import identify
from stateguard.model.health import ALIVE, AgentState, AgentStatus

STEADY = "steady"
BROKEN = (AgentState.BACKOFF, AgentState.EXITED, AgentState.FATAL)


def status(runtime: GuardRuntime, name: str = STEADY) -> AgentStatus:
    return runtime.statuses()[name]


def pid_of(runtime: GuardRuntime, name: str = STEADY) -> int:
    pid = status(runtime, name).pid
    assert pid
    return pid


def reaches(runtime: GuardRuntime, *states: AgentState, name: str = STEADY, seconds: float = 15.0) -> AgentStatus:
    eventually(lambda: status(runtime, name).state in states, seconds)
    return status(runtime, name)


def test_a_start_is_seen_and_a_second_one_does_nothing(runtime: GuardRuntime) -> None:
    began = time.time()
    runtime.start(spec(STEADY), "r1")
    first = status(runtime)
    assert first.state in ALIVE
    assert (first.running, first.exits, first.strays) == ("r1", 0, ())
    assert first.started_at
    assert began - 2 <= first.started_at <= time.time() + 2
    runtime.start(spec(STEADY), "r2")
    assert (status(runtime).pid, status(runtime).running) == (first.pid, "r1")
    assert reaches(runtime, AgentState.RUNNING).pid == first.pid


def test_a_name_with_dashes_is_a_name(runtime: GuardRuntime) -> None:
    runtime.start(spec("with-two-dashes"), "r")
    assert identify(pid_of(runtime, "with-two-dashes"))


def test_stop_leaves_nothing(runtime: GuardRuntime) -> None:
    runtime.start(spec(STEADY), "r")
    pid = pid_of(runtime)
    assert runtime.stop(STEADY)
    assert gone(pid)
    found = status(runtime)
    assert (found.state, found.pid, found.running, found.exits) == (AgentState.STOPPED, None, None, 0)
    assert runtime.stop(STEADY), "twice is fine"
    assert status(runtime).state is AgentState.STOPPED
    assert runtime.stop("nobody")


def test_one_that_ignores_the_signal_is_killed_with_its_children(runtime: GuardRuntime, setting: Setting) -> None:
    note = setting.live / "grandchild"
    note.unlink(missing_ok=True)
    runtime.start(spec(STUBBORN), "r")
    pid = pid_of(runtime, STUBBORN)
    eventually(note.exists, 20)
    child = int(note.read_text())
    assert runtime.stop(STUBBORN)
    assert gone(pid)
    assert gone(child)


def test_a_crash_is_seen_at_once(runtime: GuardRuntime, setting: Setting, place: Place) -> None:
    runtime.start(spec(STEADY), "r1")
    pid, told = pid_of(runtime), len(setting.told)
    killed_at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(setting.told) > told)
    assert setting.told[told][0] - killed_at <= 0.5
    eventually(lambda: (status(runtime).exits, status(runtime).crashes) == (1, 1))
    if place.restarts:
        back = reaches(runtime, *ALIVE)
        assert back.pid != pid
        assert back.running == "r1"
    else:
        assert reaches(runtime, AgentState.EXITED).pid is None


def test_one_that_ends_at_once_is_told(runtime: GuardRuntime) -> None:
    runtime.start(spec("crasher"), "r")
    found = reaches(runtime, *BROKEN, name="crasher")
    assert found.pid is None
    eventually(lambda: status(runtime, "crasher").exits >= 1)
    assert eventually(lambda: status(runtime, "crasher").message)
    assert runtime.stop("crasher")
    assert status(runtime, "crasher").state is AgentState.STOPPED


def test_a_program_that_nobody_knows_is_told(runtime: GuardRuntime, place: Place) -> None:
    """The guard itself has nothing to run; a service manager has no such program."""
    if isinstance(place, EmbeddedPlace):
        runtime.start(spec("unheard-of"), "r")
        assert status(runtime, "unheard-of").state in BROKEN
        assert "names no command" in status(runtime, "unheard-of").message
        return
    with pytest.raises(AgentsError, match="unheard-of") as caught:
        runtime.start(spec("unheard-of"), "r")
    assert caught.value.exit == 13
    assert caught.value.next_step


def test_what_runs_is_taken_over_and_not_restarted(make: Callable[[], GuardRuntime], place: Place) -> None:
    pid = place.outside(STEADY)
    runtime = make()
    runtime.adopt({name: spec(name) for name in (STEADY, "with-two-dashes")})
    assert status(runtime).state in ALIVE
    assert pid_of(runtime) == pid
    assert status(runtime, "with-two-dashes").state is AgentState.STOPPED
    runtime.start(spec(STEADY), "r2")
    assert pid_of(runtime) == pid
    runtime.adopt({STEADY: spec(STEADY)})
    assert pid_of(runtime) == pid, "adopting twice changes nothing"
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: status(runtime).pid != pid)


def test_close_leaves_agents_running_with_their_revision(make: Callable[[], GuardRuntime]) -> None:
    first = make()
    first.start(spec(STEADY), "r1")
    first.label([STEADY, "unknown"], "r2")
    before = status(first)
    first.close()
    first.close()
    assert before.pid
    assert not gone(before.pid)
    second = make()
    second.adopt({STEADY: spec(STEADY)})
    found = status(second)
    assert (found.pid, found.running) == (before.pid, "r2")
    assert reaches(second, AgentState.RUNNING).pid == before.pid


def test_looking_changes_nothing(make: Callable[[], GuardRuntime], place: Place) -> None:
    pid = place.outside(STEADY)
    looking = make()
    looking.look({STEADY: spec(STEADY)})
    assert pid_of(looking) == pid
    assert make().statuses() == {}
    runtime = make()
    runtime.adopt({STEADY: spec(STEADY)})
    assert pid_of(runtime) == pid


def test_a_closed_runtime_does_nothing_more(make: Callable[[], GuardRuntime]) -> None:
    closed = make()
    closed.start(spec(STEADY), "r")
    closed.close()
    for act in (
        lambda: closed.start(spec(STEADY), "r"),
        lambda: closed.adopt({}),
        lambda: bool(closed.stop(STEADY)),
    ):
        with pytest.raises(AgentsError, match="closed"):
            act()
    make().adopt({STEADY: spec(STEADY)})


def test_a_signal_reaches_the_process_and_changes_nothing_else(runtime: GuardRuntime, setting: Setting) -> None:
    note = setting.live / "reloads"
    note.unlink(missing_ok=True)
    assert not runtime.reload(RELOADER, "HUP"), "nobody knows it yet"
    runtime.start(spec(RELOADER), "r")
    before = status(runtime, RELOADER)
    eventually(note.exists)
    assert runtime.reload(RELOADER, "HUP")
    eventually(lambda: len(note.read_text().splitlines()) == 2)
    assert (status(runtime, RELOADER).pid, status(runtime, RELOADER).exits) == (before.pid, 0)
    assert runtime.stop(RELOADER)
    assert not runtime.reload(RELOADER, "HUP"), "it does not run"


@pytest.fixture
def drained() -> Iterator[Drain]:
    made = Drain()
    yield made
    made.close()


def test_it_is_drained_while_it_still_runs(runtime: GuardRuntime, drained: Drain) -> None:
    runtime.start(spec(STEADY, drained.url), "r")
    pid = pid_of(runtime)
    drained.look = lambda: not gone(pid)
    assert runtime.stop(STEADY)
    assert drained.asked == [("POST", "/drain", True)]
    assert gone(pid)


def test_draining_takes_no_longer_than_the_grace_period(runtime: GuardRuntime, drained: Drain) -> None:
    """One that never answers, or cannot be reached, is stopped all the same."""
    drained.answers = False
    runtime.start(spec(STEADY, drained.url), "r")
    began = time.monotonic()
    assert runtime.stop(STEADY)
    assert len(drained.asked) == 1
    assert time.monotonic() - began < GRACE_SECONDS + 6
    drained.close()
    runtime.start(spec(STEADY, drained.url), "r")
    assert runtime.stop(STEADY)


def test_many_commands_at_once_never_double_an_agent(runtime: GuardRuntime) -> None:
    pids: set[int] = set()

    def work() -> None:
        for _ in range(2):
            runtime.start(spec(STEADY), "r")
            pids.update(pid for pid in [status(runtime).pid] if pid)
            runtime.stop(STEADY)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert status(runtime).state is AgentState.STOPPED
    assert pids
    assert all(gone(pid) for pid in pids)


def test_what_an_agent_wrote_can_be_read(runtime: GuardRuntime, place: Place) -> None:
    runtime.start(spec(STEADY), "r")
    if isinstance(place, AttachPlace):
        with pytest.raises(AgentsError, match="what it writes goes where it always went"):
            runtime.tail(STEADY, 1)
        runtime.stop(STEADY)
        place.runtime().tail(STEADY, 1)
        return
    eventually(lambda: runtime.tail(STEADY, 1))
    assert runtime.tail(STEADY, 1)[0].endswith("is up")
    assert set(PROGRAMS) >= {STEADY, STUBBORN}
