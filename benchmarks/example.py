"""The running example: how soon a dead agent shows, and how soon a broken push is taken back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.guarded import Document, Guarded
from benchmarks.timing import Row, say

_THRESHOLD_SECONDS = 3.0
"""So long a probe of the example has to fail until it counts."""


def rows(root: Path, rounds: int) -> Iterator[Row]:
    """Kill an agent, restart one, and push one that does not start."""
    say("the running example")
    guarded = Guarded(root / "example")
    try:
        guarded.command("example", guarded.root / "source")
        guarded.begin(guarded.root / "source")
        _well(guarded)
        crashes = tuple(_crash(guarded) for _ in range(rounds))
        starts = tuple(_start(guarded) for _ in range(rounds))
        backs = tuple(_broken_push(guarded, turn) - _THRESHOLD_SECONDS for turn in range(min(3, rounds)))
    finally:
        guarded.end()
    yield Row("a killed agent until the status shows it", 0, 0, crashes, most=0.2)
    yield Row("an agent's own start, by `stateguard agent restart`", 0, 0, starts)
    yield Row("broken push until all is well on the old state, beyond the probe's threshold", 0, 0, backs, most=3.0)


def _well(guarded: Guarded) -> Document:
    return guarded.wait(lambda s: s["health"] == "HEALTHY" and not s["transition"])


def _agent(guarded: Guarded, name: str) -> Document:
    found: Document = next(a for a in guarded.status()["agents"] if a["name"] == name)
    return found


def _crash(guarded: Guarded) -> float:
    before = _agent(guarded, "shopping")["pid"]
    os.kill(before, signal.SIGKILL)
    began = time.monotonic()
    while _agent(guarded, "shopping")["pid"] == before:
        continue
    took = time.monotonic() - began
    _well(guarded)
    guarded.command("agent", "restart", "shopping")
    _well(guarded)
    return took


def _start(guarded: Guarded) -> float:
    began = time.monotonic()
    guarded.command("agent", "restart", "nutrition")
    _well(guarded)
    return time.monotonic() - began


def _broken_push(guarded: Guarded, turn: int) -> float:
    spec = guarded.clone / "agents/nutrition/agent.yaml"
    broken = f'command: [python3, -c, "raise SystemExit({turn + 1})"]'
    lines = [broken if line.startswith("command:") else line for line in spec.read_text(encoding="utf-8").splitlines()]
    spec.write_text("\n".join(lines) + "\n", encoding="utf-8")
    guarded.commit("Break nutrition")
    began = time.monotonic()
    try:
        guarded.push()
    except RuntimeError:
        _well(guarded)
        took = time.monotonic() - began
    else:
        raise RuntimeError("a broken agent was accepted")
    guarded.sync()
    return took
