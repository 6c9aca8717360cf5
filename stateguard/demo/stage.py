"""What the demo works with: real commands, a real daemon, promises that are checked, and a narrator."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stateguard.errors import RefusedError
from stateguard.host.clock import boot_seconds
from stateguard.model.identity import short

MARKER = ".stateguard-demo"
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Demo User"), ("EMAIL", "demo@example.org"))
}
_ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
_NOISE = re.compile(r"^(remote: )?\s*$")
_LONGEST_SECONDS = 120.0


class BrokenPromiseError(RefusedError):
    """Something that the demo promises did not happen."""


class Stage:
    """A guard home, a clone of it, and the daemon."""

    def __init__(self, home: Path, tell: Callable[[str], None]) -> None:
        """``tell`` prints one line."""
        self.home, self.tell = home, tell
        self.work, self.live, self.example = home / "work", home / "live", home / "example"
        self.promises = 0
        self._began = boot_seconds()
        self._daemon: subprocess.Popen[bytes] | None = None

    # the narrator

    def chapter(self, title: str, *words: str) -> None:
        """Begin a chapter."""
        self.tell("")
        self.tell(f"\x1b[1m{boot_seconds() - self._began:5.1f} s  {title}\x1b[0m")
        for line in words:
            self.tell(f"         {line}")

    def output(self, text: str) -> None:
        """Show what a command printed."""
        for line in text.splitlines():
            if not _NOISE.match(line):
                self.tell(f"         \x1b[2m{line.rstrip()}\x1b[0m")

    def promise(self, what: str, kept: object, why: str = "") -> None:
        """Check one promise.

        Raises:
            BrokenPromiseError: it was not kept.
        """
        if not kept:
            raise BrokenPromiseError(f"not kept: {what} {why}".rstrip(), next_step=f"see {self.home / 'guard.log'}")
        self.promises += 1
        self.tell(f"       \x1b[32m✓\x1b[0m {what}")

    # commands

    def run(self, *argv: str | Path, cwd: Path | None = None, show: bool = False, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """Run a command as a person would; its output is shown if asked for."""
        done = subprocess.run(  # noqa: S603 - what the demo types
            [str(a) for a in argv],
            cwd=cwd,
            env={**_without_git(os.environ), **_IDENTITY, **_ALONE},
            input=stdin,
            capture_output=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        result = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if show:
            self.output(result.stdout)
            self.output(result.stderr)
        return result

    def must(self, *argv: str | Path, cwd: Path | None = None, stdin: bytes = b"") -> str:
        """Run a command that has to succeed; returns what it printed.

        Raises:
            BrokenPromiseError: it did not.
        """
        done = self.run(*argv, cwd=cwd, stdin=stdin)
        if done.returncode:
            words = " ".join(str(a) for a in argv[:6])
            raise BrokenPromiseError(f"{words} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def guard(self, *words: str | Path, show: bool = False) -> subprocess.CompletedProcess[str]:
        """Run ``stateguard --home HOME …``."""
        if show:
            self.tell(f"       $ stateguard {' '.join(str(w) for w in words)}")
        return self.run(sys.executable, "-m", "stateguard", "--home", self.home, *words, show=show)

    def ask(self, *words: str) -> dict[str, Any]:
        """Run a stateguard command with ``--json`` and return its document."""
        text = self.must(sys.executable, "-m", "stateguard", "--home", self.home, "--json", *words)
        document: dict[str, Any] = json.loads(text)
        return document

    def push(self, message: str) -> subprocess.CompletedProcess[str]:
        """Commit everything in the clone and push it."""
        self.must("git", "commit", "-q", "-a", "-m", message, cwd=self.work)
        return self.push_again(f'git commit -am "{message}" && git push')

    def push_again(self, typed: str = "git push") -> subprocess.CompletedProcess[str]:
        """Push what is committed."""
        self.tell(f"       $ {typed}")
        done = self.run("git", "push", "origin", "HEAD:main", cwd=self.work)
        self.output("\n".join(line for line in done.stderr.splitlines() if not line.startswith(("To ", "error:"))))
        return done

    def follow_main(self) -> None:
        """Make the clone equal main."""
        self.must("git", "fetch", "-q", "origin", cwd=self.work)
        self.must("git", "reset", "-q", "--hard", "origin/main", cwd=self.work)

    def edit(self, path: str, find: str, replace: str) -> None:
        """Edit a file of the clone.

        Raises:
            BrokenPromiseError: the text is not there.
        """
        file = self.work / path
        text = file.read_text(encoding="utf-8")
        if find not in text:
            raise BrokenPromiseError(f"{path} does not contain {find!r}")
        file.write_text(text.replace(find, replace, 1), encoding="utf-8")

    @property
    def main(self) -> str:
        """The head of main in the served repository."""
        return self.must("git", "--git-dir", self.home / "repo.git", "rev-parse", "main").strip()

    def until(self, what: str, condition: Callable[[dict[str, Any]], object], seconds: float = 60.0) -> dict[str, Any]:
        """Wait until the status fulfils a condition, and count that as a promise.

        Raises:
            BrokenPromiseError: it did not in time.
        """
        give_up_at = boot_seconds() + seconds
        status: dict[str, Any] = {}
        while boot_seconds() < give_up_at:
            status = self.ask("status")
            if condition(status):
                self.promise(what, kept=True)
                return status
            time.sleep(0.1)
        seen = f"{status.get('health')}, live {short(status.get('revision') or 'nothing')}"
        raise BrokenPromiseError(
            f"not kept within {seconds:.0f} s: {what}; it is {seen}",
            changed=f"only {self.home}",
            next_step=f"see {self.home / 'guard.log'}; a machine that is very busy can be too slow for the short windows",
        )

    # the daemon

    def start_daemon(self) -> int:
        """Start ``stateguard run``; returns its process id once it answers and all is well."""
        with (self.home / "guard.log").open("ab") as log:
            self._daemon = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "stateguard", "--home", str(self.home), "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        pid = self._daemon.pid
        self.until(
            f"the guard runs (process {pid}) and all agents are healthy",
            lambda s: s["guard"]["pid"] == pid and s["health"] == "HEALTHY" and not s["transition"],
        )
        return pid

    def kill_daemon(self) -> None:
        """Kill the daemon with -9."""
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGKILL)
            self._daemon.wait()

    def stop_daemon(self) -> None:
        """Stop the daemon as systemd would."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.terminate()
            self._daemon.wait(_LONGEST_SECONDS)

    def log_from(self, position: int) -> str:
        """Return what the daemon has logged since a position."""
        with (self.home / "guard.log").open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def log_size(self) -> int:
        """Return the size of the daemon's log in bytes."""
        return (self.home / "guard.log").stat().st_size


def _without_git(environment: os._Environ[str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if not k.startswith("GIT_")}
