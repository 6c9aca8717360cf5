"""The contract of the port, run against every adapter."""

from __future__ import annotations

import http.server
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agents.setting import IGNORES_TERM, SLEEPS, Setting, python, shell
from helpers import eventually
from stateguard.agents.child import VARIABLE
from stateguard.agents.runtime import AgentRuntime
from stateguard.errors import AgentsError
from stateguard.host.process import group_members, identify, with_variable
from stateguard.host.secrets import Secrets
from stateguard.model.agent import AgentSpec, Restart
from stateguard.model.health import ALIVE, AgentState, AgentStatus


def status(runtime: AgentRuntime, name: str = "a") -> AgentStatus:
    return runtime.statuses()[name]


def reaches(runtime: AgentRuntime, state: AgentState, seconds: float = 5.0, name: str = "a") -> AgentStatus:
    eventually(lambda: status(runtime, name).state is state, seconds)
    return status(runtime, name)


def pid_of(runtime: AgentRuntime, name: str = "a") -> int:
    pid = status(runtime, name).pid
    assert pid
    return pid


class TestContract:
    def test_nothing_is_known_before_anything_was_asked(self, runtime: AgentRuntime) -> None:
        assert runtime.statuses() == {}

    def test_a_started_agent_is_starting_then_running(self, runtime: AgentRuntime, setting: Setting) -> None:
        begun = time.time()
        runtime.start(python("a", SLEEPS), "r1")
        found = status(runtime)
        assert found.state is AgentState.STARTING
        assert found.running == "r1"
        assert found.exits == 0
        assert found.started_at
        assert begun - 1 <= found.started_at <= time.time() + 1
        reaches(runtime, AgentState.RUNNING)
        assert time.time() - begun >= 1.0
        assert [name for _, name in setting.told] == ["a", "a"]

    def test_a_secret_takes_the_place_of_its_name_at_each_start(self, runtime: AgentRuntime, setting: Setting) -> None:
        secrets, spec = Secrets(setting.home.secrets), shell("a", 'printf %s "$KEY" > key; exec sleep 600')
        spec = replace(spec, environment=(("KEY", "secret://k"), ("PLAIN", "x")))
        written = setting.live / "key"
        for value in ("one", "two"):
            secrets.keep("k", value)
            runtime.start(spec, "r1")
            eventually(lambda value=value: written.exists() and written.read_text() == value)  # type: ignore[misc]
            assert runtime.stop("a")
        registered = (setting.home.run / "agents.json").read_text()
        assert "two" not in registered + repr(runtime.statuses())

    def test_an_agent_whose_secret_is_missing_says_so_and_starts_when_it_is_there(
        self, runtime: AgentRuntime, setting: Setting
    ) -> None:
        spec = replace(shell("a", "exec sleep 600"), environment=(("KEY", "secret://k"),))
        runtime.start(spec, "r1")
        found = status(runtime)
        assert found.state is AgentState.BACKOFF
        assert found.message == ("its KEY needs a secret: the secret k is not set; set it: stateguard secret set k")
        Secrets(setting.home.secrets).keep("k", "one")
        reaches(runtime, AgentState.RUNNING)

    def test_the_environment_is_clean_and_the_agents_own(
        self, runtime: AgentRuntime, setting: Setting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_DIR", "/secret")
        program = "import os; print(os.getcwd(), os.environ.get('GIT_DIR'), os.environ['PORT'], flush=True)\n" + SLEEPS
        runtime.start(python("a", program, environment=(("PORT", "9102"),)), "r")
        eventually(lambda: setting.log("a"))
        assert setting.log("a") == f"{setting.live} None 9102\n"

    def test_a_program_below_the_live_directory_is_found(self, runtime: AgentRuntime, setting: Setting) -> None:
        (setting.live / "bin").mkdir()
        (setting.live / "bin" / "run").write_text("#!/bin/sh\necho here; exec sleep 600\n")
        (setting.live / "bin" / "run").chmod(0o755)
        runtime.start(AgentSpec("a", ("bin/run",)), "r")
        eventually(lambda: setting.log("a") == "here\n")

    def test_starting_what_runs_does_nothing(self, runtime: AgentRuntime) -> None:
        spec = python("a", SLEEPS)
        runtime.start(spec, "r1")
        pid = pid_of(runtime)
        runtime.start(spec, "r2")
        assert pid_of(runtime) == pid
        assert status(runtime).running == "r1"

    def test_a_log_is_appended_to(self, runtime: AgentRuntime, setting: Setting) -> None:
        log = setting.home.logs / "agents" / "a.log"
        log.write_text("before\n")
        runtime.start(shell("a", "echo one; echo two >&2; exec sleep 600"), "r")
        eventually(lambda: setting.log("a") == "before\none\ntwo\n")
        runtime.stop("a")
        runtime.start(shell("a", "echo three; exec sleep 600"), "r")
        eventually(lambda: setting.log("a") == "before\none\ntwo\nthree\n")

    def test_a_log_that_cannot_be_opened_is_the_guards_fault(self, runtime: AgentRuntime, setting: Setting) -> None:
        (setting.home.logs / "agents" / "a.log").mkdir()
        with pytest.raises(AgentsError, match="cannot be opened"):
            runtime.start(python("a", SLEEPS), "r")

    def test_a_missing_live_directory_is_the_guards_fault(self, runtime: AgentRuntime, setting: Setting) -> None:
        setting.live.rmdir()
        with pytest.raises(AgentsError, match="live directory"):
            runtime.start(python("a", SLEEPS), "r")


@pytest.mark.parametrize("spare", range(12))
def test_a_host_without_descriptors_is_no_exit_of_the_agent(
    setting: Setting, runtime: AgentRuntime, spare: int
) -> None:
    """Whatever it is that cannot be opened, the agent runs once, by itself, as soon as it can."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1 + spare, before[1]))
    try:
        runtime.start(python("a", SLEEPS, restart=Restart.NEVER), "r")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    found = status(runtime)
    if found.state is AgentState.BACKOFF:
        assert "Too many open files" in found.message
    reaches(runtime, AgentState.RUNNING)
    assert (status(runtime).exits, status(runtime).crashes) == (0, 0)
    marked = [pid for pid, value in with_variable(VARIABLE) if value.startswith(f"{setting.identity}:")]
    assert marked == [pid_of(runtime)]


class TestExits:
    def test_a_crash_is_seen_at_once(self, runtime: AgentRuntime, setting: Setting) -> None:
        runtime.start(python("a", SLEEPS), "r")
        before = len(setting.told)
        pid = pid_of(runtime)
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(setting.told) > before)
        assert setting.told[before][0] - killed_at <= 0.2
        found = status(runtime)
        assert (found.state, found.message, found.exits) == (AgentState.BACKOFF, "killed by signal KILL", 1)
        assert (found.pid, found.running, found.started_at) == (None, None, None)

    def test_it_is_started_again_after_a_second(self, runtime: AgentRuntime) -> None:
        runtime.start(shell("a", "test -e marker || { touch marker; exit 7; }; exec sleep 600"), "r7")
        reaches(runtime, AgentState.BACKOFF)
        assert status(runtime).message == "exited with status 7"
        seen_at = time.monotonic()
        reaches(runtime, AgentState.STARTING)
        assert 0.8 <= time.monotonic() - seen_at <= 2.5
        assert status(runtime).exits == 1
        assert status(runtime).running == "r7"

    def test_starting_by_hand_clears_what_was_counted(self, runtime: AgentRuntime) -> None:
        runtime.start(shell("a", "exit 7"), "r")
        reaches(runtime, AgentState.BACKOFF)
        runtime.start(shell("a", "exec sleep 600"), "r")
        found = status(runtime)
        assert (found.state, found.exits, found.message) == (AgentState.STARTING, 0, "")

    @pytest.mark.slow
    def test_five_exits_in_a_minute_are_fatal(self, runtime: AgentRuntime) -> None:
        runtime.start(shell("a", "exit 7"), "r")
        found = reaches(runtime, AgentState.FATAL, 25)
        assert found.exits == 5
        assert found.message.startswith("exited with status 7")
        runtime.start(shell("a", "exec sleep 600"), "r")
        assert status(runtime).state is AgentState.STARTING

    def test_never_and_on_failure_leave_it_ended(self, runtime: AgentRuntime) -> None:
        runtime.start(shell("never", "exit 7", restart=Restart.NEVER), "r")
        runtime.start(shell("done", "exit 0", restart=Restart.ON_FAILURE), "r")
        runtime.start(shell("failed", "exit 1", restart=Restart.ON_FAILURE), "r")
        assert reaches(runtime, AgentState.EXITED, name="never").message == "exited with status 7"
        assert reaches(runtime, AgentState.EXITED, name="done").message == "exited with status 0"
        reaches(runtime, AgentState.BACKOFF, name="failed")

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            (("python9", "x"), "python9: no such program"),
            (("/etc/passwd",), "/etc/passwd: may not be executed"),
            (("bad\0name",), "bad\0name: embedded null byte"),
        ],
    )
    def test_a_program_that_cannot_run_is_an_exit(
        self, runtime: AgentRuntime, command: tuple[str, ...], message: str
    ) -> None:
        runtime.start(AgentSpec("a", command), "r")
        found = status(runtime)
        assert (found.state, found.message, found.exits) == (AgentState.BACKOFF, message, 1)
        assert runtime.stop("a")

    def test_what_is_left_of_its_group_is_killed(self, runtime: AgentRuntime, setting: Setting) -> None:
        runtime.start(shell("a", "sleep 600 & echo $$; exit 3"), "r")
        reaches(runtime, AgentState.BACKOFF)
        group = int(setting.log("a"))
        eventually(lambda: not group_members(group))

    def test_a_listener_that_fails_does_not_end_supervision(self, runtime: AgentRuntime, setting: Setting) -> None:
        setting.told = None  # type: ignore[assignment] # makes the listener raise
        runtime.start(shell("a", "exit 7"), "r")
        eventually(lambda: status(runtime).exits >= 2)


class TestStop:
    def test_a_stopped_agent_is_gone(self, runtime: AgentRuntime) -> None:
        runtime.start(python("a", SLEEPS), "r")
        pid = pid_of(runtime)
        assert runtime.stop("a")
        assert identify(pid) is None
        found = status(runtime)
        assert (found.state, found.pid, found.running, found.exits) == (AgentState.STOPPED, None, None, 0)
        assert runtime.stop("a"), "twice is fine"
        assert runtime.stop("nobody")
        assert "nobody" not in runtime.statuses()

    def test_the_signal_is_the_one_that_was_asked_for(self, runtime: AgentRuntime, setting: Setting) -> None:
        program = """
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: (os.write(1, b"INT" + bytes([10])), sys.exit(0)))
print("ready", flush=True)
time.sleep(600)
"""
        runtime.start(python("a", program, signal_name="INT"), "r")
        eventually(lambda: setting.log("a"))
        assert runtime.stop("a")
        assert setting.log("a") == "ready\nINT\n"

    def test_one_that_ignores_the_signal_is_killed_with_its_children(
        self, runtime: AgentRuntime, setting: Setting
    ) -> None:
        runtime.start(python("a", IGNORES_TERM, grace_seconds=0.3), "r")
        pid = pid_of(runtime)
        eventually((setting.live / "grandchild").exists)
        grandchild = int((setting.live / "grandchild").read_text())
        assert identify(grandchild)
        begun = time.monotonic()
        assert runtime.stop("a")
        assert 0.3 <= time.monotonic() - begun <= 2.0
        assert identify(pid) is None
        assert identify(grandchild) is None

    def test_children_have_the_grace_period_too(self, runtime: AgentRuntime, setting: Setting) -> None:
        worker = "trap 'sleep 0.3; echo flushed; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        runtime.start(shell("a", f'sh -c "{worker}" & exec sleep 600'), "r")
        eventually(lambda: setting.log("a"))
        assert runtime.stop("a")
        assert setting.log("a").endswith("flushed\n")

    def test_a_pending_restart_is_cancelled(self, runtime: AgentRuntime, setting: Setting) -> None:
        runtime.start(shell("a", "echo run; exit 7"), "r")
        reaches(runtime, AgentState.BACKOFF)
        assert runtime.stop("a")
        assert status(runtime).state is AgentState.STOPPED
        told = len(setting.told)
        runtime.start(shell("clock", "test -e m || { touch m; exit 1; }; exec sleep 600"), "r")
        reaches(runtime, AgentState.RUNNING, name="clock")
        assert status(runtime).state is AgentState.STOPPED
        assert setting.log("a") == "run\n"
        assert "a" not in [name for _, name in setting.told[told:]]

    def test_others_can_be_asked_while_one_is_stopping(self, runtime: AgentRuntime, setting: Setting) -> None:
        runtime.start(python("a", IGNORES_TERM, grace_seconds=1.0), "r")
        eventually((setting.live / "grandchild").exists)
        stopping = threading.Thread(target=runtime.stop, args=("a",))
        stopping.start()
        begun = time.monotonic()
        runtime.start(shell("b", "exec sleep 600"), "r")
        assert runtime.stop("b")
        assert runtime.statuses()["a"].state in ALIVE
        assert time.monotonic() - begun < 0.9
        stopping.join()
        assert runtime.statuses()["a"].state is AgentState.STOPPED

    def test_many_commands_at_once_never_double_an_agent(self, runtime: AgentRuntime, setting: Setting) -> None:
        program = "mkdir one || echo doubled; trap 'rmdir one; exit 0' TERM; while :; do sleep 0.01; done"
        spec = shell("a", program)

        def work() -> None:
            for _ in range(5):
                runtime.start(spec, "r")
                eventually(lambda: (setting.live / "one").exists() or status(runtime).state not in ALIVE)
                runtime.stop("a")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert status(runtime).state is AgentState.STOPPED
        assert not [pid for pid, value in with_variable(VARIABLE) if value.startswith(setting.identity)]


class _Drain(http.server.BaseHTTPRequestHandler):
    asked: list[str]
    code = 200

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def drain() -> Iterator[type[_Drain]]:
    handler = type("Handler", (_Drain,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{server.server_address[1]}/drain"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


class TestDrain:
    @pytest.mark.parametrize("code", [200, 503])
    def test_it_is_asked_to_drain_first(self, runtime: AgentRuntime, drain: type[_Drain], code: int) -> None:
        drain.code = code
        runtime.start(python("a", SLEEPS, drain_url=drain.url), "r")  # type: ignore[attr-defined]
        assert runtime.stop("a")
        assert drain.asked == ["/drain"]

    @pytest.mark.parametrize("url", ["http://127.0.0.1:1/drain", "http://169.254.169.254/drain"])
    def test_one_that_cannot_be_drained_is_stopped_all_the_same(self, runtime: AgentRuntime, url: str) -> None:
        """The second is out of reach: nothing waits for it."""
        runtime.start(python("a", SLEEPS, drain_url=url), "r")
        begun = time.monotonic()
        assert runtime.stop("a")
        assert time.monotonic() - begun < 3.0


class TestFollowers:
    """One guard after the other, as far as that can be shown within one process."""

    def test_agents_stay_running_after_close_and_are_taken_over(self, make: Callable[[], AgentRuntime]) -> None:
        spec, first = python("a", SLEEPS), make()
        first.start(spec, "r1")
        before = status(first)
        first.close()
        assert before.pid
        assert identify(before.pid)
        second = make()
        second.adopt({"a": spec, "b": python("b", SLEEPS)})
        found = status(second)
        assert (found.state, found.pid, found.running) == (AgentState.RUNNING, before.pid, "r1")
        assert found.started_at == before.started_at
        assert status(second, "b").state is AgentState.STOPPED
        second.start(spec, "r2")
        assert pid_of(second) == before.pid, "not doubled"
        second.adopt({"a": spec})
        assert pid_of(second) == before.pid, "adopting twice changes nothing"
        assert second.stop("a")
        assert identify(before.pid) is None

    def test_one_that_was_taken_over_is_supervised(self, make: Callable[[], AgentRuntime]) -> None:
        spec, first = python("a", SLEEPS), make()
        first.start(spec, "r1")
        first.close()
        second = make()
        second.adopt({"a": spec})
        os.kill(pid_of(second), signal.SIGKILL)
        reaches(second, AgentState.BACKOFF, 0.2)
        assert reaches(second, AgentState.STARTING).running == "r1"

    def test_other_specifications_and_unknown_names_are_ended(self, make: Callable[[], AgentRuntime]) -> None:
        first = make()
        first.start(python("a", SLEEPS), "r1")
        first.start(python("b", SLEEPS), "r1")
        pids = [pid_of(first, "a"), pid_of(first, "b")]
        first.close()
        second = make()
        second.adopt({"a": python("a", SLEEPS, environment=(("NEW", "1"),))})
        assert not any(identify(pid) for pid in pids)
        assert {name: s.state for name, s in second.statuses().items()} == {"a": AgentState.STOPPED}

    def test_a_label_is_reported_and_outlives_the_guard(self, make: Callable[[], AgentRuntime]) -> None:
        spec, first = python("a", SLEEPS), make()
        first.start(spec, "r1")
        first.label(["a", "unknown"], "r2")
        assert status(first).running == "r2"
        first.close()
        second = make()
        second.adopt({"a": spec})
        assert status(second).running == "r2"

    def test_a_closed_runtime_does_nothing_more(self, make: Callable[[], AgentRuntime]) -> None:
        runtime = make()
        runtime.close()
        runtime.close()
        for act in (lambda: runtime.start(python("a", SLEEPS), "r"), lambda: runtime.adopt({})):
            with pytest.raises(AgentsError, match="closed"):
                act()
        with pytest.raises(AgentsError, match="closed"):
            runtime.stop("a")
