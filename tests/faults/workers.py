"""Worker processes that have imported everything, and run trials one after the other."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import shutil
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from faults.kernel import NEW_MOUNTS, NEW_PROCESSES, die_with_parent, keep_mounts_private, mount, unshare
from faults.kinds import Kind, Outcome, Result, Trial
from faults.processes import reap, watch_over_orphans

APART = frozenset({"kill", "errno", "syscall", "control", "clock"})
"""Kinds whose worker sees no processes but its own, where it may: the guard looks through all there are, often."""


class Workers:
    """Runs trials in forked workers; each trial has a directory of its own below ``root``."""

    def __init__(self, kinds: dict[str, Kind], jobs: int, root: Path, keep: Path) -> None:
        """``keep`` is where directories of trials that were not survived go."""
        self._kinds, self._jobs, self._root, self._keep = kinds, jobs, root, keep

    def run(self, trials: Sequence[Trial]) -> Iterator[Result]:
        """Run trials, and yield their results as they come."""
        jobs = max(1, min(self._jobs, len(trials)))
        workers = [self._start(number, trials[number::jobs]) for number in range(jobs)]
        return self._results(workers)

    def _results(self, workers: list[tuple[int, Connection]]) -> Iterator[Result]:
        left = {receiving: pid for pid, receiving in workers}
        try:
            while left:
                for ready in connection.wait(list(left)):
                    assert isinstance(ready, Connection)
                    try:
                        yield Result.from_json(json.loads(ready.recv_bytes()))
                    except EOFError:
                        os.waitpid(left.pop(ready), 0)
        finally:
            for pid in left.values():
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)

    def _start(self, number: int, trials: Sequence[Trial]) -> tuple[int, Connection]:
        receiving, sending = Pipe(duplex=False)
        pid = os.fork()
        if pid:
            sending.close()
            return pid, receiving
        receiving.close()
        status = 1
        try:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
            if {t.kind for t in trials} <= APART:
                _keep_apart(sending)
            watch_over_orphans()
            gc.freeze()  # what was imported is never touched again, so forks go on sharing it
            room = self._root / f"worker-{number}"
            for trial in trials:
                room.mkdir(parents=True)
                sending.send_bytes(json.dumps(self._one(trial, room).as_json()).encode())
                shutil.rmtree(room, ignore_errors=True)
                reap()
            for kind in self._kinds.values():
                kind.close()
            status = 0
        except BaseException:  # noqa: BLE001 - a forked process must not run on as its parent
            traceback.print_exc()
        finally:
            os._exit(status)

    def _one(self, trial: Trial, room: Path) -> Result:
        began = time.monotonic()
        try:
            result = self._kinds[trial.kind].run(trial, room)
        except Exception:  # noqa: BLE001 - whatever it was, it is this trial's result
            detail = traceback.format_exc(limit=-6)
            result = Result(trial, Outcome.ERROR, time.monotonic() - began, detail)
        if result.outcome is not Outcome.SURVIVED and self._kinds[trial.kind].counts:
            kept = self._keep / re.sub(r"[^A-Za-z0-9_.-]+", "-", trial.text)[:200]
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(room, kept, symlinks=True, ignore_dangling_symlinks=True)
        return result


def _keep_apart(sending: Connection) -> None:
    """Go on in a namespace of processes of our own; without the rights to that, go on as before."""
    with contextlib.suppress(OSError):
        unshare(NEW_MOUNTS | NEW_PROCESSES)
        keep_mounts_private()
        inside = os.fork()
        if inside:
            sending.close()
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inside, 0)[1]) & 0xFF)
        die_with_parent(signal.SIGKILL)
        mount("proc", Path("/proc"), "proc")
