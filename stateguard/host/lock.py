"""The single-writer lock: held by a process, freed by the kernel when it dies, however it dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from stateguard.errors import LockHeldError


def held(path: Path) -> bool:
    """Say whether some process holds the lock on a file, without touching it: the kernel's list is read."""
    try:
        inode = os.stat(path).st_ino
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    fields = [line.split() for line in lines if " FLOCK " in line and "->" not in line]
    return any(int(found[5].rsplit(":", 1)[1]) == inode for found in fields)


def daemon_holds(path: Path) -> int | None:
    """Return the process of the daemon that holds the lock on a file; None if another, or nobody, does."""
    role, pid = WriterLock(path, "").holder()
    return pid if role == "daemon" and held(path) else None


class WriterLock:
    """An exclusive ``flock`` on a file that says who holds it."""

    def __init__(self, path: Path, role: str) -> None:
        """``role`` is what the holder is: ``daemon`` or the name of a command."""
        self._path, self._role = path, role
        self._fd = -1

    def acquire(self, patience_seconds: float = 0.0) -> WriterLock:
        """Take the lock, waiting for a command that holds it; a daemon is not waited for.

        Raises:
            LockHeldError: another process holds it.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_up_at = time.monotonic() + patience_seconds
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                role, pid = self.holder()
                if role == "daemon" or time.monotonic() >= give_up_at:
                    os.close(fd)
                    message = f"{self._path} is held by {role} (process {pid})"
                    hint = (
                        "try again in a moment: it may be about to answer; or stop it first"
                        if role == "daemon"
                        else "try again in a moment"
                    )
                    raise LockHeldError(message, next_step=hint) from None
                time.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"role": self._role, "pid": os.getpid()}).encode(), 0)
        self._fd = fd
        return self

    def holder(self) -> tuple[str, int]:
        """Return role and process id of who wrote itself into the lock last."""
        try:
            document = json.loads(self._path.read_bytes() or b"{}")
            return str(document.get("role", "another process")), int(document.get("pid", 0))
        except (OSError, ValueError, AttributeError):  # the last: JSON, but no object
            return "another process", 0

    def release(self) -> None:
        """Free the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        """Take the lock unless this object holds it already."""
        if self._fd < 0:
            self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the lock."""
        self.release()
