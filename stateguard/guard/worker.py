"""One thread does everything that writes; others hand it work and listen."""

from __future__ import annotations

import contextlib
import errno
import queue
import threading
from collections.abc import Callable
from typing import Any

from stateguard.errors import StateguardError, UsageProblemError
from stateguard.host.clock import boot_seconds
from stateguard.host.logs import failure, log
from stateguard.model.transition import FORWARD, STAGE_NAMES, Direction, Step
from stateguard.text.words import seconds
from stateguard.transition.journal import Operation


class Voice:
    """What work says on the way: lines, and how far it is."""

    def __init__(self, put: Callable[[dict[str, Any]], object]) -> None:
        """``put`` takes the documents."""
        self._put = put

    def __call__(self, text: str) -> None:
        """Say a line."""
        self._put({"say": text})

    def progress(self, done: int, of: int, title: str) -> None:
        """Say how far it is."""
        self._put({"progress": {"done": done, "of": of, "title": title}})


Work = Callable[[Voice], dict[str, Any]]
"""Does something, says lines on the way, and returns a document."""


class Job:
    """One piece of work and what it says; nobody needs to listen."""

    def __init__(self, work: Work) -> None:
        """Nothing of it is done yet."""
        self._work = work
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._heard: Callable[[], object] = lambda: None

    def say(self, document: dict[str, Any]) -> None:
        """Tell whoever listens."""
        self._said.put(document)
        self._heard()

    def listen(self, heard: Callable[[], object]) -> None:
        """Call this, in whatever thread, each time that there is something to :meth:`take`."""
        self._heard = heard

    def take(self) -> list[dict[str, Any]]:
        """Return what was said since the last time; the last word of all is a result or an error."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._said.get_nowait())
        return found

    def run(self) -> None:
        """Do the work; whatever happens, the listener gets a last word."""
        try:
            result = self._work(Voice(self.say))
        except StateguardError as error:
            self.say(error.as_json())
        except Exception as error:  # noqa: BLE001 - the guard must outlive a fault in one command; it is logged and told
            self.say(_said_of(error).as_json())
        else:
            self.say({"result": result})


def _said_of(error: Exception) -> StateguardError:
    """Return what whoever asked is told of a fault; it is logged, unless the question itself was at fault."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # not repeated: a key may have been pasted
        return UsageProblemError("an argument is too long to be the name of a file", next_step="see: stateguard --help")
    failure("a command failed unexpectedly")
    return StateguardError(f"{type(error).__name__}: {error}", changed="unknown")


class Worker:
    """The queue of jobs."""

    def __init__(self, wake: threading.Event, busy_with: Callable[[], int | None]) -> None:
        """``busy_with`` returns the operation that runs now."""
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._wake, self._busy_with = wake, busy_with
        self._began: float | None = None
        self._current: Job | None = None

    @property
    def waiting(self) -> int:
        """How many jobs wait their turn."""
        return self._jobs.qsize()

    @property
    def busy(self) -> bool:
        """Whether a job is being done."""
        return self._current is not None

    def submit(self, work: Work) -> Job:
        """Hand in work."""
        job = Job(work)
        began, operation = self._began, self._busy_with()
        if began is not None:
            behind = f"operation {operation}" if operation is not None else "another command"
            job.say({"say": f"queued behind {behind}, {seconds(boot_seconds() - began)}"})
        self._jobs.put(job)
        self._wake.set()
        return job

    def progress(self, operation: Operation, step: Step) -> None:
        """Tell whoever listens to the running job how far its transition is, and log it."""
        fields = {"kind": operation.kind, "direction": str(step.direction), "step": str(step.name)}
        log("step", operation=operation.id, **fields)
        if self._current is not None:
            self._current.say(progress(step))

    def run_waiting(self) -> int:
        """Do everything that waits; returns how many jobs that were."""
        done = 0
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return done
            self._began, self._current = boot_seconds(), job
            try:
                job.run()
            finally:
                self._began = self._current = None
            done += 1


def progress(step: Step) -> dict[str, Any]:
    """Return the document that says how far a transition is: steps done, steps in all, what is done now."""
    place = next((n for n, (_, name) in enumerate(FORWARD) if name is step.name), 0)
    back = "" if step.direction is Direction.FORWARD else "back: "
    return {"progress": {"done": place, "of": len(FORWARD), "title": back + STAGE_NAMES[step.stage]}}
