import pytest
from hypothesis import given, strategies as st

from stateguard.config.problem import InvalidDocument, Problem, clipped, shown
from stateguard.errors import RefusedError, StateguardError

HERE = Problem("agents/a/agent.yaml", 7, "value", "restart must be always", 3)


def test_a_problem_reads_like_a_compilers() -> None:
    assert HERE.text() == "agents/a/agent.yaml:7:3: restart must be always"
    assert Problem("refs/heads/main", 0, "deletion", "no").text() == "refs/heads/main: no"


def test_a_problem_has_the_keys_of_the_contract() -> None:
    assert HERE.as_json() == {
        "path": "agents/a/agent.yaml",
        "line": 7,
        "column": 3,
        "code": "value",
        "message": "restart must be always",
    }


@given(st.text(), st.text())
def test_a_problem_cannot_steer_a_terminal(path: str, message: str) -> None:
    assert Problem(path, 1, "x", message).text().isprintable()


def test_an_invalid_document_counts_its_problems() -> None:
    assert str(InvalidDocument("f", [HERE])) == HERE.text()
    assert str(InvalidDocument("f", [HERE, HERE, HERE])) == f"{HERE.text()} (and 2 more)"
    assert str(InvalidDocument("f", [])) == "f is invalid"


def test_an_invalid_document_crosses_the_socket_as_a_refusal() -> None:
    error = InvalidDocument("f", [HERE])
    assert error.as_json()["problems"] == [HERE.as_json()]
    again = StateguardError.from_json(error.as_json())
    assert type(again) is RefusedError
    assert again.message == error.message
    assert again.exit == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", '"text"'),
        ("x" * 100, f'"{"x" * 57}..."'),
        (True, "true"),
        (False, "false"),
        (None, "nothing"),
        (5, "5"),
        (1.5, "1.5"),
        ([1], "a list"),
        ((1,), "a list"),
        ({}, "a mapping"),
    ],
)
def test_values_are_shown_in_short(value: object, expected: str) -> None:
    assert shown(value) == expected


@given(st.text(), st.integers(3, 50))
def test_clipped_text_has_at_most_its_length(text: str, longest: int) -> None:
    assert len(clipped(text, longest)) <= longest
    assert clipped(text, len(text) + 1) == text
