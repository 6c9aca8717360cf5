"""The example system: copied with free ports, and broken on purpose by its scenarios."""

from __future__ import annotations

import random
import re
import shutil
import socket
from pathlib import Path
from typing import Any, cast

from stateguard.config.resources import shipped
from stateguard.config.yaml import load
from stateguard.errors import NotFoundError, RefusedError

_PORTS = re.compile(r"\b910[1-6]\b")
_SHIPPED_PORTS = tuple(range(9101, 9107))
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
    return sorted(p.name for p in (shipped("example-state") / "scenarios").iterdir() if (p / "scenario.yaml").is_file())


def scenario(name: str) -> dict[str, Any]:
    """Return what a scenario changes and what should happen.

    Raises:
        NotFoundError: there is none of that name.
    """
    if name not in scenarios():
        raise NotFoundError(f"there is no scenario {name!r}", next_step=f"scenarios: {', '.join(scenarios())}")
    path = shipped("example-state") / "scenarios" / name / "scenario.yaml"
    return cast("dict[str, Any]", load(path.read_bytes(), path.name).value)


def play(directory: Path, name: str) -> dict[str, Any]:
    """Make a scenario's change in a copy or clone of the example.

    Raises:
        NotFoundError: there is no such scenario.
        RefusedError: the directory is no copy of the example, or holds the change already.
    """
    told = scenario(name)
    edits = []
    for change in told["change"]:
        path = directory / change["path"]
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if text.count(change["find"]) != 1:
            raise RefusedError(f"{path} is not as the example has it", next_step="use a fresh clone of the example")
        edits.append((path, text.replace(change["find"], change["replace"])))
    for path, text in edits:
        path.write_text(text, encoding="utf-8")
    return {"summary": told["summary"], "changed": [c["path"] for c in told["change"]], "expected": told["expect"]}
