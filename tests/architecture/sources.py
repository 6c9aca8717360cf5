"""Find the project's own files, for the tests of its architecture."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED_FOLDERS = frozenset({".git", ".venv", "build", "demo", "dist"})


def python_files(*folders: str, root: Path = ROOT) -> list[Path]:
    """List the Python files below the folders that exist, sorted."""
    return sorted(
        path for folder in folders for path in (root / folder).rglob("*.py") if "__pycache__" not in path.parts
    )


def repository_files(root: Path = ROOT) -> Iterator[Path]:
    """Yield every file that is tracked or would be; without a git repository, every file but what tools leave."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if (root / ".git").exists() and listed.returncode == 0:
        names = sorted(name.decode() for name in listed.stdout.split(b"\0") if name)
        yield from (root / name for name in names if (root / name).is_file())
        return
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        generated = parts[0] in SKIPPED_FOLDERS or any(part == "__pycache__" or "_cache" in part for part in parts)
        if path.is_file() and not generated:
            yield path


def text_of(path: Path) -> str | None:
    """Read a text file; None for a binary one."""
    content = path.read_bytes()
    if b"\0" in content:
        return None
    return content.decode("utf-8", errors="replace")


def parse(path: Path) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def named(path: Path, root: Path = ROOT) -> str:
    """Name a file as people do: relative to the repository."""
    return path.relative_to(root).as_posix()
