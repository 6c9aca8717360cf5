from __future__ import annotations

from pathlib import Path

import pytest

from stateguard.state.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path / "repo.git", served=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Make a repository for hypothesis, whose examples add objects and nothing else."""
    return Repository.create(tmp_path_factory.mktemp("shared") / "repo.git", served=False)
