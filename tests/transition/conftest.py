from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
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
def copies(template: Home, tmp_path: Path) -> Iterator[Callable[[], Setting]]:
    """Make guards at work on running copies of the small system; each ends before the next."""
    identity = read_identity(template)
    made: list[Setting] = []

    def end() -> None:
        faults.arm(None)
        faults.record(None)
        while made:
            one = made.pop()
            one.end()
            kill_agents(identity)
            shutil.rmtree(one.home.root)

    def new() -> Setting:
        end()
        made.append(Setting(copied(template, tmp_path)))
        made[-1].restart()
        return made[-1]

    yield new
    end()


@pytest.fixture
def setting(copies: Callable[[], Setting]) -> Setting:
    """Yield a guard at work on a running copy of the small system."""
    return copies()
