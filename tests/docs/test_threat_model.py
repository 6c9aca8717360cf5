"""Every row of the threat model names tests that exist."""

from __future__ import annotations

import ast
import re

import pytest

from docs.pages import DOCS

PAGE = DOCS / "threat-model.md"
ROOT = DOCS.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ADVERSARIES = 6
FEWEST = 45


def rows() -> list[str]:
    """Return the rows of the tables of attacks."""
    found: list[str] = []
    inside = False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| attack |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            found.append(line)
    return found


def functions_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_there_are_rows_for_each_adversary() -> None:
    assert len(rows()) >= FEWEST
    assert PAGE.read_text(encoding="utf-8").count("| attack |") == ADVERSARIES


@pytest.mark.parametrize("row", rows())
def test_a_row_is_proved(row: str) -> None:
    assert row.count("|") == 5, "attack, plain git, stateguard, test"
    named = NAMED.findall(row)
    assert named
    assert not [f"{path}::{name}" for path, name in named if name not in functions_in(path)]
