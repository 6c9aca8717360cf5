"""What end-to-end tests drive: a guard home, a clone to push from, a daemon, and whatever they started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from helpers import eventually
from stateguard.errors import GuardDownError, NetworkError
from stateguard.guard.client import ask
from stateguard.host.home import Home

DEADLINE_SECONDS = 60.0
"""For whatever has to happen at all; generous, because the machine may be loaded."""

_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Test Person"), ("EMAIL", "person@example.org"))
}
_BETWEEN_GLANCES_SECONDS = 0.03
_SHORT_PATH = 100
"""A longer path of a socket costs its client a descriptor that stays open."""
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "LOGNAME")
_EVERY_WELL = "HEALTHY"

Done = subprocess.CompletedProcess[str]
Document = dict[str, Any]


def environment(**extra: str) -> dict[str, str]:
    """Return a person's environment, free of the tester's git and stateguard settings."""
    kept = {k: os.environ[k] for k in _KEPT if k in os.environ}
    alone = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }
    return {**kept, **_IDENTITY, **alone, **extra}


def sh(*argv: str | Path, cwd: Path | None = None, check: bool = True, stdin: str = "", **extra: str) -> Done:
    """Run a command to its end; ``check`` demands that it succeeds."""
    done = subprocess.run(
        [str(a) for a in argv],
        cwd=cwd,
        env=environment(**extra),
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=2 * DEADLINE_SECONDS,
        check=False,
    )
    assert not check or done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done


def git(repository: Path, *argv: str, check: bool = True) -> str:
    """Run git on a repository and return what it prints."""
    return sh("git", "-C", repository, *argv, check=check).stdout.strip()


def past_hooks(repository: Path, *argv: str) -> str:
    """Run git on a served repository as somebody who may write into its files could: no hook sees it."""
    return git(repository, "-c", f"core.hooksPath={os.devnull}", *argv)


class Driver:
    """A guard home with its live directory, a clone to push from, and the daemon."""

    def __init__(self, root: Path, source: Path | None = None) -> None:
        """Everything lies below ``root``; ``source`` is the directory to take under guard."""
        self.root, self.source = root, source
        self.home, self.live, self.work, self.log = root / "home", root / "live", root / "work", root / "guard.log"
        self.repository = self.home / "repo.git"
        self.daemon: subprocess.Popen[bytes] | None = None

    # commands

    def run(self, *words: str | Path, stdin: str = "", **extra: str) -> Done:
        """Run ``stateguard --home HOME …``; returns however it ended."""
        return sh(*self.command(*words), check=False, stdin=stdin, **extra)

    def command(self, *words: str | Path) -> list[str]:
        """Return the argument list of a stateguard command on this home."""
        return [sys.executable, "-m", "stateguard", "--home", str(self.home), *map(str, words)]

    def must(self, *words: str | Path) -> str:
        """Run a command that has to succeed; returns what it prints."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, *words: str | Path, status: int = 0) -> Document:
        """Run a command with ``--json``, demand its exit status, and return its document."""
        done = self.run("--json", *words)
        assert done.returncode == status, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
        document: Document = json.loads(done.stdout)
        return document

    def refused(self, *words: str | Path, status: int) -> Document:
        """Run a command with ``--json`` that must end with this error; returns the error."""
        document = self.ask(*words, status=status)
        error: Document = document["error"]
        assert error["exit"] == status
        return error

    # the home and the daemon

    def init(self, *words: str | Path) -> Driver:
        """Make the home and a clone of what it serves."""
        given = ["--from", self.source] if self.source else []
        tried = [] if "--probe-runs" in words else ["--probe-runs", "0"]
        self.must("init", *given, "--live", self.live, *tried, *words)
        self.clone()
        return self

    def clone(self) -> None:
        """Clone the served repository into the working directory."""
        sh("git", "clone", "-q", self.repository, self.work)

    def start(self, *, fault: str = "", health: str = _EVERY_WELL, **extra: str) -> Driver:
        """Start the daemon and wait until it answers and all is well.

        ``fault`` arms one fault point in it, ``extra`` are more of its variables.
        """
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                self.command("run"),
                env=environment(**({"STATEGUARD_FAULT": fault} if fault else {}), **extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        pid = self.daemon.pid
        self.wait(lambda s: s["guard"]["pid"] == pid and health in ("", s["health"]))
        return self

    def kill(self) -> None:
        """Kill the daemon with SIGKILL."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait(DEADLINE_SECONDS)

    def stop(self) -> None:
        """Stop the daemon as systemd would."""
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGCONT)
            self.daemon.terminate()
            try:
                self.daemon.wait(DEADLINE_SECONDS)
            finally:
                self.daemon.kill()

    def gone(self) -> None:
        """Wait until the daemon has ended by itself, for instance at a fault point."""
        assert self.daemon is not None
        self.daemon.wait(DEADLINE_SECONDS)

    def paused(self) -> None:
        """Wait until the daemon stands still, for instance at a fault point."""
        assert self.daemon is not None
        pid = self.daemon.pid
        eventually(lambda: process_state(pid) == "T", DEADLINE_SECONDS)

    def proceed(self) -> None:
        """Let a daemon that stands still go on."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End daemon and agents."""
        with contextlib.suppress(ProcessLookupError):
            self.stop()
        if self.home.exists():
            self.run("--quiet", "agent", "stop", "--all")
            (self.home / "reserve").unlink(missing_ok=True)  # many homes of many runs would fill the disk
            for pid in processes_in(self.live):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    # looking

    def status(self) -> Document:
        """Return the status."""
        return self.ask("status")

    def wait(self, condition: Callable[[Document], object], seconds: float = DEADLINE_SECONDS) -> Document:
        """Wait until the status fulfils a condition; returns that status."""
        last: list[Document] = []

        def holds() -> bool:
            last[:] = self._glance()
            return bool(last and condition(last[0]))

        try:
            eventually(holds, seconds, _BETWEEN_GLANCES_SECONDS)
        except AssertionError as error:
            tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise AssertionError(f"{error}; status {json.dumps(last)[:2000]}; log {tail}") from None
        return last[0]

    def _glance(self) -> list[Document]:
        """Return the status, asked of the daemon directly: hundreds of looks are not worth a process each."""
        socket = Home(self.home).socket
        if len(str(socket)) < _SHORT_PATH:
            with contextlib.suppress(GuardDownError, NetworkError):
                return [ask(socket, "status", {"user": "person"})]
        done = self.run("--json", "status")
        return [json.loads(done.stdout)] if done.returncode == 0 else []

    def settled(self) -> Document:
        """Wait until main is live, all is well and nothing runs; returns that status."""
        return self.wait(
            lambda s: s["health"] == _EVERY_WELL and not s["transition"] and s["revision"] == s["main"] == self.main
        )

    def agents(self) -> dict[str, Document]:
        """Return each agent's part of the status by name."""
        return {a["name"]: a for a in self.ask("agent", "list")["agents"]}

    @property
    def main(self) -> str:
        """The head of main."""
        return git(self.repository, "rev-parse", "refs/heads/main")

    @property
    def head(self) -> str:
        """The commit that the clone stands on."""
        return git(self.work, "rev-parse", "HEAD")

    def refs(self) -> str:
        """Return every ref of the served repository with its object, but the audit chain's."""
        found = git(self.repository, "for-each-ref", "--format=%(refname) %(objectname)")
        return "\n".join(line for line in found.splitlines() if not line.startswith("refs/stateguard/audit "))

    def newest(self, **fields: object) -> Document:
        """Return the newest entry of history that has these values."""
        entries = self.ask("history")["entries"]
        found: Document = next(e for e in entries if all(e[k] == v for k, v in fields.items()))
        return found

    # pushing

    def edit(self, path: str, text: str) -> None:
        """Write a file of the clone."""
        (self.work / path).parent.mkdir(parents=True, exist_ok=True)
        (self.work / path).write_text(text, encoding="utf-8")

    def commit(self, message: str, *words: str) -> str:
        """Commit everything in the clone; returns the commit."""
        sh("git", "add", "-A", cwd=self.work)
        sh("git", "commit", "-q", "-m", message, *words, cwd=self.work)
        return self.head

    def push(self, *options: str, ref: str = "HEAD:main") -> Done:
        """Push; returns however that ended."""
        return sh("git", "push", *options, "origin", ref, cwd=self.work, check=False)

    def begin_push(self, *options: str) -> subprocess.Popen[str]:
        """Begin a push in a process group of its own."""
        return subprocess.Popen(
            ["git", "push", *options, "origin", "HEAD:main"],
            cwd=self.work,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def offer(self, path: str, text: str, *options: str) -> Done:
        """Edit one file, commit, push."""
        self.edit(path, text)
        self.commit(f"Change {path}")
        return self.push(*options)

    def sync(self) -> None:
        """Make the clone equal main."""
        sh("git", "fetch", "-q", "origin", cwd=self.work)
        sh("git", "reset", "-q", "--hard", "origin/main", cwd=self.work)
        sh("git", "clean", "-q", "-f", "-d", cwd=self.work)


def end_pushing(push: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a push that was begun; returns exit status and what the pusher saw."""
    _, said = push.communicate(timeout=2 * DEADLINE_SECONDS)
    return push.returncode, said


def kill_group(push: subprocess.Popen[str]) -> None:
    """Kill the whole process group of a push: git, receive-pack, the hook."""
    os.killpg(push.pid, signal.SIGKILL)
    push.communicate(timeout=DEADLINE_SECONDS)


# processes


def process_state(pid: int) -> str:
    """Return the letter of a process's state; nothing if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2][0]
    except OSError:
        return ""


def command_of(pid: int) -> list[str]:
    """Return the argument list of a process; nothing if there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []


def _pids() -> Iterator[int]:
    yield from (int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit())


def processes_in(live: Path) -> list[int]:
    """Return the agents that run in a live directory: marked processes there that lead their session."""
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            inside = os.path.realpath(f"/proc/{pid}/cwd") == os.path.realpath(live)
            if inside and os.getsid(pid) == pid and b"STATEGUARD_AGENT=" in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


def hook_runs(push: subprocess.Popen[str], name: str) -> bool:
    """Say whether a hook of this push runs."""

    def mine(pid: int) -> bool:
        try:
            return os.getpgid(pid) == push.pid and name in command_of(pid)
        except OSError:
            return False

    return any(mine(pid) for pid in _pids())


# fingerprints by stock git


def stock_fingerprint(repository: Path, revision: str) -> str:
    """Return the SHA-256 tree id of a revision by git's own export and import."""
    with tempfile.TemporaryDirectory() as scratch:
        copy, target = Path(scratch) / "copy.git", Path(scratch) / "sha256.git"
        sh("git", "clone", "-q", "--mirror", repository, copy)
        commit = git(copy, "commit-tree", f"{revision}^{{tree}}", "-m", "x")
        git(copy, "update-ref", "refs/heads/fingerprint", commit)
        sh("git", "init", "-q", "--bare", "--object-format=sha256", target)
        sh("sh", "-c", 'git -C "$1" fast-export --full-tree refs/heads/fingerprint | git -C "$2" fast-import --quiet',
           "sh", copy, target)  # fmt: skip
        return "sha256:" + git(target, "rev-parse", "refs/heads/fingerprint^{tree}")
