"""What only a supervisord can do to a guard: die, come back with everything twice, be slow, or not let us in."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.contract.places import SupervisorProcess, gone, spec
from agents.setting import Setting
from helpers import eventually
from stateguard.agents.managed import ManagedRuntime
from stateguard.agents.supervisor import SupervisorManager
from stateguard.errors import AgentsError
from stateguard.host.process import identify
from stateguard.model.health import ALIVE, AgentState
from stateguard.model.runtime import Supervisor

STEADY = "steady"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def supervisor(setting: Setting, tmp_path: Path) -> Iterator[SupervisorProcess]:
    made = SupervisorProcess(tmp_path / "sv", setting.live, free_port()).start()
    yield made
    made.stop()


@pytest.fixture
def runtime(supervisor: SupervisorProcess, setting: Setting) -> Iterator[ManagedRuntime]:
    manager = SupervisorManager(Supervisor(str(supervisor.socket), programs={"renamed": "inside:grouped"}))
    made = ManagedRuntime(manager, setting.home, setting.changed)
    yield made
    made.close()


def test_one_that_is_killed_leaves_agents_that_are_doubled_when_it_is_back(
    supervisor: SupervisorProcess, runtime: ManagedRuntime
) -> None:
    runtime.start(spec(STEADY), "r1")
    before = runtime.statuses()[STEADY].pid
    assert before
    supervisor.kill()
    found = eventually(lambda: s if (s := runtime.statuses()[STEADY]).state is AgentState.UNKNOWN else None, seconds=15)
    assert (found.pid, found.running) == (before, "r1")
    assert "cannot be reached" in found.message
    assert f"process {before} still runs" in found.message
    for act in (lambda: runtime.start(spec(STEADY), "r"), lambda: bool(runtime.stop(STEADY))):
        with pytest.raises(AgentsError, match="cannot be reached") as caught:
            act()
        assert caught.value.exit == 13
    with pytest.raises(AgentsError, match="cannot be reached"):
        runtime.tail(STEADY, 1)
    supervisor.start()
    after = supervisor.begin(STEADY)
    doubled = eventually(lambda: s if (s := runtime.statuses()[STEADY]).strays else None, seconds=15)
    assert (doubled.pid, doubled.strays) == (after, (before,))
    assert runtime.stop(STEADY)
    assert gone(before)
    assert gone(after)
    assert runtime.statuses()[STEADY].strays == ()


def test_survivors_are_found_by_a_guard_that_never_saw_them(supervisor: SupervisorProcess, setting: Setting) -> None:
    before = supervisor.begin(STEADY)
    supervisor.kill()
    supervisor.start()
    runtime = ManagedRuntime(SupervisorManager(Supervisor(str(supervisor.socket))), setting.home, setting.changed)
    with contextlib.closing(runtime):
        runtime.adopt({STEADY: spec(STEADY)})
        found = runtime.statuses()[STEADY]
        assert (found.state, found.strays) == (AgentState.STOPPED, (before,))
        assert runtime.stop(STEADY)
        assert gone(before)


def test_a_restart_that_is_too_quick_to_notice_is_noticed_by_its_processes(
    supervisor: SupervisorProcess, runtime: ManagedRuntime
) -> None:
    runtime.adopt({STEADY: spec(STEADY)})
    runtime.start(spec(STEADY), "r1")
    before = runtime.statuses()[STEADY].pid
    assert before
    supervisor.ctl("restart", STEADY)
    found = eventually(lambda: s if (s := runtime.statuses()[STEADY]).pid not in (None, before) else None, seconds=15)
    assert found.running == "r1"
    assert found.strays == ()
    assert identify(found.pid or 0)


def test_an_agent_whose_process_ends_while_nobody_answers(
    supervisor: SupervisorProcess, runtime: ManagedRuntime
) -> None:
    runtime.start(spec(STEADY), "r1")
    pid = runtime.statuses()[STEADY].pid
    assert pid
    supervisor.kill()
    eventually(lambda: runtime.statuses()[STEADY].state is AgentState.UNKNOWN, 15)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: "still runs" not in runtime.statuses()[STEADY].message, 15)
    found = runtime.statuses()[STEADY]
    assert (found.state, found.pid, found.running) == (AgentState.UNKNOWN, None, None)


def test_a_program_may_be_called_otherwise_and_stand_in_a_group(runtime: ManagedRuntime) -> None:
    runtime.adopt({"renamed": spec("renamed"), "grouped": spec("grouped"), "nobody": spec("nobody")})
    runtime.start(spec("renamed"), "r")
    assert runtime.statuses()["renamed"].state in ALIVE
    runtime.start(spec("grouped"), "r")
    assert runtime.statuses()["grouped"].pid == runtime.statuses()["renamed"].pid, "the only one of that name"
    assert runtime.statuses()["nobody"].state is AgentState.FATAL
    assert runtime.statuses()["nobody"].message == (
        "supervisord knows no program nobody; it knows crasher, inside:grouped, reloader, steady, stubborn and "
        "with-two-dashes"
    )
    assert runtime.stop("renamed")


def test_a_password_opens_the_loopback_address(supervisor: SupervisorProcess, setting: Setting, tmp_path: Path) -> None:
    port = supervisor.config.read_text().split("127.0.0.1:")[1].split()[0]
    password = tmp_path / "password"
    password.write_text("secret\n")
    settings = Supervisor(url=f"http://127.0.0.1:{port}", username="guard", password_file=str(password))
    assert set(SupervisorManager(settings).look([STEADY])) == {STEADY}
    password.write_text("wrong\n")
    with pytest.raises(AgentsError, match="does not accept the username and password"):
        SupervisorManager(settings).look([STEADY])
    password.unlink()
    with pytest.raises(AgentsError, match="password of supervisord cannot be read"):
        SupervisorManager(settings).look([STEADY])
    with pytest.raises(AgentsError, match="does not accept"):
        SupervisorManager(Supervisor(url=settings.url)).look([STEADY])


def test_a_log_with_colours_is_read_all_the_same(supervisor: SupervisorProcess, runtime: ManagedRuntime) -> None:
    """Control characters are no XML, so supervisord's own answer cannot be read."""
    runtime.adopt({STEADY: spec(STEADY)})
    assert runtime.tail(STEADY, 5) == []
    (supervisor.root / f"{STEADY}.log").write_text("one\n\x1b[31mtwo\x1b[0m\n")
    assert runtime.tail(STEADY, 1) == ["\x1b[31mtwo\x1b[0m"]
    with pytest.raises(AgentsError, match="knows no program nobody"):
        runtime.tail("nobody", 1)


Answering = Callable[[socket.socket], None]


@pytest.fixture
def pretender(tmp_path: Path) -> Iterator[Callable[[Answering], str]]:
    """Serve a unix socket on which something else than supervisord answers."""
    made: list[socket.socket] = []

    def serve(answer: Answering) -> str:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(tmp_path / "p.sock"))
        listening.listen()
        made.append(listening)

        def work() -> None:
            with contextlib.suppress(OSError):  # the listening socket is closed when the test is over
                while True:
                    connection, _ = listening.accept()
                    made.append(connection)
                    answer(connection)

        threading.Thread(target=work, daemon=True).start()
        return str(tmp_path / "p.sock")

    yield serve
    for opened in made:
        with contextlib.suppress(OSError):  # not connected
            opened.shutdown(socket.SHUT_RDWR)
        opened.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "did not answer in time"),
        (b"hello there\r\n", "cannot be reached"),
        (b"HTTP/1.0 404 NOT FOUND\r\n\r\n", "answered 404"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "what is no XML-RPC"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 50\r\n\r\nhello", "cannot be reached"),
    ],
)
def test_something_else_at_its_address(
    pretender: Callable[[Answering], str], setting: Setting, answer: bytes, message: str
) -> None:
    def say(connection: socket.socket) -> None:
        if answer:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)

    manager = SupervisorManager(Supervisor(pretender(say)), timeout_seconds=0.3)
    runtime = ManagedRuntime(manager, setting.home, setting.changed)
    with contextlib.closing(runtime):
        runtime.adopt({STEADY: spec(STEADY)})
        found = runtime.statuses()[STEADY]
        assert found.state is AgentState.UNKNOWN
        assert message in found.message
        with pytest.raises(AgentsError, match=message):
            runtime.start(spec(STEADY), "r")
