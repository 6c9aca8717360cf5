from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.setting import IDENTITY, Setting
from stateguard.agents.child import VARIABLE
from stateguard.agents.process import ProcessRuntime
from stateguard.agents.runtime import AgentRuntime
from stateguard.host.home import Home
from stateguard.host.process import with_variable
from stateguard.host.secrets import Secrets

ADAPTERS: dict[str, Callable[[Setting], AgentRuntime]] = {
    "process": lambda setting: ProcessRuntime(
        setting.live,
        setting.home,
        setting.identity,
        setting.changed,
        secret=lambda name, _: Secrets(setting.home.secrets).value(name),
    ),
}


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    """Make a home and a live directory; whatever was started for them is killed in the end."""
    home = Home(tmp_path / "home")
    home.create()
    live = tmp_path / "live"
    live.mkdir()
    made = Setting(home, live, f"{IDENTITY}{os.getpid()}-{tmp_path.parent.name}-{tmp_path.name}")
    yield made
    for pid, value in list(with_variable(VARIABLE)):
        if value.startswith(made.identity + ":"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


@pytest.fixture(params=sorted(ADAPTERS))
def make(request: pytest.FixtureRequest, setting: Setting) -> Iterator[Callable[[], AgentRuntime]]:
    """Make runtimes, one after the other, as guards that follow each other would."""
    made: list[AgentRuntime] = []

    def new() -> AgentRuntime:
        made.append(ADAPTERS[request.param](setting))
        return made[-1]

    yield new
    for runtime in made:
        runtime.close()


@pytest.fixture
def runtime(make: Callable[[], AgentRuntime]) -> AgentRuntime:
    return make()
