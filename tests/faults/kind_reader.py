"""A process that reads the live files all the while: each file is wholly of one of the states, and never missing."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterable
from multiprocessing.synchronize import Event
from pathlib import Path

from faults.kinds import Outcome, Result, Trial
from faults.system import CHANGE, files
from stateguard.guard.compose import read_identity
from stateguard.host.home import Home
from transition.setting import Setting, copied, founded, kill_agents

_ROUNDS = 6
_PATHS = ("config/shared.txt", "config/helper.txt", "agents/helper/prompt.md", "bin/tool.sh")
"""What both states have, with other bytes."""


class Reader:
    """One trial: some changes and their rollbacks under the eyes of a reader."""

    name, default, counts = "reader", 3, True

    def __init__(self) -> None:
        """Nothing is made before the first trial."""
        self._template: Home | None = None

    def available(self) -> str:
        """Return nothing: it can be tried everywhere."""
        return ""

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return as many trials; each changes the files again and again."""
        return (Trial(self.name, "apply", (f"rounds={_ROUNDS}",), seed + n) for n in range(number))

    def close(self) -> None:
        """Leave nothing: everything lies in the directory that the caller removes."""

    def run(self, trial: Trial, room: Path) -> Result:
        """Push and push back, while another process reads."""
        began = time.monotonic()
        if self._template is None:
            place = room.parent / f"reader-{room.name}"
            place.mkdir()
            self._template = founded(place, files())
        setting = Setting(copied(self._template, room))
        setting.restart()
        stop, problems = multiprocessing.Event(), multiprocessing.Queue()
        reader = multiprocessing.Process(target=_read, args=(setting.guard.live, trial.seed, stop, problems))
        reader.start()
        try:
            for _ in range(int(trial.faults[0].removeprefix("rounds="))):
                old = {path: files()[path] for path in _PATHS}
                for state in ({path: CHANGE[path] for path in _PATHS}, old):
                    assert setting.push(setting.commit(state), token=str(time.monotonic_ns())).accepted
        finally:
            stop.set()
            seen, found = problems.get(timeout=60)
            reader.join()
            setting.end()
            kill_agents(read_identity(self._template))
        if found or not seen:
            return Result(trial, Outcome.TORN, time.monotonic() - began, found or "nothing was read")
        return Result(trial, Outcome.SURVIVED, time.monotonic() - began)


def _read(live: Path, seed: int, stop: Event, problems: multiprocessing.Queue[tuple[int, str]]) -> None:
    whole = {path: {files()[path].encode(), str(CHANGE[path]).encode()} for path in _PATHS}
    chance, seen, found = random.Random(seed), 0, ""
    while not stop.is_set() and not found:
        path = chance.choice(_PATHS)
        try:
            content = (live / path).read_bytes()
        except OSError as error:
            found = f"{path}: {error}"
            continue
        seen += 1
        if content not in whole[path]:
            found = f"{path} held {content!r}"
    problems.put((seen, found))


KIND = Reader()
