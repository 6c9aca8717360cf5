"""How soon a failing probe brings the agents back, and what an idle guard costs: real agents, real probes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from benchmarks.guarded import Guarded
from benchmarks.timing import Row, say

_IDLE_SECONDS = 60.0
_EVERY_SECOND = "period_seconds: 1\n"
_AGENT = """\
name: {name}
role: domain
command: [sh, bin/agent.sh, {name}]
restart_on: ["config/**"]
"""
_STATE = """\
apiVersion: stateguard/v1
probes:
  - name: judge
    kind: readiness
    command: [sh, bin/judge.sh]
    period_seconds: 0.5
    failure_threshold: 1
response: {confirm_window: 20s, soak: 30d, rollbacks_per_hour: 90, rollbacks_per_day: 90}
ignore: [moments/]
"""
_RUNS = 'mkdir -p moments; date +%s%N > "moments/$1"; exec sleep 100000\n'
_JUDGE = """\
grep -q wrong config/shared.txt || exit 0
date +%s%N >> moments/failed; exit 1
"""


def rows(root: Path, rounds: int) -> Iterator[Row]:
    """Measure the way from a failed probe to the first agent that starts again, and an idle guard."""
    for agents, most in ((6, 0.150), (100, 2.0)):
        say(f"{agents} agents: from a failed probe to the first start")
        took = _failures(root / f"agents{agents}", agents, rounds)
        yield Row(f"failed probe until the first of {agents} agents starts again", 0, 0, took, most=most)
    say(f"an idle guard, twice for {_IDLE_SECONDS:.0f} s")
    share = _idle(root / "calm", "period_seconds: 2\n")
    yield Row(
        "idle guard, six agents and the whole state probed every 2 s: share of a core", 0, 0, share, most=1.0, unit="%"
    )
    share = _idle(root / "idle", _EVERY_SECOND)
    yield Row("idle guard of the example, seven of eight probes every second: share of a core", 0, 0, share, unit="%")


def synthetic(source: Path, agents: int) -> Path:
    """Write a system of agents that only note when they start, with a probe that a word in a file fails."""
    files = {
        "stateguard.yaml": _STATE, "bin/agent.sh": _RUNS, "bin/judge.sh": _JUDGE, "config/shared.txt": "fine\n",
    }  # fmt: skip
    files |= {f"agents/a{n}/agent.yaml": _AGENT.format(name=f"a{n}") for n in range(agents)}
    for path, text in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text, encoding="ascii")
    return source


def _failures(root: Path, agents: int, rounds: int) -> tuple[float, ...]:
    guarded = Guarded(root)
    try:
        guarded.begin(synthetic(root / "source", agents))
        guarded.wait(lambda s: s["health"] == "HEALTHY")
        return tuple(_failure(guarded, turn) for turn in range(rounds))
    finally:
        guarded.end()


def _failure(guarded: Guarded, turn: int) -> float:
    """Push what fails the probe; returns the seconds from the failure that decides to the first start that follows.

    While agents start, a failure counts only once the probe's own period is over: that is its patience, not the
    guard's. The failure that decides is the last one before the rollback's first step.
    """
    shared = guarded.clone / "config" / "shared.txt"
    shared.write_text(f"wrong {turn}\n", encoding="ascii")
    guarded.commit("Fail the probe")
    try:
        guarded.push()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("a state whose probe fails was accepted")
    guarded.wait(lambda s: s["health"] == "HEALTHY" and not s["transition"])
    if (guarded.live / "config/shared.txt").read_text(encoding="ascii") != "fine\n":
        raise RuntimeError("the state that failed is still live")
    guarded.sync()
    moments = {p.name: list(map(int, p.read_text(encoding="ascii").split())) for p in _moments(guarded)}
    going_back = _going_back_since(guarded)
    failed = max(at for at in moments.pop("failed") if at <= going_back)
    first = min(at for times in moments.values() for at in times if at > failed)
    return (first - failed) / 1e9


def _moments(guarded: Guarded) -> list[Path]:
    return list((guarded.live / "moments").iterdir())


def _going_back_since(guarded: Guarded) -> int:
    """Return when the last rollback began its first step, in nanoseconds of Unix time."""
    lines = map(json.loads, (guarded.root / "guard.log").read_text(encoding="utf-8").splitlines())
    found = [line["at"] for line in lines if (line.get("kind"), line.get("step")) == ("rollback", "stop")]
    return int(datetime.fromisoformat(found[-1]).timestamp() * 1e9)


def _idle(root: Path, period: str) -> tuple[float, ...]:
    """Let a guard probe the example's agents, as often as said, for a while; returns the share of a core it used."""
    guarded = Guarded(root)
    try:
        guarded.command("example", root / "example")
        for path in (root / "example").rglob("*.yaml"):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(_EVERY_SECOND, period), encoding="utf-8")
        guarded.begin(root / "example")
        guarded.wait(lambda s: s["health"] == "HEALTHY")
        before, began = guarded.processor_seconds(), time.monotonic()
        time.sleep(_IDLE_SECONDS)
        share = (guarded.processor_seconds() - before) / (time.monotonic() - began)
    finally:
        guarded.end()
    return (100 * share,)
