"""Service managers that are asked by commands: what each recipe's tool makes of its arguments, and what it says."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.contract.places import gone
from agents.setting import Setting
from helpers import eventually
from stateguard.agents.command import CommandManager
from stateguard.agents.managed import ManagedRuntime
from stateguard.agents.manager import Program
from stateguard.config.host import load_host
from stateguard.config.recipes import RECIPES
from stateguard.config.runtime import runtime_text
from stateguard.errors import AgentsError
from stateguard.host.command import run
from stateguard.model.agent import AgentSpec
from stateguard.model.health import AgentState
from stateguard.model.runtime import Commands


def commands(**given: object) -> Commands:
    found = load_host(f"live: x\n{runtime_text({'command': given})}\n".encode()).runtime
    assert isinstance(found, Commands)
    return found


def shell(script: str) -> list[str]:
    return ["sh", "-c", script, "{unit}"]


def manager(live: Path, **given: object) -> CommandManager:
    base = {"start": shell("exit 0"), "stop": shell("exit 0"), "status": shell("exit 0"), "poll": 0.2, "deadline": 5}
    return CommandManager(commands(**{**base, **given}), live)


def said(live: Path, recipe: str, output: str, status: int = 0) -> Program | None:
    """Return what a recipe makes of an answer of its tool."""
    (live / "said").write_text(output)
    (live / "status").write_text(str(status))
    asked = commands(recipe=recipe, status=shell("cat said; exit $(cat status)"))
    return CommandManager(asked, live).look(["a"]).get("a")


SYSTEMD = "LoadState={0}\nActiveState={1}\nSubState={2}\nMainPID={3}\nResult=success\nExecMainStatus=0\n"


@pytest.mark.parametrize(
    ("recipe", "output", "state", "pid"),
    [
        ("systemctl", SYSTEMD.format("loaded", "active", "running", 812), AgentState.RUNNING, 812),
        ("systemctl", SYSTEMD.format("loaded", "reloading", "reload", 812), AgentState.RUNNING, 812),
        ("systemctl", SYSTEMD.format("loaded", "deactivating", "stop-sigterm", 812), AgentState.RUNNING, 812),
        ("systemctl", SYSTEMD.format("loaded", "activating", "start-pre", 0), AgentState.STARTING, None),
        ("systemctl", SYSTEMD.format("loaded", "activating", "auto-restart", 0), AgentState.BACKOFF, None),
        ("systemctl", SYSTEMD.format("loaded", "failed", "failed", 0), AgentState.FATAL, None),
        ("systemctl-user", SYSTEMD.format("loaded", "inactive", "dead", 0), AgentState.STOPPED, None),
        ("podman", "running 4711\n", AgentState.RUNNING, 4711),
        ("podman", "exited 0\n", AgentState.EXITED, None),
        ("docker", "restarting 0\n", AgentState.BACKOFF, None),
        ("docker", "created 0\n", AgentState.STOPPED, None),
        ("docker-compose", '{"Name":"x-a-1","State":"running","ExitCode":0}\n', AgentState.RUNNING, None),
        ("docker-compose", '[{"Name": "x-a-1", "State": "exited", "ExitCode": 3}]\n', AgentState.EXITED, None),
        ("docker-compose", "", AgentState.STOPPED, None),
        ("docker-compose", "[]\n", AgentState.STOPPED, None),
    ],
)
def test_what_a_tool_says_is_understood(
    tmp_path: Path, recipe: str, output: str, state: AgentState, pid: int | None
) -> None:
    found = said(tmp_path, recipe, output)
    assert found is not None
    assert (found.state, found.pid) == (state, pid)


@pytest.mark.parametrize(
    ("recipe", "output", "status"),
    [
        ("systemctl", SYSTEMD.format("not-found", "inactive", "dead", 0), 0),
        ("systemctl", SYSTEMD.format("masked", "inactive", "dead", 0), 0),
        ("podman", "Error: no such container a\n", 125),
        ("docker", "Error: No such container: a\n", 1),
        ("docker-compose", "no such service: a\n", 1),
    ],
)
def test_a_program_that_a_tool_does_not_know(tmp_path: Path, recipe: str, output: str, status: int) -> None:
    assert said(tmp_path, recipe, output, status) is None


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_an_answer_that_is_not_understood_is_no_state(tmp_path: Path, recipe: str) -> None:
    with pytest.raises(AgentsError, match=r"what is not understood: Cannot connect \(exit status 1\)") as caught:
        said(tmp_path, recipe, "Cannot connect\n", 1)
    assert caught.value.exit == 13


UNPARSED = ("unrecognized option", "unknown flag", "unknown shorthand", "invalid option", "requires an argument",
            "unknown command", "too many arguments", "ambiguous", "unknown output")  # fmt: skip


@pytest.mark.parametrize("verb", ["start", "stop", "status", "logs", "reload"])
@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_tool_takes_the_arguments_of_its_recipe(recipe: str, verb: str, tmp_path: Path) -> None:
    """The real tool, with no service manager to reach and a unit that does not exist, must understand the words."""
    template = getattr(commands(recipe=recipe), verb)
    if shutil.which(template[0]) is None:
        pytest.skip(f"{template[0]} is not installed")
    if template[:2] == ("docker", "compose") and run(("docker", "compose", "version")).status != 0:
        pytest.skip("the compose plugin is not installed")
    values = {"{unit}": "stateguard-no-such-unit", "{lines}": "5", "{signal}": "HUP"}
    argv = [values.get(a, a) for a in template]
    argv = [a.replace("{unit}", values["{unit}"]).replace("{lines}", "5").replace("{signal}", "HUP") for a in argv]
    done = run(argv, cwd=tmp_path, deadline_seconds=20)
    complaint = (done.output + done.errors).decode(errors="replace")
    assert not [word for word in UNPARSED if word in complaint.lower()], complaint


@pytest.mark.parametrize(
    ("status", "state"),
    [(0, AgentState.RUNNING), (1, AgentState.EXITED), (2, AgentState.EXITED), (3, AgentState.EXITED)],
)
def test_without_patterns_the_exit_status_decides(tmp_path: Path, status: int, state: AgentState) -> None:
    asked = manager(tmp_path, status=shell(f"echo pid 17; exit {status}"), pid="pid ([0-9]+)")
    assert asked.look(["a"])["a"].state is state
    assert asked.look(["a"])["a"].pid == (17 if status == 0 else None)
    assert asked.look([]) == {}


def test_an_exit_status_of_4_is_an_unknown_program(tmp_path: Path) -> None:
    asked = manager(tmp_path, status=shell("exit 4"), unit="unit-{name}", units={"b": "other"})
    assert asked.look(["a"]) == {}
    assert asked.unknown("a") == "the service manager knows no unit-a"
    assert asked.unknown("b") == "the service manager knows no other"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (shell("echo why >&2; exit 9"), r"not understood: why \(exit status 9\)"),
        (["no-such-program", "{unit}"], "no-such-program cannot be run: No such file"),
        (shell("sleep 60"), r"did not say within 0\.3 s how a is"),
    ],
)
def test_a_status_command_that_does_not_work(tmp_path: Path, script: list[str], message: str) -> None:
    with pytest.raises(AgentsError, match=message):
        manager(tmp_path, status=script, deadline=0.3).look(["a"])


def test_complaints_are_told(tmp_path: Path) -> None:
    asked = manager(tmp_path, start=shell("echo no room >&2; exit 5"), logs=["sh", "-c", "exit 2"])
    assert asked.begin("a") == "exit status 5: no room"
    assert asked.end("a") == 0.0
    assert manager(tmp_path, start=shell("sleep 60"), deadline=0.3).begin("a") == "it took longer than 0.3 s"
    with pytest.raises(AgentsError, match="the log of a cannot be read: exit status 2"):
        asked.tail("a", 5)
    with pytest.raises(AgentsError, match="no command reads the agents' logs"):
        manager(tmp_path).tail("a", 5)
    assert not asked.signal("a", "HUP"), "there is no reload command"
    with pytest.raises(AgentsError, match="could not be told to reload: exit status 1"):
        manager(tmp_path, reload=shell("exit 1")).signal("a", "HUP")


def test_commands_run_in_the_live_directory_with_what_was_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///d.sock")
    monkeypatch.setenv("GIT_DIR", "/secret")
    words = commands(
        recipe="docker", logs=["sh", "-c", 'pwd; echo "$DOCKER_HOST|$GIT_DIR|$MINE|$0|$1"', "{name}", "{lines}"],
        environment={"MINE": "1"},
    )  # fmt: skip
    assert CommandManager(words, tmp_path).tail("{lines}", 7) == [str(tmp_path), "unix:///d.sock||1|{lines}|7"]


@pytest.fixture
def flaky(setting: Setting) -> Iterator[ManagedRuntime]:
    """Ask a manager whose status command works only while a file is there."""
    script = "test -e works || { echo gone away >&2; exit 7; }; test -e up || exit 3"
    made = ManagedRuntime(
        manager(setting.live, status=shell(script), start=shell("touch up"), stop=shell("rm -f up")),
        setting.home,
        setting.changed,
    )
    (setting.live / "works").touch()
    yield made
    with contextlib.suppress(AgentsError):  # it may have been left in the state of not answering
        made.stop("a")
    made.close()


def test_without_process_ids_states_are_asked_for(flaky: ManagedRuntime, setting: Setting) -> None:
    flaky.start(AgentSpec("a", ()), "r1")
    assert eventually(lambda: flaky.statuses()["a"].state is AgentState.RUNNING)
    assert (flaky.statuses()["a"].pid, flaky.statuses()["a"].running) == (None, "r1")
    (setting.live / "up").unlink()
    assert eventually(lambda: flaky.statuses()["a"].state is AgentState.EXITED)
    assert flaky.statuses()["a"].exits == 1
    (setting.live / "up").touch()
    assert eventually(lambda: flaky.statuses()["a"].state is AgentState.RUNNING)
    assert flaky.stop("a")
    assert flaky.statuses()["a"].state is AgentState.STOPPED


def test_a_manager_that_does_not_answer_leaves_the_state_unknown(flaky: ManagedRuntime, setting: Setting) -> None:
    flaky.start(AgentSpec("a", ()), "r1")
    (setting.live / "works").unlink()
    eventually(lambda: flaky.statuses()["a"].state is AgentState.UNKNOWN)
    assert "gone away" in flaky.statuses()["a"].message
    with pytest.raises(AgentsError, match="gone away"):
        flaky.stop("a")
    (setting.live / "works").touch()
    eventually(lambda: flaky.statuses()["a"].state in (AgentState.RUNNING, AgentState.STARTING))


def test_what_a_start_command_leaves_running_is_not_ended_with_it(tmp_path: Path) -> None:
    """Nor is it waited for, though it holds the command's output."""
    start = shell("sleep 600 & echo $! >pid")
    assert manager(tmp_path, start=start).begin("a") == ""
    pid = int((tmp_path / "pid").read_text())
    assert not gone(pid)
    run(("kill", str(pid)))
    eventually(lambda: gone(pid))
