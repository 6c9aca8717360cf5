"""Play a scenario of the example as its file says: before, change, push, after."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from driving import Document, Done, Driver, environment
from stateguard.config.yaml import load
from stateguard.demo.example import copy_example, play, scenario
from stateguard.demo.scenario import Scenario, Step

_LONGEST_ANSWER_SECONDS = 10.0
_LOOKS_EVERY = 10


def write_example(directory: Path) -> Path:
    """Copy the example, with windows for a test and a budget for many scenarios."""
    copy_example(directory)
    state = directory / "stateguard.yaml"
    text = state.read_text(encoding="utf-8").replace("confirm_window: 10s", "confirm_window: 8s")
    text = text.replace("soak: 15m", "soak: 5m\n  rollbacks_per_hour: 90\n  rollbacks_per_day: 90")
    state.write_text(text.replace("period_seconds: 1", "period_seconds: 0.5"), encoding="utf-8")
    return directory


class Stage:
    """The running example, and the provider outside of it."""

    def __init__(self, driver: Driver) -> None:
        """Play on this guard."""
        self.driver = driver
        self._provider: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End whatever was started beside the guard."""
        if self._provider is not None:
            self._provider.terminate()
            self._provider.communicate()
            self._provider = None

    def ready(self) -> None:
        """Wait until nothing of an earlier scenario is left, and make the clone equal main."""
        self.driver.wait(lambda s: not s["incidents"] and s["health"] == "HEALTHY" and not s["transition"])
        self.driver.settled()
        self.driver.sync()

    def push(self, name: str) -> tuple[Scenario, Done]:
        """Make the change of a scenario and push it."""
        told = scenario(name)
        play(self.driver.work, name)
        self._take(told.before, lambda: False)
        self.driver.commit(name)
        return told, self.driver.push()

    def after(self, told: Scenario) -> None:
        """Let happen what happens after the push, until it has had its effect."""
        head = self.driver.head
        self._take(told.after, lambda: self.driver.main != head)

    def opened(self, known: Sequence[Document]) -> list[Document]:
        """Return the incidents that were opened since, oldest first, in full."""
        ids = sorted(i["id"] for i in self.driver.ask("incident", "list")["incidents"])
        return [self.driver.ask("incident", "show", str(number)) for number in ids[len(known) :]]

    def start_provider(self) -> None:
        """Open the shop outside."""
        self._provider = subprocess.Popen(
            [sys.executable, "-B", "bin/provider.py"],
            cwd=self.driver.work,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._provider.stdout
        assert self._provider.stdout.readline().startswith("open on ")

    def say(self, text: str) -> Document | None:
        """Say something to the parent as somebody new; returns the answer, or None if there is none."""
        channel = load((self.driver.live / "protocols/user.yaml").read_bytes(), "user.yaml").value
        assert isinstance(channel, dict)
        address = urlsplit(str(channel["endpoint"]))
        link = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_LONGEST_ANSWER_SECONDS)
        try:
            link.request("POST", address.path, json.dumps({"text": text, "conversation": uuid.uuid4().hex}))
            response = link.getresponse()
            answer: Document = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return None
        else:
            return answer if response.status == http.client.OK else None
        finally:
            link.close()

    def _take(self, steps: Sequence[Step], over: Callable[[], bool]) -> None:
        for step in steps:
            if step.provider == "start":
                self.start_provider()
            elif step.provider == "stop":
                self.close()
            for number in range(step.times if step.say else 0):
                if number % _LOOKS_EVERY == _LOOKS_EVERY - 1 and over():
                    break
                self.say(str(step.say))
