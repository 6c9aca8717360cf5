import re

import pytest
from hypothesis import given, strategies as st

from stateguard.config.host import host_document, load_host
from stateguard.config.problem import InvalidDocument
from stateguard.config.recipes import RECIPES
from stateguard.config.runtime import read_runtime, runtime_option, runtime_text
from stateguard.model.health import AgentState
from stateguard.model.policy import SHIPPED_ARMING, HostSettings
from stateguard.model.runtime import Commands, Embedded, RuntimeSettings, Supervisor

THREE = "start: [s, '{unit}'], stop: [t, '{unit}'], status: [u, '{name}']"


def read(runtime: str) -> RuntimeSettings:
    return load_host(f"live: live\nruntime: {runtime}\n".encode()).runtime


def commands(body: str) -> Commands:
    found = read(f"{{command: {{{body}}}}}")
    assert isinstance(found, Commands)
    return found


def test_the_guard_runs_agents_itself_unless_told_otherwise() -> None:
    assert load_host(b"live: live\n").runtime == read("embedded") == Embedded()
    assert load_host(b"live: live\n").needs_commands
    assert not load_host(b"runtime: {supervisor: {socket: /s}}\n").needs_commands


def test_a_supervisor_is_read() -> None:
    text = "{supervisor: {url: 'http://127.0.0.1:9001', username: u, password_file: /p, programs: {a: 'g:b'}}}"
    assert read(text) == Supervisor("", "http://127.0.0.1:9001", "u", "/p", {"a": "g:b"})
    assert read("{supervisor: {socket: /run/s.sock}}") == Supervisor("/run/s.sock")


def test_commands_are_read() -> None:
    found = commands(
        THREE + ", logs: [l, '{lines}'], reload: [r, '{signal}'], states: {unknown: no, running: up, stopped: down}, "
        "pid: 'pid ([0-9]+)', unit: 'x-{name}', units: {a: b}, environment: {K: v}, deadline: 2m, poll: 1s"
    )
    assert (found.start, found.stop, found.status) == (("s", "{unit}"), ("t", "{unit}"), ("u", "{name}"))
    assert (found.logs, found.reload) == (("l", "{lines}"), ("r", "{signal}"))
    assert found.states == ((None, "no"), (AgentState.RUNNING, "up"), (AgentState.STOPPED, "down"))
    assert (found.pid, found.unit, found.units) == ("pid ([0-9]+)", "x-{name}", {"a": "b"})
    assert (found.environment, found.deadline_seconds, found.poll_seconds) == ({"K": "v"}, 120.0, 1.0)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_takes_options_and_gives_way_to_what_is_given(name: str) -> None:
    found = commands(f"recipe: {name}, options: [--one, two], unit: 'my-{{name}}', stop: [own, '{{unit}}']")
    assert "{options}" not in (*found.start, *found.status, *found.logs)
    assert "--one two" in " ".join(found.start)
    assert found.stop == ("own", "{unit}")
    assert found.unit == "my-{name}"
    assert found.passed == RECIPES[name].passed
    assert all(re.compile(pattern) for _, pattern in found.states)
    assert commands(f"recipe: {name}").states == RECIPES[name].states


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "must be embedded, or a mapping with supervisor or command"),
        ("[a]", "must be embedded, or a mapping with supervisor or command"),
        ("{}", "name supervisor or command, one of the two"),
        ("{supervisor: {socket: /s}, command: {recipe: podman}}", "name supervisor or command, one of the two"),
        ("{supervisor: {}}", "give the socket or the url of supervisord, one of the two"),
        ("{supervisor: {socket: /s, url: 'http://127.0.0.1:1'}}", "one of the two"),
        ("{supervisor: {socket: run/s}}", "must be an absolute path"),
        ("{supervisor: {url: 'http://example.org:9001'}}", "must be an http:// URL on this host"),
        ("{supervisor: {url: 'https://127.0.0.1:9001'}}", "must be an http:// URL on this host"),
        ("{supervisor: {socket: /s, username: u}}", "username and password_file belong together"),
        ("{supervisor: {socket: /s, programs: {A: b}}}", '"A" is no name'),
        ("{supervisor: {sokcet: /s}}", "did you mean socket?"),
        ("{command: {}}", "start is missing; name a recipe, or give start, stop and status"),
        ("{command: {start: [a, '{unit}'], stop: [a, '{unit}']}}", "status is missing"),
        ("{command: {recipe: launchd}}", "recipe must be systemctl"),
        ("{command: {" + THREE.replace("[s, '{unit}']", "[s]") + "}}", "start names no agent"),
        ("{command: {" + THREE + ", logs: [l, '{line}']}}", "{line} stands for nothing"),
        ("{command: {" + THREE + ", pid: 'x('}}", "is no regular expression"),
        ("{command: {" + THREE + ", pid: 'x'}}", "pid has no group"),
        ("{command: {" + THREE + ", deadline: 0}}", "must be more than 0"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read(text)
    assert message in caught.value.problems[0].message
    assert caught.value.problems[0].line == 2


def test_a_word_of_init_becomes_what_guard_yaml_says() -> None:
    for word, settings in {
        "embedded": Embedded(),
        "supervisor:/run/s.sock": Supervisor("/run/s.sock"),
        "supervisor:unix:///run/s.sock": Supervisor("/run/s.sock"),
        "supervisor:http://127.0.0.1:9001": Supervisor(url="http://127.0.0.1:9001"),
        "command:podman": commands("recipe: podman"),
    }.items():
        text = host_document(HostSettings("live", SHIPPED_ARMING), runtime_option(word))
        assert load_host(text.encode()).runtime == settings


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", "is no runtime"),
        ("docker", "is no runtime"),
        ("supervisor:", "is no runtime"),
        ("supervisor:run/s.sock", "must be an absolute path"),
        ("supervisor:http://example.org", "on this host"),
        ("command:launchd", "there is no recipe 'launchd'; there are docker, docker-compose, podman"),
    ],
)
def test_a_word_that_is_no_runtime(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        runtime_option(word)


def test_a_file_may_say_more_than_a_word() -> None:
    data = b"supervisor:\n  socket: /run/s.sock\n  programs: {a: 'g:a'}\n"
    text = host_document(HostSettings("live", SHIPPED_ARMING), read_runtime(data, "runtime.yaml"))
    assert load_host(text.encode()).runtime == Supervisor("/run/s.sock", programs={"a": "g:a"})
    with pytest.raises(InvalidDocument, match=r"runtime\.yaml:2"):
        read_runtime(b"supervisor:\n  sock: /x\n", "runtime.yaml")


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, TEXTS, max_size=3), st.lists(TEXTS, max_size=3))
def test_whatever_is_written_is_read_back(programs: dict[str, str], more: list[str]) -> None:
    value = {"supervisor": {"socket": "/" + "".join(more), "programs": programs}}
    found = load_host(f"live: live\n{runtime_text(value)}\n".encode()).runtime
    assert found == Supervisor(socket="/" + "".join(more), programs=programs)
