"""A real guard over a tree: its home, its daemon, a clone to push from, and questions over its control socket."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.commands import environment, run
from stateguard.errors import GuardDownError, NetworkError
from stateguard.guard.client import ask, stream
from stateguard.host.home import Home

Document = dict[str, Any]

_PATIENCE_SECONDS = 600.0
_BETWEEN_LOOKS_SECONDS = 0.02


class Guarded:
    """A guard home below a directory, and its daemon."""

    def __init__(self, root: Path) -> None:
        """Everything lies below ``root``, which is made."""
        root.mkdir()
        self.root, self.home, self.live, self.clone = root, root / "home", root / "live", root / "clone"
        self.daemon: subprocess.Popen[bytes] | None = None

    def begin(self, source: Path) -> None:
        """Take a directory under guard, start the daemon, and clone what it serves."""
        self.command("init", "--from", source, "--live", self.live, "--no-baseline", "--probe-runs", "0")
        self.start()
        run("git", "clone", "-q", self.home / "repo.git", self.clone)

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        with (self.root / "guard.log").open("ab") as log:
            argv = [sys.executable, "-m", "stateguard", "--home", str(self.home), "run"]
            self.daemon = subprocess.Popen(
                argv, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        pid = self.daemon.pid
        self.wait(lambda s: s["guard"]["pid"] == pid and not s["transition"])

    def stop(self) -> None:
        """Stop the daemon."""
        daemon, self.daemon = self.daemon, None
        if daemon is not None:
            daemon.terminate()
            daemon.wait(_PATIENCE_SECONDS)

    def end(self) -> None:
        """Stop the agents and the daemon."""
        with contextlib.suppress(RuntimeError):
            self.command("--quiet", "agent", "stop", "--all")
        self.stop()

    def command(self, *words: str | Path) -> str:
        """Run a stateguard command in a process of its own."""
        return run(sys.executable, "-m", "stateguard", "--home", self.home, *words)

    def ask(self, name: str, **parameters: object) -> Document:
        """Ask the daemon over its control socket."""
        return ask(Home(self.home).socket, name, {"user": "bench", **parameters})

    def stream(self, name: str, **parameters: object) -> list[tuple[float, Document]]:
        """Ask the daemon; returns everything that it says with the moment at which it arrived."""
        said = stream(Home(self.home).socket, name, {"user": "bench", **parameters})
        return [(time.perf_counter(), document) for document in said]

    def status(self) -> Document:
        """Return the status."""
        return self.ask("status")

    def wait(self, condition: Callable[[Document], object]) -> Document:
        """Wait until the status fulfils a condition; returns that status.

        Raises:
            RuntimeError: it did not in time.
        """
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            with contextlib.suppress(GuardDownError, NetworkError):
                status = self.status()
                if condition(status):
                    return status
            time.sleep(_BETWEEN_LOOKS_SECONDS)
        tail = (self.root / "guard.log").read_text(errors="replace")[-2000:]
        message = f"the guard did not come so far within {_PATIENCE_SECONDS:.0f} s: {tail}"
        raise RuntimeError(message)

    def main(self) -> str:
        """Return the head of main."""
        return run("git", "-C", self.home / "repo.git", "rev-parse", "refs/heads/main").strip()

    def commit(self, message: str) -> str:
        """Commit everything in the clone; returns the commit."""
        run("git", "add", "-A", cwd=self.clone)
        run("git", "commit", "-q", "-m", message, cwd=self.clone)
        return run("git", "rev-parse", "HEAD", cwd=self.clone).strip()

    def push(self) -> None:
        """Push the clone's head."""
        run("git", "push", "-q", "origin", "HEAD:main", cwd=self.clone)

    def sync(self) -> None:
        """Make the clone equal main."""
        run("git", "fetch", "-q", "origin", cwd=self.clone)
        run("git", "reset", "-q", "--hard", "origin/main", cwd=self.clone)

    def memory_bytes(self) -> int:
        """Return what the daemon keeps in memory now."""
        return self._status_line("VmRSS:")

    def highest_memory_bytes(self) -> int:
        """Return the most that the daemon ever kept in memory."""
        return self._status_line("VmHWM:")

    def processor_seconds(self) -> float:
        """Return the processor time that the daemon has used, without that of programs it ran."""
        fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def _pid(self) -> int:
        if self.daemon is None:
            raise RuntimeError("no daemon runs")
        return self.daemon.pid

    def _status_line(self, name: str) -> int:
        lines = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
