import json

import pytest
from hypothesis import given, strategies as st

from config.reading import refused
from stateguard.config.json import line_problem, load_json
from stateguard.config.problem import InvalidDocument, Problem

VALID = b"""{
  "days": 7,
  "meals": [{"name": "oats: {x}, \\"y\\"", "kcal": -4.2e1}, null, true, []],
  "\\u0061": {}
}
"""


def problems(data: bytes) -> list[Problem]:
    with pytest.raises(InvalidDocument) as caught:
        load_json(data, "f.json")
    assert caught.value.problems
    return list(caught.value.problems)


def test_a_document_has_values_and_positions() -> None:
    document = load_json(VALID, "f.json")
    assert document.value == json.loads(VALID)
    assert document.position() == (1, 1)
    assert document.position(("days",)) == (2, 3)
    assert document.position(("meals", 0, "kcal")) == (3, 42)
    assert document.position(("meals", 2)) == (3, 65)
    assert document.position(("meals", 3)) == (3, 71)
    assert document.position(("a",)) == (4, 3)


@pytest.mark.parametrize("data", [b'"text"', b"5", b"null", b"[]", b" \n {} "])
def test_any_value_may_be_the_document(data: bytes) -> None:
    assert load_json(data, "f").value == json.loads(data)


@pytest.mark.parametrize(
    ("data", "line", "code"),
    [
        (b"", 1, "syntax"),
        (b"{\n'a': 1}", 2, "syntax"),
        (b"[1,]", 1, "syntax"),
        (b"{} {}", 1, "syntax"),
        (b"[NaN]", 1, "number"),
        (b"[-Infinity]", 1, "number"),
        (b"[1e999]", 1, "number"),
        (b"[" + b"9" * 5000 + b"]", 1, "number"),
        (b'{"a": 1,\n"a": 2}', 2, "duplicate-key"),
        (b'{"a": {"b": 1,\n\n"\\u0062": 2}}', 3, "duplicate-key"),
        (b'["\\u0000"]', 1, "control-character"),
        (b'["\\ud800"]', 1, "control-character"),
        (b'{"\\u001b": 1}', 1, "control-character"),
        (b"[" * 41 + b"]" * 41, 1, "depth"),
        (b"[" * 50_000 + b"]" * 50_000, 1, "depth"),
        (b"\xff", 1, "encoding"),
        (b" " * (1024 * 1024 + 1), 0, "too-large"),
    ],
)
def test_what_is_refused(data: bytes, line: int, code: str) -> None:
    found = problems(data)
    assert (found[0].line, found[0].code) == (line, code)


def test_forty_levels_are_read() -> None:
    assert load_json(b"[" * 40 + b"]" * 40, "f").value is not None


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "syntax"),
        (b"", "syntax"),
        (b"[]", "type"),
        (b"5", "type"),
        (b'{"a": 1, "a": 2}', "syntax"),
        (b'{"a": NaN}', "syntax"),
        (b"\xff", "encoding"),
        (b"[" * 50_000 + b"]" * 50_000, "depth"),
    ],
)
def test_a_line_that_is_no_object(line: bytes, code: str) -> None:
    problem = line_problem(line, "c.jsonl", 3)
    assert problem is not None
    assert (problem.path, problem.line, problem.code) == ("c.jsonl", 3, code)


def test_a_line_that_is_an_object() -> None:
    assert line_problem(b'{"id": "1", "content": "\\u0000"}', "c.jsonl", 1) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    assert refused(lambda: load_json(data, "f")) != ()
    problem = line_problem(data, "f", 1)
    assert problem is None or problem.line == 1


@given(st.data())
def test_a_damaged_document_is_read_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(VALID)))
    put = data.draw(st.text(alphabet='{}[]",:\\u0 1\n', max_size=4)).encode()
    assert refused(lambda: load_json(VALID[:at] + put + VALID[at + data.draw(st.integers(0, 3)) :], "f")) != ()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs", "Cn"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(alphabet='ab"\\{', max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 0, 2]), st.booleans())
def test_values_are_those_of_the_standard_library(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert load_json(text.encode(), "f").value == value


@given(
    st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=4), st.lists(st.integers(), max_size=3), min_size=1)
)
def test_positions_point_at_the_key(value: dict[str, list[int]]) -> None:
    text = json.dumps(value, indent=2)
    document = load_json(text.encode(), "f")
    for key in value:
        line, column = document.position((key,))
        assert text.split("\n")[line - 1][column - 1 :].startswith(f'"{key}"')
