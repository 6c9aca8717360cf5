import pytest
from hypothesis import given, strategies as st

from admission.oracle import Listed
from admission.trees import FILES, tree
from stateguard.admission.admit import judge
from stateguard.admission.documents import positions
from stateguard.admission.references import reference_problems
from stateguard.config.defaults import default_policy
from stateguard.config.problem import Problem
from stateguard.config.system import load_system
from stateguard.model.agent import AgentSpec
from stateguard.model.policy import Policy, System


def found(more: dict[str, bytes], without: tuple[str, ...] = ()) -> list[Problem]:
    files = {path: data for path, data in {**FILES, **more}.items() if path not in without}
    return reference_problems(load_system(files), Listed(files), positions(files))


def agent(name: str, rest: str = "") -> dict[str, bytes]:
    return {f"agents/{name}/agent.yaml": f"name: {name}\ncommand: [run]\n{rest}".encode()}


def only(problems: list[Problem]) -> tuple[str, int, str]:
    (problem,) = problems
    return problem.path, problem.line, problem.code


def test_what_exists_is_no_problem() -> None:
    assert found({}) == []


def test_every_agent_needs_a_command_where_the_guard_runs_them() -> None:
    files = {**FILES, "agents/b/agent.yaml": b"name: b\n"}
    (problem,) = judge(tree(files), None, default_policy()).problems
    assert (problem.path, problem.line, problem.code) == ("agents/b/agent.yaml", 1, "missing-key")
    assert "validate --runtime" in problem.message
    assert judge(tree(files), None, default_policy(), commands=False).admitted


class Told:
    """Knows one secret, and opens files that say so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes | None]] = []

    def trouble(self, name: str, content: bytes | None) -> str:
        self.asked.append((name, content))
        return "" if name == "there" or content == OPENS else "which is not set here"

    def unopened(self, name: str, content: bytes) -> str:
        return "" if content == OPENS else f"which cannot be opened as {name}"


OPENS, DOES_NOT = (b"age-encryption.org/v1\n-> " + rest for rest in (b"mine", b"theirs"))


def test_secrets_are_those_that_an_agent_would_get() -> None:
    files = FILES | agent("b", "environment:\n  A: secret://there\n  B: secret://gone\n  C: plain\n")
    told = Told()
    (problem,) = judge(tree(files), None, default_policy(), secrets=told).problems
    assert (problem.path, problem.line, problem.code) == ("agents/b/agent.yaml", 5, "missing-secret")
    assert problem.message == "B names the secret gone, which is not set here"
    assert sorted(told.asked) == [("gone", None), ("there", None)]
    assert judge(tree(files), None, default_policy()).admitted
    assert judge(tree(files | {"secrets/gone.age": OPENS}), None, default_policy(), secrets=told).admitted


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("notes/a.age", b"plain\n", "this is not encrypted with age; encrypt it, or call it otherwise"),
        ("secrets/gone.age", b"plain\n", "this is not encrypted with age; encrypt it, or call it otherwise"),
        ("secrets/gone.age", DOES_NOT, "this holds the secret gone, which cannot be opened as gone"),
        ("notes/a.age", DOES_NOT, ""),
        ("secrets/not a name.age", DOES_NOT, ""),
        ("secrets/below/gone.age", DOES_NOT, ""),
        ("secrets/gone.age.txt", b"plain\n", ""),
        ("notes/a.age", b"-----BEGIN AGE ENCRYPTED FILE-----\nYQ==\n", ""),
    ],
)
def test_what_is_called_encrypted_is(path: str, content: bytes, message: str) -> None:
    problems = judge(tree(FILES | {path: content}), None, default_policy(), secrets=Told()).problems
    assert [(p.path, p.code, p.message) for p in problems] == ([(path, "age", message)] if message else [])


def test_dependencies_exist() -> None:
    problems = found(agent("b", "depends_on: [aa]\n"))
    assert only(problems) == ("agents/b/agent.yaml", 3, "unknown-agent")
    assert problems[0].message == 'depends_on names "aa", which is no agent; did you mean a?'
    assert "add the agent" in found(agent("b", "depends_on: [zzz]\n"))[0].message


def test_dependencies_do_not_go_in_a_circle() -> None:
    more = agent("b", "depends_on: [c]\n") | agent("c", "depends_on: [d]\n") | agent("d", "depends_on: [b]\n")
    problems = found(more)
    assert only(problems) == ("agents/b/agent.yaml", 3, "cycle")
    assert "b -> c -> d -> b" in problems[0].message


def test_an_agent_does_not_depend_on_itself() -> None:
    assert only(found(agent("b", "depends_on: [b]\n")))[2] == "cycle"


def test_prompts_and_cards_exist() -> None:
    assert only(found({}, without=("agents/a/prompt.md",))) == ("agents/a/agent.yaml", 3, "missing-file")
    assert only(found(agent("b", "card: card.json\n"))) == ("agents/b/agent.yaml", 3, "missing-file")


def test_the_files_of_commands_exist() -> None:
    problems = found({}, without=("bin/a.py",))
    assert only(problems) == ("agents/a/agent.yaml", 2, "missing-file")
    assert problems[0].column == 16


@pytest.mark.parametrize(
    ("argument", "fine"),
    [
        ("bin/a.py", True),
        ("./bin/a.py", True),
        ("bin/", True),
        ("agents/a", True),
        ("agents/a/none.md", False),
        ("config/none.yaml", False),
        ("./config/none.yaml", False),
        ("/usr/bin/env", True),
        ("run/new.pid", True),
        ("conversations/new.jsonl", True),
        ("--file=bin/none", True),
        ("bin/../bin/a.py", True),
    ],
)
def test_arguments_that_look_like_paths(argument: str, fine: bool) -> None:
    probe = f"probes: [{{name: x, command: [sh, {argument}]}}]\n"
    assert (found(agent("b", probe)) == []) is fine
    channel = {"protocols/d.yaml": f"{{name: d, from: a, to: a, probe: {{command: [{argument}]}}}}".encode()}
    assert (found(channel) == []) is fine


def test_probes_of_an_agent_have_names_of_their_own() -> None:
    text = "probes:\n- {name: x, tcp: {port: 1}}\n- {name: x, tcp: {port: 2}}\n"
    assert only(found(agent("b", text))) == ("agents/b/agent.yaml", 5, "duplicate-name")


def test_probes_of_the_state_have_names_of_their_own() -> None:
    head = b"apiVersion: stateguard/v1\nprobes:\n- {name: channel-d, tcp: {port: 1}}\n"
    channel = {"protocols/d.yaml": b"{name: d, from: a, to: user, probe: {tcp: {port: 1}}}"}
    assert only(found({"stateguard.yaml": head} | channel)) == ("stateguard.yaml", 3, "duplicate-name")
    twice = {"stateguard.yaml": head + b"- {name: channel-d, tcp: {port: 1}}\n"}
    assert only(found(twice)) == ("stateguard.yaml", 4, "duplicate-name")


def test_a_directory_of_an_agent_has_its_specification() -> None:
    problems = found({"agents/b/prompt.md": b"", "agents/README.md": b""})
    assert only(problems) == ("agents/b/agent.yaml", 0, "missing-file")


@pytest.mark.parametrize("path", ["stateguard.yml", "protocols/x.yml", "agents/a/agent.yml"])
def test_a_file_that_would_not_be_read_is_told(path: str) -> None:
    assert only(found({path: b""})) == (path, 0, "file-name")


def test_there_is_one_parent() -> None:
    problems = found(agent("p", "role: parent\n") | agent("q", "role: parent\n"))
    assert only(problems) == ("agents/q/agent.yaml", 3, "second-parent")


def ready(name: str, url: str, more: str = "") -> dict[str, bytes]:
    return agent(name, f"probes:\n- name: ready\n  http: {{url: '{url}'}}\n{more}")


def test_two_agents_do_not_share_a_port() -> None:
    problems = found(ready("b", "http://127.0.0.1:9101/x") | ready("c", "http://localhost:9101/y"))
    assert only(problems) == ("agents/c/agent.yaml", 5, "port")
    assert "port 9101 is already the agent b's" in problems[0].message


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("http://localhost:9102/", ""),
        ("http://example.org:9101/", ""),
        ("http://127.0.0.1:9101/", "  scope: external\n"),
        ("http://127.0.0.1:9101/", "  kind: liveness\n"),
    ],
)
def test_ports_that_may_be_shared(url: str, more: str) -> None:
    assert found(ready("b", "http://127.0.0.1:9101/") | ready("c", url, more)) == []


def test_ports_that_are_not_said_are_those_of_the_scheme() -> None:
    assert len(found(ready("b", "https://localhost/") | ready("c", "https://127.0.0.1:443/"))) == 1
    assert len(found(ready("b", "http://localhost/") | ready("c", "http://[::1]:80/"))) == 1
    assert found(ready("b", "http://localhost/") | ready("c", "https://localhost/")) == []


def test_channels_join_agents() -> None:
    problems = found({"protocols/c.yaml": b"name: c\nfrom: usr\nto: nobody-at-all\n"})
    assert [(p.line, p.code) for p in problems] == [(2, "unknown-agent"), (3, "unknown-agent")]
    assert "did you mean user?" in problems[0].message


def test_channels_bear_the_name_of_their_file() -> None:
    problems = found({"protocols/d.yaml": b"{name: c, from: a, to: external}"})
    assert {(p.path, p.code) for p in problems} == {
        ("protocols/c.yaml", "duplicate-name"),
        ("protocols/d.yaml", "duplicate-name"),
        ("protocols/d.yaml", "name"),
    }


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3).map(tuple)))
def test_a_circle_is_found_where_there_is_one(needs: dict[str, tuple[str, ...]]) -> None:
    agents = {name: AgentSpec(name, ("run",), depends_on=found) for name, found in needs.items()}
    problems = reference_problems(
        System(agents, (), Policy(())), Listed([f"agents/{n}/agent.yaml" for n in agents]), lambda *_: (1, 1)
    )
    free: set[str] = set()
    for _ in agents:
        free |= {name for name, agent in agents.items() if not (set(agent.depends_on) & agents.keys()) - free}
    assert any(p.code == "cycle" for p in problems) is (free != agents.keys())
