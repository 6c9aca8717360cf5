"""The end of a log file."""

from __future__ import annotations

import os
from pathlib import Path

from stateguard.errors import AgentsError

_TAIL_BYTES = 256 * 1024


def last_lines(path: Path, lines: int) -> list[str]:
    """Return the last lines of a file, of its last 256 KiB at most; a file that is not there has none.

    Raises:
        AgentsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"the log {path} cannot be read: {error.strerror}"
        raise AgentsError(message, next_step="read it as a user who may") from error
