from __future__ import annotations

from pathlib import Path

import pytest

from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "live"
    made.mkdir()
    return made


@pytest.fixture
def rules() -> PathRules:
    return PathRules(default_policy())
