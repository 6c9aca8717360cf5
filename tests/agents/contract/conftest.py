from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.contract.places import AttachPlace, EmbeddedPlace, ManagedPlace, Place, ScriptInit, SupervisorProcess
from agents.setting import IDENTITY, Setting
from stateguard.agents.runtime import GuardRuntime
from stateguard.host.home import Home


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def supervisor(live: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupervisorProcess]:
    """One real supervisord for all tests of a module."""
    made = SupervisorProcess(tmp_path_factory.mktemp("sv"), live).start()
    yield made
    made.stop()


@pytest.fixture
def setting(live: Path, tmp_path: Path) -> Setting:
    home = Home(tmp_path / "home")
    home.create()
    return Setting(home, live, f"{IDENTITY}{os.getpid()}-{tmp_path.parent.name}-{tmp_path.name}")


@pytest.fixture(params=["embedded", "attach", "supervisor", "command"])
def place(request: pytest.FixtureRequest, setting: Setting, tmp_path: Path) -> Iterator[Place]:
    """Each kind of runtime, one after the other."""
    if request.param == "embedded":
        yield EmbeddedPlace(setting)
    elif request.param == "attach":
        yield AttachPlace(setting)
    elif request.param == "supervisor":
        supervisor = request.getfixturevalue("supervisor")
        yield ManagedPlace(setting, {"supervisor": {"socket": str(supervisor.socket)}}, supervisor)
    else:
        init = ScriptInit(tmp_path / "init", setting.live)
        yield ManagedPlace(setting, init.runtime(), init)
        init.stop()


@pytest.fixture
def make(place: Place) -> Iterator[Callable[[], GuardRuntime]]:
    """Make runtimes, one after the other; whatever the last one knows is stopped in the end."""
    made: list[GuardRuntime] = []

    def new() -> GuardRuntime:
        made.append(place.runtime())
        return made[-1]

    yield new
    for runtime in made[:-1]:
        runtime.close()
    for runtime in made[-1:]:
        for name in runtime.statuses():
            assert runtime.stop(name)
        runtime.close()


@pytest.fixture
def runtime(make: Callable[[], GuardRuntime]) -> GuardRuntime:
    return make()
