"""What tests of running things share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = 5.0, every: float = 0.005) -> T:
    """Return the first true value of a condition; fail when it stays false for so many seconds.

    ``every`` is the pause between two looks, in seconds: longer where a look costs something.
    """
    give_up_at = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < give_up_at, f"still {value!r} after {seconds:g} s"
        time.sleep(every)


def stands_still(pid: int) -> bool:
    """Whether every thread of a process is stopped, as SIGSTOP leaves it a moment later."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {(thread / "stat").read_text().rpartition(") ")[2][0] for thread in threads} == {"T"}


def names(directory: Path) -> list[str]:
    """Return the names of what lies in a directory, sorted."""
    return sorted(path.name for path in directory.iterdir())
