"""Make the example's modules importable and its agents startable."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from .system import EXAMPLE, System

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

sys.path.insert(0, str(EXAMPLE / "bin"))
sys.dont_write_bytecode = True


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """Yield a copy of the example on free ports; stop what it started."""
    copy = System(tmp_path / "live")
    yield copy
    copy.stop_all()
