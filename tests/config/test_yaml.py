import json
import math

import pytest
from hypothesis import example, given, strategies as st

from config.reading import refused
from stateguard.config.problem import InvalidDocument, Problem
from stateguard.config.yaml import MAX_BYTES, load, place, scalar

VALID = b"""\
name: nutrition
command: [python3, "bin/agent.py"]
environment: {PORT: "9102", &a DEBUG: &b yes}
probes:
  - name: ready
    http:
      url: "http://127.0.0.1:9102/health"
    period_seconds: 2.5
  - name: alive
text: |
  two
  lines
again: *b
"""


def problems(data: bytes | str) -> list[Problem]:
    with pytest.raises(InvalidDocument) as caught:
        load(data.encode() if isinstance(data, str) else data, "f.yaml")
    assert caught.value.problems
    return list(caught.value.problems)


def codes(data: bytes | str) -> list[str]:
    return [p.code for p in problems(data)]


def test_a_valid_document_becomes_plain_python() -> None:
    document = load(VALID, "f.yaml")
    assert document.path == "f.yaml"
    assert document.value == {
        "name": "nutrition",
        "command": ["python3", "bin/agent.py"],
        "environment": {"PORT": "9102", "DEBUG": "yes"},
        "probes": [
            {"name": "ready", "http": {"url": "http://127.0.0.1:9102/health"}, "period_seconds": 2.5},
            {"name": "alive"},
        ],
        "text": "two\nlines\n",
        "again": "yes",
    }


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), (1, 1)),
        (("name",), (1, 1)),
        (("command",), (2, 1)),
        (("command", 1), (2, 20)),
        (("command", 7), (2, 1)),
        (("environment", "DEBUG"), (3, 29)),
        (("probes", 0), (5, 5)),
        (("probes", 0, "http", "url"), (7, 7)),
        (("probes", 0, "http", "url", "deeper"), (7, 7)),
        (("probes", 1, "name"), (9, 5)),
        (("nothing", "here"), (1, 1)),
    ],
)
def test_everything_has_its_line_and_column(keys: tuple[str | int, ...], expected: tuple[int, int]) -> None:
    assert load(VALID, "f.yaml").position(keys) == expected


def test_nodes_are_found_by_their_keys() -> None:
    document = load(VALID, "f.yaml")
    found = document.node(("probes", 1, "name"))
    assert found is not None
    assert found.value == "alive"
    assert document.node(("probes", 9, "name")) is None


@pytest.mark.parametrize("data", ["", "# only a comment\n", "\ufeff", "---\n", "---\n...\n"])
def test_an_empty_document_is_nothing(data: str) -> None:
    assert load(data.encode(), "f").value is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-17", -17),
        ("+5", 5),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, expected: object) -> None:
    found = scalar(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "012",
        "1:30",
        "2024-01-01",
        "0b1",
        "1_000",
        "tRUE",
        "0x",
        "0o8",
        "e3",
        "-",
        "٣",
        "00.5",
    ],
)
def test_what_yaml_1_1_made_of_text_stays_text(text: str) -> None:
    assert scalar(text) == text


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("a: 1\na: 2\n", "duplicate-key"),
        ('a: 1\n"a": 2\n', "duplicate-key"),
        ("{a: 1, b: {c: 1, c: 2}}", "duplicate-key"),
        ("b: &b {x: 1}\na:\n  <<: *b\n", "merge-key"),
        ("1: a\n", "key"),
        ("true: a\n", "key"),
        ("~: a\n", "key"),
        ("? [a, b]\n: c\n", "key"),
        ("? {a: b}\n: c\n", "key"),
        ("a: !!python/object:os.system x\n", "tag"),
        ("a: !!str 5\n", "tag"),
        ("a: ! 5\n", "tag"),
        ("a: !!map {}\n", "tag"),
        ("a: *nowhere\n", "alias"),
        ("a: &a [*a]\n", "alias"),
        ("a: &a {b: *a}\n", "alias"),
        ("a: 1\n---\nb: 2\n", "documents"),
        ("a: 1\n...\n---\n", "documents"),
        ("a: [1, 2\n", "syntax"),
        ("a: 'open\n", "syntax"),
        ("a: b: c\n", "syntax"),
        ("a:\n\tb: 1\n", "tab"),
        ("%YAML 3.0\n---\na: 1\n", "syntax"),
        ("a: .inf\n", "number"),
        ("a: .nan\n", "number"),
        ("a: 1e999\n", "number"),
        (f"a: {'9' * 5000}\n", "number"),
        (f"a: 0x{'f' * 5000}\n", "number"),
        (f"a: {'9' * 5000}.5\n", "number"),
        ('a: "\\0"\n', "control-character"),
        ('a: "\\e[31m"\n', "control-character"),
        ("a: \x1b[31m\n", "control-character"),
        ("a: \x7f\n", "control-character"),
        ("[" * 41 + "]" * 41, "depth"),
        ("[" * 100_000, "depth"),
        ("{a: " * 41 + "}" * 41, "depth"),
        ("- " * 41 + "a", "depth"),
    ],
)
def test_what_is_refused(data: str, code: str) -> None:
    assert code in codes(data)


def test_a_merge_key_in_quotes_is_an_ordinary_key() -> None:
    assert load(b'"<<": 1\n', "f").value == {"<<": 1}
    assert load(b"a: <<\n", "f").value == {"a": "<<"}


def test_forty_levels_are_read() -> None:
    value = load(b"[" * 40 + b"]" * 40, "f").value
    for _ in range(39):
        assert isinstance(value, list)
        value = value[0]
    assert value == []


def test_bytes_that_are_no_utf_8_have_a_place() -> None:
    assert problems(b"a: 1\nb: \xff\n") == [
        Problem("f.yaml", 2, "encoding", "this is not UTF-8; save the file as UTF-8", 4)
    ]
    assert codes("a: ü".encode("utf-16")) == ["encoding"]


def test_large_files_are_not_read() -> None:
    assert codes(b"#" * (MAX_BYTES + 1)) == ["too-large"]
    assert load(b"#" * MAX_BYTES, "f").value is None


def test_twenty_aliases_are_read_and_no_more() -> None:
    assert load(b"a: &a x\nb: [" + b"*a, " * 20 + b"]\n", "f").value == {"a": "x", "b": ["x"] * 20}
    assert codes(b"a: &a x\nb: [" + b"*a, " * 21 + b"]\n") == ["alias-budget"]


def test_a_bomb_of_aliases_is_refused() -> None:
    levels = ["a0: &a0 [" + "x, " * 100 + "]"]
    levels += [f"a{n}: &a{n} [" + f"*a{n - 1}, " * 4 + "]" for n in range(1, 6)]
    assert codes("\n".join(levels)) == ["alias-budget"]


def test_an_alias_can_be_a_key() -> None:
    assert load(b"a: &k name\n*k : 1\n", "f").value == {"a": "name", "name": 1}
    assert load(b"&k name: b\nc: *k\n", "f").value == {"name": "b", "c": "name"}


def test_every_problem_is_found_at_once_and_in_order() -> None:
    found = problems("a: 1\na: 2\n1: x\nb: !t y\n")
    assert [(p.line, p.column, p.code) for p in found] == [(2, 1, "duplicate-key"), (3, 1, "key"), (4, 4, "tag")]
    assert found[0].message == 'the key "a" is already on line 1; remove one of them'


def test_the_list_of_problems_is_bounded() -> None:
    assert len(problems("a: 1\n" * 1000)) == 50


def test_a_syntax_error_says_where() -> None:
    (problem,) = problems("a: 1\nb: [\n")
    assert (problem.line, problem.code) == (3, "syntax")
    assert problem.message.startswith("this is not YAML: ")


def test_places_count_from_one() -> None:
    assert place("", None) == (1, 1)
    assert place("ab\ncd", 4) == (2, 2)
    assert place("ab\n", None) == (2, 1)


@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
@example(b"? ")
@example(b"- - -\t- x")
@example(b"&a : *a")
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    found = refused(lambda: load(data, "f.yaml"))
    assert found is None or (found and all(p.line >= 0 and p.column >= 1 for p in found))


@given(st.text(alphabet="ab01:-?[]{}&*!|>'\"%#~<.,\t \n\\x\x85\u2028é", max_size=80))
def test_arbitrary_yaml_is_read_or_refused(text: str) -> None:
    assert refused(lambda: load(text.encode(), "f.yaml")) != ()


@given(st.data())
def test_a_damaged_document_is_read_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(VALID)))
    removed = data.draw(st.integers(0, 5))
    put = data.draw(
        st.one_of(st.binary(max_size=4), st.sampled_from([b"\t", b": ", b"*b", b"<<: ", b"- ", b"{", b"]"]))
    )
    assert refused(lambda: load(VALID[:at] + put + VALID[at + removed :], "f.yaml")) != ()


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet="abc <-é", max_size=8), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(PLAIN)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert load(json.dumps(value, ensure_ascii=False).encode(), "f").value == value


@given(st.text(max_size=30))
def test_a_scalar_is_text_or_a_simple_value(text: str) -> None:
    try:
        found = scalar(text)
    except ValueError:
        found = None
    assert found is None or isinstance(found, (bool, int, float, str))
    assert not isinstance(found, float) or math.isfinite(found)
