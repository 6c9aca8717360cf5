"""Folders are floors: imports only go down, and packages on the same floor do not import each other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from architecture.sources import ROOT

CONTRACT_FILE = ROOT / "pyproject.toml"


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the project's contracts over the package in a folder."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())",
            "--config",
            str(root / CONTRACT_FILE.name),
            "--no-cache",
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """Make a small package that keeps to the floors, with the project's contracts."""
    shutil.copy(CONTRACT_FILE, tmp_path)
    sources = {
        "__init__.py": "",
        "__main__.py": "from stateguard import cli\n",
        "errors.py": "",
        "cli/__init__.py": "import stateguard.guard\n",
        "guard/__init__.py": "import stateguard.state, stateguard.live\n",
        "state/__init__.py": "import stateguard.model\n",
        "live/__init__.py": "import stateguard.errors\n",
        "model/__init__.py": "import stateguard.errors\n",
        "text/__init__.py": "",
    }
    for name, source in sources.items():
        path = tmp_path / "stateguard" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


@pytest.mark.skipif(not (ROOT / "stateguard" / "__init__.py").is_file(), reason="there is no package yet")
def test_imports_only_go_down() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_package_that_keeps_to_the_floors_passes(made_up: Path) -> None:
    result = lint_imports(made_up)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("state", "stateguard.guard"),
        ("errors", "stateguard.model"),
        ("guard", "stateguard.cli"),
    ],
)
def test_an_import_that_goes_up_is_found(made_up: Path, module: str, imported: str) -> None:
    package = made_up / "stateguard" / module
    path = package / "up.py" if package.is_dir() else package.with_suffix(".py")
    path.write_text(f"import {imported}\n")
    assert "not allowed to import" in lint_imports(made_up).stdout


@pytest.mark.parametrize(("module", "sibling"), [("live", "state"), ("text", "model"), ("model", "text")])
def test_an_import_of_a_sibling_is_found(made_up: Path, module: str, sibling: str) -> None:
    (made_up / "stateguard" / module / "aside.py").write_text(f"import stateguard.{sibling}\n")
    assert "not allowed to import" in lint_imports(made_up).stdout


def test_a_package_on_no_floor_is_found(made_up: Path) -> None:
    (made_up / "stateguard" / "utils.py").write_text("")
    result = lint_imports(made_up)
    assert result.returncode != 0
    assert "utils" in result.stdout + result.stderr
