"""The runtime that ``guard.yaml`` asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stateguard.agents.child import Secret
from stateguard.agents.command import CommandManager
from stateguard.agents.managed import ManagedRuntime
from stateguard.agents.process import ProcessRuntime
from stateguard.agents.runtime import GuardRuntime
from stateguard.agents.supervisor import SupervisorManager
from stateguard.host.home import Home
from stateguard.host.reach import ORDINARY, Reach
from stateguard.host.sandbox import UNCONFINED, Sandbox
from stateguard.model.runtime import Embedded, RuntimeSettings, Supervisor


def make_runtime(
    settings: RuntimeSettings,
    live: Path,
    home: Home,
    identity: str,
    changed: Callable[[str], None],
    sandbox: Sandbox = UNCONFINED,
    reach: Reach = ORDINARY,
    secret: Secret | None = None,
) -> GuardRuntime:
    """Return the runtime of these settings; nothing is asked or started yet.

    ``identity`` is the home's id; ``changed`` is called with an agent's name whenever its state has changed.
    ``sandbox`` starts what the guard starts itself, ``reach`` says which addresses may be asked to drain, ``secret``
    returns the secrets of what the guard starts.
    """
    if isinstance(settings, Embedded):
        return ProcessRuntime(live, home, identity, changed, sandbox, reach, secret)
    manager = SupervisorManager(settings) if isinstance(settings, Supervisor) else CommandManager(settings, live)
    return ManagedRuntime(manager, home, changed, reach)
