"""The example system: copied with free ports, and broken on purpose by its scenarios."""

from __future__ import annotations

import random
import re
import shutil
import socket
from pathlib import Path
from typing import Any

from stateguard.config.resources import shipped
from stateguard.demo.scenario import SCENARIO_FILE, Change, Scenario, read_scenario
from stateguard.errors import NotFoundError, RefusedError

_PORTS = re.compile(r"\b910[1-6]\b")
_SHIPPED_PORTS = tuple(range(9101, 9107))
_PROVIDER_PORT = "9107"
_LOWEST, _TRIES = 10000, 500
_LEFT_OUT = ("scenarios", "__pycache__", "README.md")


def copy_example(directory: Path) -> list[int]:
    """Copy the example, its ports replaced by free ones; returns them.

    Raises:
        RefusedError: the directory exists and is not empty.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RefusedError(f"{directory} exists and is not empty", next_step="name a new directory")
    ports = free_ports(len(_SHIPPED_PORTS))
    shutil.copytree(shipped("example-state"), directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    replaced = dict(zip(map(str, _SHIPPED_PORTS), map(str, ports), strict=True))
    for path in sorted(directory.rglob("*.yaml")):
        path.write_text(_PORTS.sub(lambda m: replaced[m.group()], path.read_text(encoding="utf-8")), encoding="utf-8")
    return ports


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on, in ascending order.

    They lie outside the range from which the kernel takes ports for outgoing connections, so none of those can
    take one away while an agent restarts.

    Raises:
        RefusedError: none were found.
    """
    limits = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    highest = int(limits[0]) - 1 if int(limits[0]) > _LOWEST + _TRIES else 65535
    chosen: set[int] = set()
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, highest)  # noqa: S311 - any free port will do
        if port not in chosen and _is_free(port):
            chosen.add(port)
        if len(chosen) == count:
            return sorted(chosen)
    raise RefusedError("no free ports were found on 127.0.0.1", next_step="end what listens there")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def scenarios() -> list[str]:
    """Return the names of the scenarios."""
    return sorted(p.name for p in (shipped("example-state") / "scenarios").iterdir() if (p / SCENARIO_FILE).is_file())


def scenario(name: str) -> Scenario:
    """Return what a scenario changes and what should happen.

    Raises:
        NotFoundError: there is none of that name.
    """
    if name not in scenarios():
        raise NotFoundError(f"there is no scenario {name!r}", next_step=f"scenarios: {', '.join(scenarios())}")
    return read_scenario(shipped("example-state") / "scenarios" / name / SCENARIO_FILE)


def play(directory: Path, name: str) -> dict[str, Any]:
    """Make a scenario's change in a copy or clone of the example.

    Raises:
        NotFoundError: there is no such scenario.
        RefusedError: the directory is no copy of the example, or holds the change already.
    """
    told = scenario(name)
    texts: dict[Path, str] = {}
    for change in told.change:
        path = directory / change.path
        texts[path] = _edited(path, texts.get(path), change)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return {
        "summary": told.summary,
        "story": told.story.strip(),
        "changed": [str(path.relative_to(directory)) for path in texts],
        "before": [step.words() for step in told.before],
        "after": [step.words() for step in told.after],
        "expected": told.expect.model_dump(),
        "in_words": told.expect.words(),
    }


def _edited(path: Path, text: str | None, change: Change) -> str:
    """Return the text of a file after one more edit; ``text`` is what earlier edits made of it."""
    if text is None and path.is_file():
        text = path.read_text(encoding="utf-8")
    if change.find is not None and change.replace is not None and text is not None and text.count(change.find) == 1:
        return text.replace(change.find, change.replace)
    if change.add is not None and text is None and path.parent.is_dir():
        return change.add.replace(_PROVIDER_PORT, str(free_ports(1)[0]))
    raise RefusedError(f"{path} is not as the example has it", next_step="use a fresh clone of the example")
