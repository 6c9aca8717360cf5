"""What one check brought."""

from __future__ import annotations

from dataclasses import dataclass

from stateguard.model.health import Result
from stateguard.text.escape import line


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result and one line for people that says why."""

    result: Result
    message: str


def passed(message: str) -> Outcome:
    """Return a pass."""
    return Outcome(Result.PASS, message)


def failed(message: str) -> Outcome:
    """Return a failure: it was asked, and the answer is no."""
    return Outcome(Result.FAIL, message)


def broken(message: str) -> Outcome:
    """Return an error: it could not be asked."""
    return Outcome(Result.ERROR, message)


def silent(timeout_seconds: float) -> Outcome:
    """Return the outcome of a check that said nothing in time."""
    return Outcome(Result.NO_DATA, f"no answer in {timeout_seconds:g} s")


def excerpt(content: bytes, limit: int, *, last: bool = False) -> str:
    """Return the first (or last) line of an output that is not empty, safe to show, cut to a number of characters."""
    lines = [text for text in content.decode("utf-8", errors="replace").splitlines() if text.strip()]
    if not lines:
        return ""
    chosen = line(lines[-1 if last else 0].strip())
    return chosen if len(chosen) <= limit else chosen[: limit - 1] + "…"
