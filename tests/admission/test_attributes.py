from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from stateguard.admission.attributes import attribute_problems, is_attributes, steers_git


@pytest.mark.parametrize(
    ("path", "attributes", "steers"),
    [
        (".gitattributes", True, True),
        ("a/b/.GitAttributes", True, True),
        ("a/GITATT~1", True, True),
        (".gitignore", False, True),
        (".gitmodules", False, True),
        ("a/.mailmap", False, True),
        ("gitign~2", False, True),
        ("gitattributes", False, False),
        (".gitattributes/x", False, False),
        ("a.gitattributes", False, False),
        ("prompt.md", False, False),
    ],
)
def test_which_files_steer_git(path: str, attributes: bool, steers: bool) -> None:
    assert (is_attributes(path), steers_git(path)) == (attributes, steers)


@pytest.mark.parametrize(
    "line",
    [
        b"*.md text", b"# filter=lfs", b"*.md -filter", b"*.md !filter", b"filter=x text", b'"a filter=b" text', b"",
        b"a" * 2048, b"*.md filters=x", b"*.md diff=filter", b"\t", b"a\r",
    ],
)  # fmt: skip
def test_ordinary_lines_come_in(line: bytes) -> None:
    assert attribute_problems("p", line + b"\n") == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"*.bin filter=lfs diff=lfs -text", "filter"),
        (b"* filter", "filter"),
        (b"*\ttext\tfilter=x\r", "filter"),
        (b'"a \\" b" filter=x', "filter"),
        (b'"unclosed filter=x', "filter"),
        (b"[attr]mine filter=x", "filter"),
        (b"  * filter=x", "filter"),
        (b"a" * 2049, "2048 bytes"),
        (b"# " + b"a" * 2049, "2048 bytes"),
    ],
)
def test_filters_and_endless_lines_do_not(line: bytes, word: str) -> None:
    (problem,) = attribute_problems("p", b"*.md text\n" + line + b"\n")
    assert word in problem.message
    assert (problem.path, problem.line) == ("p", 2)


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(content: bytes) -> None:
    found = attribute_problems("p", content)
    assert not found or b"filter" in content
