"""Files of other tools: judged where there is no doubt what they are, left alone everywhere else."""

import json

import pytest
from hypothesis import example, given, settings, strategies as st

from admission.trees import AGENT, FILES, tree
from stateguard.admission.admit import Verdict, judge
from stateguard.admission.foreign.reading import schema
from stateguard.admission.foreign.survey import is_foreign, summary, survey
from stateguard.admission.schema import schema_problems
from stateguard.config.defaults import default_policy

POLICY = default_policy()

AGENTS = b"""\
researcher:
  role: Researcher of {topic}
  goal: Find what is new
  backstory: Curious.
  verbose: yes
  tools: [search]
writer:
  role: Writer
  goal: Write it down
  backstory: Precise.
  max_iter: 5
"""
TASKS = b"""\
look:
  description: Look into {topic}
  expected_output: Ten points
  agent: researcher
tell:
  description: Write a report
  expected_output: A page
  agent: writer
  context: [look]
"""
MCP = {
    "mcpServers": {
        "files": {"command": "npx", "args": ["-y", "server"], "env": {"KEY": "${KEY}"}},
        "remote": {"type": "http", "url": "https://example.com/mcp", "headers": {"Authorization": "Bearer ${T}"}},
    }
}
SKILL = {"id": "plan", "name": "Plan", "description": "Plans meals.", "tags": ["food"]}
CARD_3 = {
    "name": "Planner", "description": "Plans.", "url": "http://127.0.0.1:9101/", "version": "1.0.0",
    "protocolVersion": "0.3.0", "capabilities": {"streaming": False}, "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"], "skills": [SKILL],
}  # fmt: skip
CARD_1 = {
    "name": "Planner", "description": "Plans.", "version": "1.0.0", "capabilities": {},
    "supportedInterfaces": [{"url": "https://example.com/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
    "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"], "skills": [SKILL],
}  # fmt: skip


def verdict(files: dict[str, bytes], before: dict[str, bytes] | None = None) -> Verdict:
    return judge(tree({**FILES, **files}), None if before is None else tree({**FILES, **before}), POLICY)


def told(files: dict[str, bytes]) -> list[tuple[str, int, str, str]]:
    return [(p.path, p.line, p.code, p.message) for p in verdict(files).problems]


def dumped(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


def mcp(**server: object) -> dict[str, bytes]:
    return {".mcp.json": dumped({"mcpServers": {"x": server}})}


@pytest.mark.parametrize("name", ["crewai-agents", "crewai-tasks", "mcp", "a2a-0.3", "a2a-1.0"])
def test_the_shipped_schemas_are_schemas_and_name_their_source(name: str) -> None:
    assert schema_problems(schema(name)) == []
    value = schema(name).value
    assert isinstance(value, dict)
    assert "ritten from" in value["$comment"]


def test_everything_is_recognised_counted_and_told() -> None:
    found = verdict(
        {
            "config/agents.yaml": AGENTS,
            "config/tasks.yaml": TASKS,
            "mcp.json": dumped(MCP),
            ".well-known/agent-card.json": dumped(CARD_1),
            "agents/a/agent.yaml": AGENT + b"card: card.json\n",
            "agents/a/card.json": dumped(CARD_3),
        }
    )
    assert found.problems == ()
    assert [one.as_json() for one in found.recognised] == [
        {"format": "a2a", "path": ".well-known/agent-card.json", "version": "1.0", "skills": 1},
        {"format": "a2a", "path": "agents/a/card.json", "version": "0.3", "skills": 1},
        {"format": "crewai", "path": "config/", "agents": 2, "tasks": 2},
        {"format": "mcp", "path": "mcp.json", "servers": 2, "stdio": 1, "http": 1},
    ]
    expected = "crewai: 2 agents, 2 tasks in config/; mcp: 2 servers (1 stdio, 1 http); a2a: 2 cards, 2 skills"
    assert summary(found.recognised) == expected


def test_several_crews_are_added_up() -> None:
    found = verdict({"agents.yaml": AGENTS, "b/agents.yaml": AGENTS, "b/tasks.yaml": TASKS}).recognised
    assert summary(found) == "crewai: 4 agents, 2 tasks in 2 directories"
    assert found[0].path == "./"


def test_nothing_recognised_is_nothing_told() -> None:
    assert verdict({}).recognised == ()
    assert summary(()) == ""


def test_a_task_of_an_unknown_agent_is_told_where_it_stands() -> None:
    tasks = TASKS.replace(b"agent: writer", b"agent: riter").replace(b"[look]", b"[loook]")
    found = told({"config/agents.yaml": AGENTS, "config/tasks.yaml": tasks})
    assert [(path, line, code) for path, line, code, _ in found] == [
        ("config/tasks.yaml", 8, "unknown-agent"),
        ("config/tasks.yaml", 9, "unknown-task"),
    ]
    assert found[0][3] == 'agent names "riter", which config/agents.yaml does not have; did you mean writer?'


def test_agents_are_not_missed_where_no_file_lists_them() -> None:
    assert told({"config/tasks.yaml": TASKS}) == []
    assert told({"config/tasks.yaml": TASKS, "config/agents.yaml": b"fleet: {size: 3}\n"}) == []


@pytest.mark.parametrize(
    ("files", "line", "message"),
    [
        ({"agents.yaml": AGENTS + b"third: {role: x, goal: y}\n"}, 12, "an agent needs role, goal and backstory"),
        ({"agents.yaml": AGENTS.replace(b"max_iter: 5", b"max_iter: five")}, 11, "whole number, 0 or more, not"),
        ({"agents.yaml": AGENTS.replace(b"verbose: yes", b"verbose: maybe")}, 5, "true or false, not"),
        ({"tasks.yaml": TASKS + b"third: {description: x}\n"}, 10, "a task needs description and expected_output"),
        (mcp(args=["x"]), 3, "a server needs a command (stdio) or a url"),
        (mcp(command="x", args=[1]), 6, "an argument is text, not 1; put it in quotes"),
        (mcp(command="x", env={"A": 1}), 6, "a variable is text, not 1"),
        (mcp(url="example.com"), 4, 'begins with http:// or https://; this is "example.com"'),
        (mcp(type="stdio", url="https://example.com"), 3, "type stdio needs a command"),
        (mcp(type="sse", command="x"), 3, "needs a url and there is only a command"),
        ({"agent-card.json": dumped({**CARD_3, "skills": [{"id": "x"}]})}, 17, "'name' is a required property"),
        ({"agent-card.json": dumped({"name": "x", "skills": [], "capabilities": {}})}, 1, "'url' is a required"),
        ({"agent-card.json": dumped({**CARD_3, "skills": [SKILL, SKILL]})}, 26, 'already has the id "plan"'),
        ({".well-known/agent.json": dumped({**CARD_1, "supportedInterfaces": []})}, 6, "supportedInterfaces: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(files: dict[str, bytes], line: int, message: str) -> None:
    found = [problem for problem in told(files) if message in problem[3]]
    assert found, told(files)
    assert (found[0][0], found[0][1]) == (next(iter(files)), line)


@pytest.mark.parametrize(
    "files",
    [
        {"agents.yaml": b"- a\n- b\n"},
        {"agents.yaml": b"web: {replicas: 3}\n"},
        {"agents.yaml": b"a: &x {role: r, goal: g, backstory: b}\nb: {<<: *x}\n"},
        {"agents.yaml": b"a: 1\na: 2\n\t"},
        {"agents.yaml": b"\xff\xfe"},
        {"tasks.yaml": b"build: {cmd: make}\n"},
        {"tasks.yaml": b"a: {description: x}\n---\nb: 1\n"},
        {"mcp.json": b'{"servers": {}}'},
        {"mcp.json": b"not json"},
        {"mcp.json": b'{\n// for the editor\n"mcpServers": {}}'},
        {"mcp.json": b'{"mcpServers": []}'},
        {"agent-card.json": b'{"name": "Ann", "address": "here"}'},
        {"agent-card.json": b"nonsense"},
        {"agent-card.json": b"[1]"},
        {"agents/a/agent.json": b'{"name": 1, "skills": 2, "capabilities": 3}'},
        {"settings.json": dumped({"mcpServers": {"x": {}}})},
        {"agents.yaml": b"# big\n" + b" " * 1_100_000},
    ],
)
def test_what_may_be_something_else_is_left_alone(files: dict[str, bytes]) -> None:
    found = verdict(files)
    assert found.problems == ()
    assert found.recognised == ()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"agents.yaml": AGENTS + b"writer: {}\n"}, "duplicate-key"),
        ({"agents.yaml": AGENTS + b"\t"}, "tab"),
        ({"tasks.yaml": TASKS + b"x: " + b"[" * 60 + b"]" * 60}, "depth"),
        ({"agents.yaml": b"x: &x {role: r, goal: g, backstory: b}\n" + b"".join(b"a%d: *x\n" % n for n in range(30))},
         "alias-budget"),
        ({".mcp.json": b'{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}'}, "duplicate-key"),
        ({".mcp.json": b'{"mcpServers": {'}, "syntax"),
        ({"agent-card.json": b'{"skills": [], "capabilities": {}, "name": "\xff"}'}, "encoding"),
    ],
)  # fmt: skip
def test_what_carries_every_mark_and_cannot_be_read_is_told(files: dict[str, bytes], code: str) -> None:
    assert {found for _, _, found, _ in told(files)} == {code}
    assert verdict(files).recognised == ()


def test_a_card_that_an_agent_names_is_one_without_doubt() -> None:
    named = {"agents/a/agent.yaml": AGENT + b"card: card.json\n"}
    assert "'name' is a required property" in [p[3] for p in told({**named, "agents/a/card.json": b"{}"})]
    found = told({**named, "agents/a/card.json": b"[]"})
    assert found == [("agents/a/card.json", 1, "schema", "an Agent Card is a JSON object, not a list")]


def test_what_a_push_does_not_touch_is_not_judged_again() -> None:
    broken = {"agents.yaml": AGENTS, "tasks.yaml": TASKS.replace(b"agent: writer", b"agent: nobody"), **mcp()}
    assert verdict({**broken, "notes": b"new"}, broken).problems == ()
    changed = verdict({**broken, "agents.yaml": AGENTS + b"# more\n"}, broken).problems
    assert [(p.path, p.code) for p in changed] == [("tasks.yaml", "unknown-agent")]


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        ({"command": "x"}, "stdio"),
        ({"url": "https://x"}, "http"),
        ({"serverUrl": "https://x"}, "http"),
        ({"type": "streamable-http", "url": "https://x"}, "http"),
        ({"transport": "sse", "url": "https://x"}, "sse"),
        ({"type": "pigeon", "url": "https://x"}, "other"),
    ],
)
def test_servers_are_counted_by_transport(server: dict[str, object], kind: str) -> None:
    (found,) = verdict(mcp(**server)).recognised
    assert found.counts == (("servers", 1), (kind, 1))


NAMES = st.sampled_from(["agents.yaml", "c/tasks.yaml", ".mcp.json", "agent-card.json", ".well-known/agent.json"])
KEYS = [
    "role", "goal", "backstory", "description", "expected_output", "agent", "context", "tools", "mcpServers", "command",
    "url", "type", "args", "env", "skills", "capabilities", "id", "supportedInterfaces", "name", "tags",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["stdio", "http://x", "plan"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3))
@example({".mcp.json": {"mcpServers": {"type": {"url": 1, "type": []}}}})
@example({"agents.yaml": {"role": {"role": None, "goal": None, "backstory": None}}, "c/tasks.yaml": {"name": []}})
def test_no_value_is_more_than_a_problem(values: dict[str, object]) -> None:
    files = {path: json.dumps(value).encode() for path, value in values.items()}
    for cards in ((), tuple(path for path in files if path.endswith(".json"))):
        recognised, problems = survey(files, cards, None)
        assert {p.path for p in problems} <= files.keys()
        assert all(p.line >= 1 and p.message for p in problems)
        assert bool(summary(recognised)) == bool(recognised)
        assert all(one.as_json() for one in recognised)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=80), min_size=1, max_size=3))
@example({".mcp.json": b'{"mcpServers":' + b"[" * 100_000})
@example({"agents.yaml": b"role: goal: backstory: " + b"{" * 10_000})
@example({"agent-card.json": b'{"skills":' + b'{"capabilities":' * 5_000})
def test_no_bytes_are_more_than_a_problem(files: dict[str, bytes]) -> None:
    recognised, problems = survey(files, list(files), None)
    assert {p.path for p in problems} <= files.keys()
    assert len(recognised) <= len(files)


@given(st.text(max_size=30))
def test_any_path_can_be_asked_about(path: str) -> None:
    assert is_foreign(path) in (True, False)
    assert is_foreign(f"{path}/mcp.json")
