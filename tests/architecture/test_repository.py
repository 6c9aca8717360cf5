"""What no file of the repository contains: places of one machine, swallowed errors, notes to ourselves."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from architecture.sources import named, parse, python_files, repository_files, text_of

# Put together here, so that this file does not contain what it forbids.
FORBIDDEN_TEXT = {
    "address of a package index": re.compile(
        "|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "index" + r"-url[ =]+\S", "/simple" + "/"))
    ),
    "absolute path of one machine": re.compile(r"(?<![\w.$}*/~-])/(?:" + "wo" + "rk|" + "ro" + r"ot)/"),
    "note to ourselves": re.compile(r"\b(?:" + "TO" + "DO|" + "FIX" + r"ME)\b"),
}


def forbidden_text(text: str) -> list[str]:
    """Name each line that contains something forbidden."""
    return [
        f"line {number}: {what}"
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in FORBIDDEN_TEXT.items()
        if pattern.search(line)
    ]


def swallowed_errors(tree: ast.Module) -> list[str]:
    """Name the handlers that catch everything by saying nothing, and those that do nothing about what they caught."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                found.append(f"line {node.lineno}: bare except")
            if all(_does_nothing(statement) for statement in node.body):
                found.append(f"line {node.lineno}: error passed over in silence")
    return found


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def test_no_file_contains_forbidden_text() -> None:
    found = [
        f"{named(path)}: {problem}" for path in repository_files() for problem in forbidden_text(text_of(path) or "")
    ]
    assert not found, "\n".join(found)


def test_no_error_is_swallowed() -> None:
    found = [
        f"{named(path)}: {problem}" for path in python_files("stateguard") for problem in swallowed_errors(parse(path))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "see https://py" + "pi.org/project/x",
        "https://files.python" + "hosted.org/packages/x.whl",
        "--extra-index" + "-url https://example.org",
        "index" + "-url = https://example.org",
        "https://example.org/simple" + "/",
        "cd /wo" + "rk/main",
        'home = "/ro' + 'ot/.ssh"',
        "PATH=/bin:/ro" + "ot/bin",
        "# TO" + "DO: later",
        "FIX" + "ME",
    ],
)
def test_forbidden_text_is_found(line: str) -> None:
    assert len(forbidden_text(f"first\n{line}\nlast")) == 1
    assert forbidden_text(f"first\n{line}\nlast")[0].startswith("line 2: ")


@pytest.mark.parametrize(
    "line",
    ["docs/wo" + "rk/plan.md", "$HOME/wo" + "rk/x", "tmp_path/ro" + "ot/x", "the root/" + "leaf ratio", "todo list"],
)
def test_innocent_text_is_let_through(line: str) -> None:
    assert forbidden_text(line) == []


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("except:\n    log()", 1),
        ("except:\n    pass", 2),
        ("except OSError:\n    pass", 1),
        ("except OSError:\n    ...", 1),
        ("except OSError:\n    'It does not matter.'", 1),
        ("except* OSError:\n    pass", 1),
        ("except OSError:\n    raise Failed from None", 0),
        ("except FileNotFoundError:\n    return None", 0),
    ],
)
def test_a_swallowed_error_is_found(handler: str, expected: int) -> None:
    tree = ast.parse("try:\n    f()\n" + handler)
    assert len(swallowed_errors(tree)) == expected


def test_files_are_listed_with_and_without_git(tmp_path: Path) -> None:
    """What git ignores is not searched; in an unpacked archive, what tools leave behind is not."""
    for name in ["a.txt", "deep/b.txt", ".venv/c.txt", ".mypy_cache/d.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / "binary").write_bytes(b"\0")
    expected = ["a.txt", "binary", "deep/b.txt"]
    assert [named(path, tmp_path) for path in repository_files(tmp_path)] == expected
    assert text_of(tmp_path / "binary") is None

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text(".*\n")
    assert [named(path, tmp_path) for path in repository_files(tmp_path)] == expected
