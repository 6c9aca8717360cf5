from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stateguard import faults
from stateguard.guard.compose import read_identity
from stateguard.host.home import Home
from transition.setting import Setting, copied, founded, kill_agents, small_system


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Found the small system once; the tests work on copies."""
    return founded(tmp_path_factory.mktemp("template"), small_system())


@pytest.fixture
def setting(template: Home, tmp_path: Path) -> Iterator[Setting]:
    """Yield a guard at work on a running copy of the small system."""
    made = Setting(copied(template, tmp_path))
    try:
        made.restart()
        yield made
    finally:
        faults.arm(None)
        faults.record(None)
        made.end()
        kill_agents(read_identity(template))
