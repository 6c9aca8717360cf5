"""Where the tests' agents run, and the agents themselves: small Python and shell programs."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from stateguard.host.home import Home
from stateguard.model.agent import AgentSpec, Restart, StopPolicy

IDENTITY = "test-home-"

SLEEPS = "import time; time.sleep(600)"
IGNORES_TERM = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("grandchild.tmp", "w").write(str(child.pid))
os.rename("grandchild.tmp", "grandchild")
time.sleep(600)
"""


@dataclass
class Setting:
    """A home, a live directory, and what the runtime has told."""

    home: Home
    live: Path
    identity: str
    told: list[tuple[float, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def changed(self, name: str) -> None:
        """Note that the runtime told of a change."""
        with self.lock:
            self.told.append((time.monotonic(), name))

    def log(self, name: str) -> str:
        """Return what an agent has written."""
        path = self.home.logs / "agents" / f"{name}.log"
        return path.read_text() if path.exists() else ""


def python(
    name: str,
    program: str,
    *,
    restart: Restart = Restart.ALWAYS,
    grace_seconds: float = 5.0,
    environment: tuple[tuple[str, str], ...] = (),
    signal_name: str = "TERM",
    drain_url: str | None = None,
) -> AgentSpec:
    """Describe an agent that runs a Python program."""
    stop = StopPolicy(signal_name, grace_seconds, drain_url)
    return AgentSpec(name, (sys.executable, "-c", program), restart=restart, stop=stop, environment=environment)


def shell(name: str, program: str, *, restart: Restart = Restart.ALWAYS, grace_seconds: float = 5.0) -> AgentSpec:
    """Describe an agent that runs a shell program; starts faster than Python."""
    return AgentSpec(name, ("sh", "-c", program), restart=restart, stop=StopPolicy("TERM", grace_seconds))
