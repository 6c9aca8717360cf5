from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from record.setting import Books
from stateguard import faults
from stateguard.state.repository import Repository


@pytest.fixture(scope="session")
def new_repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make both repositories once; each test gets a copy."""
    made = tmp_path_factory.mktemp("new")
    Repository.create(made / "repo.git", served=True)
    Repository.create(made / "captured.git", served=False)
    return made


@pytest.fixture
def books(tmp_path: Path, new_repositories: Path) -> Iterator[Books]:
    shutil.copytree(new_repositories, tmp_path, dirs_exist_ok=True)
    made = Books(tmp_path)
    yield made
    faults.arm(None)
    made.database.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, new_repositories: Path) -> Iterator[Books]:
    """Make books for hypothesis, whose examples undo what they did."""
    root = tmp_path_factory.mktemp("books")
    shutil.copytree(new_repositories, root, dirs_exist_ok=True)
    made = Books(root)
    yield made
    made.database.close()
