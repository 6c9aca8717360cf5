"""What an agent keeps of its own process: a limit of its memory, and a scratch directory."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

_MEGABYTE = 1024 * 1024


def resident_mb() -> float:
    """Return how much memory this process has, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE


class Trace:
    """Writes whole messages to ``scratch/<agent>/``, which is emptied when the agent starts."""

    def __init__(self, root: Path, agent: str, *, wanted: bool) -> None:
        """Empty the directory; ``wanted`` says whether anything is written to it."""
        self._path = root / "scratch" / agent / "messages.jsonl"
        self._wanted = wanted
        self._lock = threading.Lock()
        if self._path.parent.exists():
            shutil.rmtree(self._path.parent)

    def write(self, message: dict[str, Any]) -> None:
        """Add a message, if that is wanted."""
        if not self._wanted:
            return
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(message) + "\n")
