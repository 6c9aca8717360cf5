"""A copy of the example on free ports, with real processes."""

from __future__ import annotations

import http.client
import json
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any, Final

from stateguard.demo.example import play

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "example-state"
NAMES: Final = (
    "parent",
    "nutrition",
    "planning",
    "optimization",
    "shopping",
    "analytics",
)
FIRST_PORT: Final = 9101
DEADLINE: Final = 5.0
_CANDIDATES = count(20_000 + time.time_ns() // 1000 % 5000)


def _binds(port: int) -> bool:
    with socket.socket() as attempt:
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port below those that outgoing connections use."""
    return next(port for port in _CANDIDATES if _binds(port))


class System:
    """The example, copied and running."""

    def __init__(self, root: Path) -> None:
        """Copy the example and give every agent a free port."""
        self.root = root
        self.ports = {name: free_port() for name in NAMES}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__"))
        for path in root.rglob("*.yaml"):
            text = path.read_text()
            for offset, name in enumerate(NAMES):
                text = text.replace(str(FIRST_PORT + offset), str(self.ports[name]))
            path.write_text(text)

    def edit(self, scenario: str) -> None:
        """Make the change of a scenario."""
        play(self.root, scenario)

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start an agent with the environment that its specification gives."""
        spec = (self.root / "agents" / name / "agent.yaml").read_text()
        found = re.search(r'^environment: \{(\w+): "(\d+)"\}$', spec, re.MULTILINE)
        assert found
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-B", "bin/agent.py", f"agents/{name}/agent.yaml"],
            cwd=self.root,
            env={found[1]: found[2]},
            stdout=subprocess.PIPE,
            text=True,
        )
        return self.processes[name]

    def start_all(self) -> None:
        """Start the six agents and wait until each listens."""
        for name in NAMES:
            self.start(name)
        for name in NAMES:
            assert "listening" in self.first_line(name)
            assert self.health(name)[0] == http.client.OK

    def first_line(self, name: str) -> str:
        """Return the first line of an agent's log."""
        stream = self.processes[name].stdout
        assert stream
        assert select.select([stream], [], [], DEADLINE)[0], f"{name} says nothing"
        return stream.readline()

    def stop(self, name: str) -> int:
        """Stop an agent with TERM and return its exit status."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return process.returncode

    def stop_all(self) -> None:
        """Stop everything that was started."""
        for name in list(self.processes):
            self.stop(name)

    def request(self, name: str, path: str, body: str | None = None) -> tuple[int, str]:
        """Send a request to an agent; return status and body."""
        link = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=DEADLINE)
        try:
            link.request("POST" if body is not None else "GET", path, body)
            response = link.getresponse()
            return response.status, response.read().decode()
        finally:
            link.close()

    def health(self, name: str) -> tuple[int, str]:
        """Return the status and body of an agent's health."""
        return self.request(name, "/health")

    def say(self, text: str, agent: str = "parent") -> dict[str, Any]:
        """Say something and return the answer."""
        message = {"text": text, "conversation": "test"}
        status, body = self.request(agent, "/message", json.dumps(message))
        answer = json.loads(body)
        assert status == http.client.OK, answer
        assert isinstance(answer, dict)
        return answer

    def probe(self) -> tuple[int, str]:
        """Run the functional probe; return its exit status and output."""
        done = subprocess.run(
            [sys.executable, "-B", "bin/probe_plan.py"],
            cwd=self.root,
            env={},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
        assert not done.stderr
        return done.returncode, done.stdout.strip()
