import re

import pytest
from hypothesis import example, given, strategies as st

from stateguard.text.escape import code, line, markdown, terminal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 日本", "plain é 日本"),
        ("a\nb\tc", "a\nb\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\udcff", "\\xff"),
        ("\u202e", "\\u202e"),
        ("\r", "\\x0d"),
    ],
)
def test_the_terminal_is_not_steered(text: str, expected: str) -> None:
    assert terminal(text) == expected


def test_a_line_stays_one() -> None:
    assert line("a\r\nb\nc\td\re") == "a b c d\\x0de"


@given(st.text() | st.text(alphabet="\x1b\r\n\t\x00\x9b\u2028\u202e\udc80a"))
@example("\ud800")
def test_nothing_that_controls_comes_through(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in terminal(text))
    assert line(text).isprintable()
    assert terminal(terminal(text)) == terminal(text)


def test_markdown_shows_what_is_there() -> None:
    assert markdown("*a* [b](c) <d> `e` #1\n|") == "\\*a\\* \\[b\\](c) \\<d\\> \\`e\\` \\#1 \\|"


@given(st.text())
def test_no_sign_of_markdown_stays_bare(text: str) -> None:
    found = markdown(text)
    assert re.sub(r"\\(.)", r"\1", found, flags=re.DOTALL) == line(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]<>#|~!&]", found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("a", "`a`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a``", "``` a`` ```"), ("a\nb", "`a b`")],
)
def test_code_has_a_fence_that_holds(text: str, expected: str) -> None:
    assert code(text) == expected


@given(st.text(alphabet="`ab\n", min_size=1))
def test_no_run_of_backticks_ends_the_span(text: str) -> None:
    found = code(text)
    fence = found[: len(found) - len(found.lstrip("`"))]
    inner = found[len(fence) : -len(fence)]
    assert found.endswith(fence)
    assert fence not in re.findall("`+", inner)
