import json

import pytest
from hypothesis import example, given, settings, strategies as st

from admission.trees import AGENT, FILES
from stateguard.admission.documents import contents, is_bounded, is_read, positions
from stateguard.config.problem import Problem

SCHEMA = "config/limits.schema.json"
CONFIG = "config/limits.yaml"


def found(files: dict[str, bytes], changed: set[str] | None = None) -> list[Problem]:
    return list(contents(files, changed).problems)


def with_schema(schema: object, config: bytes = b"days: 7\n") -> list[Problem]:
    return found({SCHEMA: json.dumps(schema).encode(), CONFIG: config})


def test_good_files_give_a_system() -> None:
    said = contents(FILES, None)
    assert said.problems == ()
    assert said.system is not None
    assert list(said.system.agents) == ["a"]


def test_bad_declarations_give_none() -> None:
    said = contents({"agents/a/agent.yaml": b"name: b\n", "stateguard.yaml": b"["}, None)
    assert said.system is None
    assert {p.path for p in said.problems} == {"agents/a/agent.yaml", "stateguard.yaml"}


def test_a_config_file_is_held_to_its_schema() -> None:
    (problem,) = found({**FILES, CONFIG: b"# limits\ndays: seven\n"})
    assert (problem.path, problem.line, problem.column, problem.code) == (CONFIG, 2, 1, "schema")
    assert problem.message == "days: 'seven' is not of type 'integer'"


def test_an_extra_key_is_told_where_it_stands() -> None:
    (problem,) = found({**FILES, CONFIG: b"days: 7\nmeals: 3\n"})
    assert (problem.line, problem.column) == (2, 1)


def test_an_extra_key_without_known_ones_is_told() -> None:
    assert with_schema({"additionalProperties": False})[0].line == 1
    assert with_schema({"additionalProperties": {"type": "string"}})[0].line == 1


def test_json_is_held_to_its_schema_too() -> None:
    files = {**FILES, "config/limits.json": b'{\n"days": 7,\n"days": 8}'}
    (problem,) = found(files)
    assert (problem.path, problem.line, problem.code) == ("config/limits.json", 3, "duplicate-key")


def test_files_without_a_schema_are_free() -> None:
    assert found({"config/free.yaml": b"a: 1\na: 2\n\t", "config/free.json": b"nonsense", "notes/x.yaml": b"["}) == []


def test_a_schema_alone_is_checked() -> None:
    assert found({SCHEMA: b"{"})[0].code == "syntax"
    assert found({SCHEMA: b'{"type": "thing"}'})[0].path == SCHEMA


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ([], "a schema must be a mapping"),
        ({"type": "thing"}, "this is no JSON Schema"),
        ({"pattern": "("}, ""),
        ({"$ref": "https://example.org/x.json"}, "leads elsewhere"),
        ({"$ref": "other.json"}, "leads elsewhere"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "leads elsewhere"),
        ({"allOf": [{"$ref": "#/properties/a"}]}, "leads elsewhere"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "2020-12"),
        ({"$id": "https://example.org/"}, "$id is not supported"),
        ({"$dynamicRef": "#x"}, "$dynamicRef is not supported"),
        ({"multipleOf": 0}, "this is no JSON Schema"),
    ],
)
def test_schemas_that_cannot_be_used(schema: object, word: str) -> None:
    problems = with_schema(schema)
    assert {p.path for p in problems} == {SCHEMA}
    assert word in problems[0].message


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"$defs": {"n": {"type": "integer"}}, "properties": {"days": {"$ref": "#/$defs/n"}}},
        {"properties": {"inner": {"$ref": "#"}}},
        {"properties": {"$ref": {"type": "string"}}},
    ],
)
def test_schemas_that_can(schema: object) -> None:
    assert with_schema(schema) == []


def test_schemas_that_fail_only_in_use_are_told() -> None:
    assert "cannot be used" in with_schema({"$ref": "#/$defs/none"})[0].message
    assert "cannot be used" in with_schema({"$ref": "#"})[0].message


def test_the_list_of_violations_is_bounded() -> None:
    schema = {"items": {"type": "integer"}}
    assert len(with_schema(schema, b"[" + b"x, " * 100 + b"]")) == 20


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b'{"id": "1"}\n{"id": "2"}', []),
        (b'{"id": "1"}\n\n{"id": "2"}\n', [2]),
        (b'[]\n{"id": 1\n', [1, 2]),
        (b"\xff\n" * 100, list(range(1, 21))),
    ],
)
def test_seeds_are_one_object_a_line(data: bytes, lines: list[int]) -> None:
    assert [p.line for p in found({"conversations/a.jsonl": data})] == lines


def test_the_card_of_an_agent_is_strict_json() -> None:
    files = {"agents/a/agent.yaml": AGENT + b"card: card.json\n", "agents/a/card.json": b'{"a": 1, "a": 2}'}
    assert [p.code for p in found(files)] == ["duplicate-key"]
    assert {p.code for p in found({**files, "agents/a/card.json": b"{}"})} == {"schema"}
    assert found({"agents/a/agent.yaml": AGENT, "agents/a/card.json": b"nonsense"}) == []


def test_only_what_changed_is_judged_again() -> None:
    files = {
        **FILES,
        CONFIG: b"days: seven\n",
        "conversations/a.jsonl": b"nonsense",
        "agents/a/agent.yaml": AGENT + b"card: card.json\n",
        "agents/a/card.json": b"nonsense",
    }
    assert found(files, set()) == []
    assert {p.path for p in found(files, {SCHEMA})} == {CONFIG}
    assert {p.path for p in found(files, {"conversations/a.jsonl"})} == {"conversations/a.jsonl"}
    assert {p.path for p in found(files, {"agents/a/card.json"})} == {"agents/a/card.json"}


def test_which_files_are_read() -> None:
    paths = {CONFIG, SCHEMA, "config/free.yaml"}
    assert is_read(CONFIG, paths)
    assert is_read(SCHEMA, paths)
    assert is_read("conversations/x/y.jsonl", paths)
    assert is_read("agents/a/card.json", paths)
    assert is_read("stateguard.yaml", paths)
    assert not is_read("config/free.yaml", paths)
    assert not is_read("bin/a.json", paths)
    assert is_read("crew/agents.yaml", paths)
    assert is_bounded(CONFIG, paths)
    assert not is_bounded("config/agents.yaml", paths)
    assert not is_bounded("conversations/a.jsonl", paths)


def test_positions_are_looked_up_when_asked() -> None:
    position = positions({**FILES, "agents/b/agent.yaml": b"["})
    assert position("agents/a/agent.yaml", ("prompt",)) == (3, 1)
    assert position("agents/a/agent.yaml", ("prompt",)) == (3, 1)
    assert position("agents/b/agent.yaml", ("prompt",)) == (1, 1)
    assert position("agents/none/agent.yaml", ("prompt",)) == (1, 1)


@given(st.dictionaries(st.sampled_from(sorted(FILES)), st.binary(max_size=60)))
@example({SCHEMA: b'{"$ref": "#"}', CONFIG: b"a: 1"})
def test_arbitrary_bytes_never_raise(files: dict[str, bytes]) -> None:
    said = contents({**FILES, **files}, None)
    assert said.system is not None or said.problems


WORDS = [
    "type", "properties", "items", "$ref", "$defs", "enum", "const", "pattern", "minimum", "multipleOf", "required",
    "additionalProperties", "uniqueItems", "format", "allOf", "not", "if", "then", "$id", "$schema", "prefixItems",
    "contains", "minContains", "unevaluatedProperties", "patternProperties", "dependentSchemas", "propertyNames",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**40) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["#", "#/$defs/a", "#/$defs/%", "object", "integer", "array", "(", "^a", "http://[", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WORDS, "a"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=400)
@given(JSON, JSON)
@example({"$defs": {"a": {"enum": [5]}}, "$ref": "#/$defs/a"}, 5)
@example({"multipleOf": 1e-320}, 10**40)
@example({"multipleOf": 0.1}, 10**40)
def test_arbitrary_schemas_never_raise(schema: object, value: object) -> None:
    files = {SCHEMA: json.dumps(schema).encode(), "config/limits.json": json.dumps(value).encode()}
    assert all(p.text() for p in found(files))
