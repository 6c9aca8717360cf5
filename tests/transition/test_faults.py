"""A push, a failing push and a rollback, interrupted at every fault point.

A sample of the points in a normal run; all of them with ``STATEGUARD_FULL=1`` in the environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from stateguard import faults
from stateguard.errors import StateguardError
from transition.journeys import JOURNEYS, Journey, check
from transition.setting import Setting

ROOT = Path(__file__).resolve().parents[2]
FULL = bool(os.environ.get("STATEGUARD_FULL"))
PARTS = 3 if FULL else 1

KILLED_ONLY = ("agents.spawned",)
"""Points where nothing can fail in earnest: the guard can only be killed there."""

MakeCopy = Callable[[], Setting]
Point = tuple[str, int]

every_kind = pytest.mark.parametrize("kind", sorted(JOURNEYS))
every_part = pytest.mark.parametrize("part", range(PARTS))


def points_of(journey: Journey) -> list[Point]:
    """Return every fault point that a journey passes, and which passage of that point it is."""
    names: list[str] = []
    faults.record(names)
    journey.begin()
    faults.record(None)
    check(journey)
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append((name, seen[name]))
    return found


def sample(points: list[Point], part: int, stride: int) -> list[Point]:
    """Return one part of the points, thinned out unless all are wanted."""
    return points[part::PARTS] if FULL else points[part * stride :: PARTS * stride]


def interrupted(journey: Journey, fault: str) -> bool:
    """Begin a journey under a fault; say whether the fault came out of it."""
    faults.arm(fault)
    try:
        journey.begin()
    except (faults.Cut, StateguardError, OSError):
        return True
    finally:
        faults.arm(None)
    return False


@every_part
@every_kind
def test_after_a_crash_anywhere_it_goes_on(kind: str, part: int, copies: MakeCopy) -> None:
    make = JOURNEYS[kind]
    points = points_of(make(copies()))
    assert len(points) > 60
    for name, nth in sample(points, part, 36):
        print(f"{name}:{nth}")  # noqa: T201 - which point it was, when it fails
        journey = make(copies())
        assert interrupted(journey, f"{name}:{nth}:cut")
        journey.setting.restart()
        assert check(journey) == journey.reaches


@every_kind
def test_after_a_crash_during_recovery_it_goes_on(kind: str, copies: MakeCopy) -> None:
    make = JOURNEYS[kind]
    points = points_of(make(copies()))
    for number, (name, nth) in enumerate(points[5 :: 7 if FULL else 83]):
        journey = make(copies())
        assert interrupted(journey, f"{name}:{nth}:cut")
        for second in (1 + 5 * number, 3):
            print(f"{name}:{nth}, then the point {second} of the recovery")  # noqa: T201 - as above
            faults.arm(f"*:{second}:cut")
            try:
                journey.setting.restart()
            except faults.Cut:
                continue
            finally:
                faults.arm(None)
        journey.setting.restart()
        assert check(journey) == journey.reaches


@every_part
@pytest.mark.parametrize("action", ["eio", "enospc"])
@every_kind
def test_an_error_anywhere_leaves_a_whole_state(kind: str, action: str, part: int, copies: MakeCopy) -> None:
    """What the guard cannot end at once it ends when it is started again, without a person."""
    make = JOURNEYS[kind]
    points = [p for p in points_of(make(copies())) if p[0] not in KILLED_ONLY]
    for name, nth in sample(points, part, 72):
        print(f"{name}:{nth}")  # noqa: T201 - as above
        journey = make(copies())
        came_out = interrupted(journey, f"{name}:{nth}:{action}")
        unfinished = journey.setting.guard.books.journal.unfinished()
        assert came_out or not unfinished
        if unfinished:
            journey.setting.restart()
        check(journey)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("rollback", "journal.planned:1"),
        ("rollback", "agents.stop:1"),
        ("rollback", "live.put:2"),
        ("rollback", "stage.validate:1"),
        ("rollback", "audit.appended:1"),
        ("apply", "live.put:2"),
        ("failing", "journal.planned:2"),
    ],
)
def test_a_guard_that_is_really_killed(kind: str, fault: str, copies: MakeCopy) -> None:
    journey = JOURNEYS[kind](copies())
    journey.setting.end()
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("guard_process.py")), str(journey.setting.home.root), kind],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "STATEGUARD_FAULT": f"{fault}:kill"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    journey.setting.restart()
    assert check(journey) == journey.reaches
