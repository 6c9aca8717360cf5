"""A wall clock that jumps while a journey is under way, for processes that libfaketime was loaded into.

A fault reads ``POINT:N:ACT[,ACT...]``: at the N-th passage of a point (``*``: any) the clock goes ``forward=SECONDS``
or ``back=SECONDS``; a second jump follows at the next passage; with ``later`` the jump comes while the step that has
just begun waits; ``kill`` kills the guard there. Only the wall clock jumps: the boot clock, by which the guard is to
measure what it waits for, and the kernel's times of files stay true.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import time
from pathlib import Path

from faults.kinds import Trial
from faults.processes import reap, watch_over_orphans
from faults.scene import Struck, play
from faults.waits import WAITS
from stateguard import faults

LATER_SECONDS = 0.7
_FILE = "FAKETIME_TIMESTAMP_FILE"


def library() -> str:
    """Return where libfaketime lies; nothing if it is not there."""
    found = sorted(Path("/usr").glob("lib*/**/faketime/libfaketimeMT.so.1"))
    return str(found[0]) if found else ""


def environment(clock: Path) -> dict[str, str]:
    """Return the environment of a process whose wall clock goes as a file says; the file is written anew."""
    turn(clock, 0)
    true = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    return {**os.environ, **true, "LD_PRELOAD": library(), _FILE: str(clock), "FAKETIME_NO_CACHE": "1"}


def turn(clock: Path, seconds: int) -> None:
    """Let the wall clock be wrong by so many seconds from now on; whoever reads it never finds half a number."""
    written = clock.with_suffix(".new")
    written.write_text(f"{seconds:+d}\n", encoding="ascii")
    written.rename(clock)


class Jumping(Struck):
    """Turns the clock at a named point, and kills the guard there if that is asked for."""

    def __init__(self, clock: Path) -> None:
        """``clock`` is the file that says how wrong the wall clock is."""
        super().__init__()
        self._clock = clock
        self._hears = _Listener("", 0, (), clock)

    def arm(self, fault: str) -> None:
        """Arm a fault."""
        if not fault:
            return
        name, number, told = fault.split(":")
        acts = told.split(",")
        self._hears = _Listener(name, int(number), tuple(acts), self._clock)
        faults.record(self._hears)
        faults.arm(f"{name}:{number}:kill" if "kill" in acts else None)

    def came(self) -> bool:
        """Say, in the process it was to strike, whether the clock has jumped."""
        faults.record(None)
        return self._hears.jumped


class _Listener(list[str]):
    """Hears every passage of a point, and turns the clock at the right ones."""

    def __init__(self, name: str, number: int, acts: tuple[str, ...], clock: Path) -> None:
        super().__init__()
        self._name, self._left, self._clock = name, number, clock
        self._later = "later" in acts
        self._jumps = [_seconds(act) for act in acts if "=" in act]
        self.jumped = False

    def append(self, name: str) -> None:
        """Hear that a point is passed."""
        if self._name in (name, "*"):
            self._left -= 1
        if self._left <= 0 and self._jumps:
            seconds, self.jumped = self._jumps.pop(0), True
            if self._later:
                threading.Timer(LATER_SECONDS, turn, (self._clock, seconds)).start()
            else:
                turn(self._clock, seconds)


def _seconds(act: str) -> int:
    what, _, number = act.partition("=")
    return int(number) if what == "forward" else -int(number)


def steady_sleep() -> None:
    """Let ``time.sleep`` do without ``clock_nanosleep``, which libfaketime refuses while the boot clock is true."""
    time.sleep = _sleep


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


def serve() -> None:
    """Run one trial after the other, as lines of JSON ask for them: its text, and its room; answer with its result."""
    watch_over_orphans()
    steady_sleep()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    clock = Path(os.environ[_FILE])
    for line in sys.stdin:
        asked = json.loads(line)
        trial = Trial.parse(asked["trial"])
        turn(clock, 0)
        alone = not any("kill" in fault for fault in trial.faults)
        result = play(trial, Path(asked["room"]), Jumping(clock), WAITS.get(trial.journey), must_end=alone)
        answers.write(json.dumps(result.as_json()) + "\n")
        answers.flush()
        reap()


if __name__ == "__main__":
    serve()
