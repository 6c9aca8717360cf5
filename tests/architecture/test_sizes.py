"""Files and functions stay small enough to be read in one go."""

import ast
from pathlib import Path

from architecture.sources import named, parse, python_files

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def long_file(source: str) -> str | None:
    """Say how long a source is if it is too long."""
    lines = len(source.splitlines())
    return f"{lines} lines, at most {MAX_FILE_LINES}" if lines > MAX_FILE_LINES else None


def long_functions(tree: ast.Module) -> list[str]:
    """Name the functions that are too long, counted from `def` (decorators are not code) to their last line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                found.append(f"line {node.lineno}: {node.name}() has {lines} lines, at most {MAX_FUNCTION_LINES}")
    return found


def problems(path: Path) -> list[str]:
    file_problem = long_file(path.read_text(encoding="utf-8"))
    return ([file_problem] if file_problem else []) + long_functions(parse(path))


def test_every_file_and_function_is_small() -> None:
    files = python_files("stateguard", "example-state")
    found = [f"{named(path)}: {problem}" for path in files for problem in problems(path)]
    assert not found, "\n".join(found)


def test_a_file_of_401_lines_is_found() -> None:
    assert long_file("x = 1\n" * 400) is None
    assert long_file("x = 1\n" * 401) == "401 lines, at most 400"


def test_a_function_of_61_lines_is_found() -> None:
    body = "    x = 1\n"
    assert long_functions(ast.parse("def f():\n" + body * 59)) == []
    assert long_functions(ast.parse("def f():\n" + body * 60)) == ["line 1: f() has 61 lines, at most 60"]


def test_methods_and_coroutines_are_counted() -> None:
    body = "        x = 1\n"
    assert len(long_functions(ast.parse("class A:\n    async def f(self):\n" + body * 60))) == 1


def test_decorators_are_not_counted() -> None:
    source = "@option(\n" + "    1,\n" * 80 + ")\ndef f():\n    return 1\n"
    assert long_functions(ast.parse(source)) == []
