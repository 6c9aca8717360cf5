from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.setting import Setting, bare


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.syncing.cancel.cancel()
    made.database.close()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return bare(tmp_path / "mirror.git")
