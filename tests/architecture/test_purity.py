"""Where it is decided what is safe, nothing touches the machine: values and the time come in, a value goes out."""

import ast
from pathlib import Path

import pytest

from architecture.sources import ROOT, named, parse, python_files

PURE_PACKAGES = ("stateguard/model", "stateguard/text", "stateguard/detect")
PURE_MODULES = (
    "stateguard/admission/objects.py",
    "stateguard/mirror/cadence.py",
    "stateguard/mirror/plan.py",
    "stateguard/transition/plan.py",
    "stateguard/respond/advisor.py",
    "stateguard/respond/authority.py",
    "stateguard/respond/cadence.py",
    "stateguard/respond/lifecycle.py",
    "stateguard/respond/loopguard.py",
    "stateguard/respond/plan.py",
    "stateguard/respond/promote.py",
    "stateguard/respond/withdraw.py",
    "stateguard/trust/roles.py",
)
IMPURE_MODULES = frozenset(
    {
        "asyncio",
        "io",
        "logging",
        "os",
        "pathlib",
        "random",
        "shutil",
        "socket",
        "sqlite3",
        "subprocess",
        "tempfile",
        "threading",
        "time",
    }
)
IMPURE_CALLS = frozenset({"__import__", "input", "open", "print"})
CLOCK_CLASSES = frozenset({"date", "datetime"})
CLOCK_READINGS = frozenset({"now", "today", "utcnow"})


def impurities(tree: ast.Module) -> list[str]:
    """Name the imports, calls and clock readings that a pure module must not have."""
    clocks = _names_of_clocks(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"line {node.lineno}: imports {name.name}" for name in node.names if _is_impure(name.name)]
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and node.module and _is_impure(node.module):
                found.append(f"line {node.lineno}: imports from {node.module}")
        elif isinstance(node, ast.Call):
            name = _called(node)
            if name in IMPURE_CALLS:
                found.append(f"line {node.lineno}: calls {name}()")
        elif isinstance(node, ast.Attribute) and node.attr in CLOCK_READINGS and _is_clock(node.value, clocks):
            found.append(f"line {node.lineno}: reads the clock with {node.attr}()")
    return found


def _is_impure(module: str) -> bool:
    return module.partition(".")[0] in IMPURE_MODULES


def _called(call: ast.Call) -> str | None:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="builtins"), attr=name):
            return name
    return None


def _names_of_clocks(tree: ast.Module) -> frozenset[str]:
    """Collect what the module calls `datetime.datetime` and `datetime.date`."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "datetime")
    return CLOCK_CLASSES | {
        name.asname or name.name for node in imports for name in node.names if name.name in CLOCK_CLASSES
    }


def _is_clock(value: ast.expr, clocks: frozenset[str]) -> bool:
    match value:
        case ast.Name(id=name):
            return name in clocks
        case ast.Attribute(attr=name):
            return name in CLOCK_CLASSES
    return False


def pure_files(root: Path = ROOT) -> list[Path]:
    """List the pure modules that exist."""
    modules = [root / name for name in PURE_MODULES]
    return python_files(*PURE_PACKAGES, root=root) + [path for path in modules if path.is_file()]


def test_pure_modules_are_pure() -> None:
    found = [f"{named(path)}: {problem}" for path in pure_files() for problem in impurities(parse(path))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("module", sorted(IMPURE_MODULES))
def test_an_impure_import_is_found(module: str) -> None:
    assert impurities(ast.parse(f"import {module}")) == [f"line 1: imports {module}"]
    assert impurities(ast.parse(f"from {module} import x")) == [f"line 1: imports from {module}"]


@pytest.mark.parametrize(
    "source",
    [
        "import os.path",
        "import json, os as operating_system",
        "def f():\n    import time",
        "if TYPE_CHECKING:\n    from pathlib import Path",
        "open('file')",
        "f(print('hello'))",
        "input()",
        "__import__('os')",
        "builtins.open('file')",
        "from datetime import datetime\nx = datetime.now(UTC)",
        "from datetime import datetime as Moment\nx = Moment.utcnow()",
        "import datetime\nx = datetime.datetime.now()",
        "import datetime as dt\nx = dt.date.today()",
        "@dataclass\nclass A:\n    at: datetime = field(default_factory=datetime.now)",
    ],
)
def test_an_impurity_is_found(source: str) -> None:
    assert len(impurities(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import re\nfrom datetime import UTC, datetime, timedelta",
        "from . import time",
        "from stateguard.model.moment import now",
        "def f(now):\n    return now + timedelta(seconds=1)",
        "moment.now",
        "valve.open()",
        "datetime.fromtimestamp(0, UTC)",
    ],
)
def test_what_is_pure_is_let_through(source: str) -> None:
    assert impurities(ast.parse(source)) == []


def test_pure_packages_are_searched_in_depth(tmp_path: Path) -> None:
    """Every file of a pure package counts, and of the other packages the modules named."""
    wanted = ["stateguard/model/deep/a.py", "stateguard/respond/plan.py", "stateguard/transition/plan.py"]
    for name in [*wanted, "stateguard/respond/store.py", "stateguard/transition/engine.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert sorted(named(path, tmp_path) for path in pure_files(tmp_path)) == wanted
