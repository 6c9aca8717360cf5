from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from config.reading import refused
from stateguard.config.agent import parse_agent
from stateguard.config.problem import InvalidDocument, Problem
from stateguard.config.yaml import load
from stateguard.model.agent import (
    DEFAULT_RESTART_ON,
    AgentSpec,
    CommandCheck,
    FileCheck,
    HttpCheck,
    Probe,
    ProbeKind,
    Reload,
    Restart,
    StopPolicy,
    TcpCheck,
)

PATH = "agents/nutrition/agent.yaml"

WHOLE = """\
name: nutrition
description: Plans meals within a nutrient budget.
role: domain
critical: true
phase: essential
command: [python3, bin/agent.py, agents/nutrition/agent.yaml]
environment: {PORT: 9102, DEBUG: true, QUIET: false, RATE: 0.5, NAME: n}
depends_on: [parent, parent]
restart: on-failure
restart_on: ["bin/**"]
stop: {signal: SIGTERM, grace_period_seconds: 5s, drain: {http: {url: "http://127.0.0.1:9102/drain"}}}
data_version: 2
reads_data_versions: [1, 2]
prompt: prompt.md
card: card.json
probes:
  - name: ready
    kind: readiness
    http: {url: "http://127.0.0.1:9102/health"}
    initial_delay_seconds: 0
    period_seconds: 2
    timeout_seconds: 500ms
    failure_threshold: 4
    success_threshold: 2
    required: false
    scope: external
  - {name: port, kind: startup, tcp: {host: localhost, port: 9102}}
  - {name: check, kind: liveness, command: [bin/check, -v]}
  - {name: beat, file: {path: run/beat, max_age_seconds: 1m}}
  - {name: there, file: {path: run/there}}
metrics: {url: "https://[::1]:9102/metrics"}
x-team: kitchen
"""
SMALL = "name: nutrition\ncommand: [run]\n"


def parse(text: str, path: str = PATH) -> AgentSpec:
    return parse_agent(load(text.encode(), path), path)


def problems(text: str, path: str = PATH) -> list[Problem]:
    with pytest.raises(InvalidDocument) as caught:
        parse(text, path)
    assert caught.value.problems
    return list(caught.value.problems)


def test_values_that_name_secrets_are_told_from_others() -> None:
    found = parse(SMALL + "environment: {A: secret://one, B: 'see secret://two', C: secret://one}\n")
    assert (found.secrets, found.plain) == ({"A": "one", "C": "one"}, {"B": "see secret://two"})
    assert dict(found.environment)["A"] == "secret://one"


def test_every_field_is_read() -> None:
    assert parse(WHOLE) == AgentSpec(
        name="nutrition",
        command=("python3", "bin/agent.py", "agents/nutrition/agent.yaml"),
        description="Plans meals within a nutrient budget.",
        role="domain",
        critical=True,
        phase="essential",
        environment=(("PORT", "9102"), ("DEBUG", "true"), ("QUIET", "false"), ("RATE", "0.5"), ("NAME", "n")),
        depends_on=("parent",),
        restart=Restart.ON_FAILURE,
        restart_on=("bin/**",),
        stop=StopPolicy("TERM", 5.0, "http://127.0.0.1:9102/drain"),
        data_version=2,
        reads_data_versions=(1, 2),
        prompt="prompt.md",
        card="card.json",
        probes=(
            Probe(
                "ready",
                ProbeKind.READINESS,
                HttpCheck("http://127.0.0.1:9102/health"),
                "nutrition",
                period_seconds=2.0,
                timeout_seconds=0.5,
                failure_threshold=4,
                success_threshold=2,
                required=False,
                external=True,
            ),
            Probe("port", ProbeKind.STARTUP, TcpCheck("localhost", 9102), "nutrition"),
            Probe("check", ProbeKind.LIVENESS, CommandCheck(("bin/check", "-v")), "nutrition"),
            Probe("beat", ProbeKind.READINESS, FileCheck("run/beat", 60.0), "nutrition"),
            Probe("there", ProbeKind.READINESS, FileCheck("run/there"), "nutrition"),
        ),
        metrics_url="https://[::1]:9102/metrics",
    )


def test_little_must_be_said() -> None:
    agent = parse(SMALL)
    assert agent == AgentSpec("nutrition", ("run",))
    assert agent.restart_on == DEFAULT_RESTART_ON
    assert agent.phase == "standard"


def test_a_critical_agent_belongs_to_the_critical_phase() -> None:
    assert parse(SMALL + "critical: true\n").phase == "critical"


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("restart: sometimes", (3, 1), 'restart must be always, on-failure or never, not "sometimes"'),
        ("role: boss", (3, 1), 'role must be parent, domain or support, not "boss"'),
        ("comand: [x]", (3, 1), 'unknown key "comand"; did you mean command?'),
        ("watch: {signal: HUP}", (3, 1), 'unknown key "watch"; known keys are name, '),
        ("description:", (3, 1), "description must be text, not nothing"),
        ("critical: yes", (3, 1), 'critical must be true or false, not "yes"'),
        ("data_version: one", (3, 1), 'data_version must be a whole number, not "one"'),
        ("data_version: 0", (3, 1), "data_version must be at least 1, not 0"),
        ("depends_on: parent", (3, 1), 'depends_on must be a list, not "parent"'),
        ("depends_on: [ok, Not]", (3, 18), 'depends_on[1]: "Not" is no name; use a-z'),
        ("environment: [A]", (3, 1), "environment must be a mapping, not a list"),
        ("environment: {A: null}", (3, 15), "A must be text, not nothing"),
        ("environment: {A-B: x}", (3, 15), '"A-B" cannot be an environment variable'),
        ("environment: {A: 'secret://'}", (3, 15), "environment.A: secret:// is followed by the name of a secret"),
        ("environment: {A: 'secret://../keys'}", (3, 15), "environment.A: secret:// is followed by the name of a secr"),
        ("stop: {signal: STOP}", (3, 8), 'signal: "STOP" is no signal that stops an agent; use TERM, INT'),
        ("stop: {signal: 15}", (3, 8), "must be text, not 15"),
        ("stop: {grace_period_seconds: soon}", (3, 8), "'soon' is no duration; write 30, 30s"),
        ("stop: {drain: {http: {url: 'http://h'}, url: x}}", (3, 41), 'unknown key "url"; known keys are http'),
        ("stop: [TERM]", (3, 1), "stop must be a mapping, not a list"),
        ("prompt: ../secret", (3, 1), "must be a relative path inside the state"),
        ("prompt: /etc/passwd", (3, 1), "must be a relative path inside the state"),
        ("card: ''", (3, 1), "card must not be empty"),
        ("restart_on: ['!bin/**']", (3, 14), "takes nothing away here"),
        ("restart_on: ['']", (3, 14), "the pattern is empty"),
        ("metrics: {url: 'ftp://host/'}", (3, 11), "must be an http:// or https:// URL with a host"),
        ("probes: {}", (3, 1), "probes must be a list, not a mapping"),
        ("probes: [{tcp: {port: 1}}]", (3, 10), "name is missing; add it"),
        ("probes: [{name: a}]", (3, 10), "exactly one of http, tcp, command and file, this one has none"),
        ("probes: [{name: a, tcp: {port: 1}, command: [x]}]", (3, 10), "this one has 2"),
        ("probes: [{name: a, tcp: {port: 70000}}]", (3, 26), "must be at most 65535, not 70000"),
        ("probes: [{name: a, command: []}]", (3, 20), "must not be empty"),
        ("probes: [{name: a, tcp: {port: 1}, period_seconds: 0.01}]", (3, 36), "must be at least 0.05, not 0.01"),
        ("probes: [{name: a, tcp: {port: 1}, timeout_seconds: 0}]", (3, 36), "must be more than 0"),
        ("probes: [{name: a, tcp: {port: 1}, failure_threshold: 0}]", (3, 36), "must be at least 1, not 0"),
        ("probes: [{name: a, tcp: {port: 1}, kind: ready}]", (3, 36), "must be startup, readiness or liveness"),
        ("probes: [{name: a, tcp: {port: 1}, scope: all}]", (3, 36), "must be internal or external"),
        ("probes: [{name: a, tcp: {port: 1}, perod_seconds: 1}]", (3, 36), "did you mean period_seconds?"),
    ],
)
def test_each_mistake_is_told_where_it_is(line: str, place: tuple[int, int], message: str) -> None:
    (problem,) = problems(SMALL + line + "\n")
    assert (problem.path, problem.line, problem.column) == (PATH, *place)
    assert message in problem.message


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///x",
        "127.0.0.1:80",
        "http://[::1/",
        "http://h:99999/",
        "http://h:x/",
        "http://h:0/",
        "http://user:secret@h/",
        "http://h/a b",
        "http://h/\u00e9",
        "file:///etc/passwd",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    (problem,) = problems(f"{SMALL}metrics: {{url: '{url}'}}\n")
    assert "URL with a host" in problem.message


def test_all_problems_are_told_at_once() -> None:
    found = problems("name: Nutrition\ncommand: []\nrestart: no\nextra: 1\nprobes: [{name: a, kind: x}]\n")
    assert [p.line for p in found] == [1, 2, 3, 4, 5]


def test_what_is_missing_is_told_once() -> None:
    assert [p.code for p in problems("x-only: 1\n")] == ["missing-key"]


def test_a_signal_may_take_the_place_of_a_restart() -> None:
    assert parse(SMALL).reload is None
    assert parse(SMALL + "reload: {signal: SIGHUP}\n").reload == Reload("HUP", ("config/**",), 1.0)
    text = "reload: {signal: USR1, on: [config/a, 'data/**'], settle_seconds: 200ms}\n"
    assert parse(SMALL + text).reload == Reload("USR1", ("config/a", "data/**"), 0.2)
    for bad, message in {
        "{}": "signal is missing",
        "{signal: KILL}": "KILL ends the agent",
        "{signal: CONT}": "is no signal",
        "{signal: HUP, on: ['!x']}": "takes nothing away",
        "{signal: HUP, when: x}": "unknown key",
    }.items():
        (problem,) = problems(SMALL + f"reload: {bad}\n")
        assert message in problem.message
        assert problem.line == 3


def test_a_command_may_be_left_to_whoever_starts_the_agent() -> None:
    assert parse("name: nutrition\n").command == ()


@pytest.mark.parametrize(("text", "word"), [("", "is empty"), ("[]", "is a list"), ("5", "is 5")])
def test_a_file_that_is_no_mapping(text: str, word: str) -> None:
    (problem,) = problems(text)
    assert problem.message == f"the file {word}; it must map keys to values"


def test_the_directory_bears_the_agents_name() -> None:
    (problem,) = problems(SMALL, "agents/other/agent.yaml")
    assert (problem.line, problem.code) == (1, "name")
    assert "make them the same" in problem.message


@pytest.mark.parametrize("name", ["user", "external"])
def test_nobody_outside_can_be_an_agent(name: str) -> None:
    (problem,) = problems(f"name: {name}\ncommand: [run]\n", f"agents/{name}/agent.yaml")
    assert "outside the system" in problem.message


@given(st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    lines = WHOLE.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    key = lines[at].split(":")[0]
    put = data.draw(
        st.sampled_from(["[]", "{}", "null", "-1", "1e300", "x", "[[]]", "{a: {}}", "true", "' '", "[5, x]"])
    )
    lines[at] = data.draw(st.sampled_from([f"{key}: {put}", "", f"{lines[at]} x", f"  {lines[at]}", f"{put}: {put}"]))
    found = refused(lambda: parse("\n".join(lines)))
    assert found is None or (found and all(p.message and p.line for p in found))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab-/*!", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([line.split(":")[0].strip(" -") for line in WHOLE.splitlines()]), JSON))
def test_any_values_are_read_or_refused(value: dict[str, object]) -> None:
    import json

    text = json.dumps(value)
    assert refused(lambda: parse(text)) != ()


def test_the_example_is_read() -> None:
    root = Path(__file__).resolve().parents[2] / "example-state"
    for file in sorted(root.glob("agents/*/agent.yaml")):
        path = file.relative_to(root).as_posix()
        assert parse(file.read_text(), path).directory == f"{path.rpartition('/')[0]}/"
