"""Measure what the project promises, each against a peer in the same run.

``make bench`` prints one line a figure. Absolute times depend on the machine; the ratios are what is promised.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stateguard.host.command import clean_environment
from stateguard.model.tree import REGULAR, Entry
from stateguard.state import fingerprint, trees
from stateguard.state.repository import Repository

ROUNDS = 5
FILES = 2000


def main() -> int:
    """Run every measurement; the exit status says whether the promised ratios hold."""
    held = [measure_fingerprint(), measure_system()]
    return 0 if all(held) else 1


def measure_fingerprint() -> bool:
    """Fingerprint a tree of which one file changed: ours, with its cache, against stock git."""
    with tempfile.TemporaryDirectory() as scratch:
        repository = Repository.create(Path(scratch) / "repo.git", served=False)
        paths = {f"agents/a{n % 50}/f{n}.md": Entry(REGULAR, blob(repository, f"text {n}\n")) for n in range(FILES)}
        cache = fingerprint.DigestCache()
        fingerprint.incremental(repository, trees.build(repository, paths), cache)
        ours, stock = [], []
        for number in range(ROUNDS):
            paths["agents/a0/f0.md"] = Entry(REGULAR, blob(repository, f"changed {number}\n"))
            tree = trees.build(repository, paths)
            found: list[str] = []
            ours.append(timed(lambda t=tree, f=found: f.append(fingerprint.incremental(repository, t, cache))))
            stock.append(timed(lambda t=tree, f=found: f.append(by_stock_git(repository.path, t, Path(scratch)))))
            if found[0] != found[1]:
                print(f"fingerprints disagree: {found}")
                return False
    return report(f"fingerprint, {FILES} files, one changed", ours, "stock git", stock, at_most=0.5)


def blob(repository: Repository, text: str) -> str:
    """Store a text."""
    return str(repository.handle.create_blob(text.encode()))


def by_stock_git(path: Path, tree: str, scratch: Path) -> str:
    """Fingerprint a tree with git's fast-export and fast-import."""
    who = {f"GIT_{w}_{f}": "bench@localhost" for w in ("AUTHOR", "COMMITTER") for f in ("NAME", "EMAIL")}
    environment = clean_environment({**who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"})

    def git(*argv: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(["git", *argv], env=environment, input=stdin, capture_output=True, check=True).stdout

    commit = git("--git-dir", str(path), "commit-tree", tree, "-m", "x").decode().strip()
    git("--git-dir", str(path), "update-ref", "refs/heads/bench", commit)
    target = tempfile.mkdtemp(dir=scratch)
    git("init", "-q", "--bare", "--object-format=sha256", target)
    stream = git("--git-dir", str(path), "fast-export", "--full-tree", "refs/heads/bench")
    git("--git-dir", target, "fast-import", "--quiet", stdin=stream)
    return "sha256:" + git("--git-dir", target, "rev-parse", "refs/heads/bench^{tree}").decode().strip()


def measure_system() -> bool:
    """Crash an agent, and push a change that breaks one, on the running example."""
    with tempfile.TemporaryDirectory() as scratch:
        system = System(Path(scratch))
        try:
            system.begin()
            crashes = [system.crash() for _ in range(ROUNDS)]
            starts = [system.own_start() for _ in range(ROUNDS)]
            backs = [system.broken_push() for _ in range(3)]
        finally:
            system.end()
    print(
        f"an agent killed until status shows it, one status call included: {shown(crashes)} (promised: at most 0.2 s)"
    )
    threshold = 3.0
    beyond = [took - threshold for took in backs]
    print(f"git push of a broken agent until git says no and all is well on the old state: {shown(backs)}")
    print(f"  beyond the probe threshold of {threshold:.0f} s: {shown(beyond)} (promised: at most 3 s)")
    print(f"  an agent's own start, by stateguard agent restart: {shown(starts)}")
    return statistics.median(crashes) <= 0.2 and statistics.median(beyond) <= 3.0


class System:
    """The example under a running guard."""

    def __init__(self, root: Path) -> None:
        """Everything lies below ``root``."""
        self.root, self.home, self.work = root, root / "home", root / "work"
        self.daemon: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Take the example under guard and start the daemon."""
        self.run("example", str(self.root / "example"))
        self.run("init", "--from", str(self.root / "example"), "--live", str(self.root / "live"), "--no-baseline")
        log = (self.root / "guard.log").open("ab")
        argv = [sys.executable, "-m", "stateguard", "--home", str(self.home), "run"]
        self.daemon = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        self.wait(lambda s: s["guard"]["running"] and s["health"] == "HEALTHY")
        self.git("clone", "-q", str(self.home / "repo.git"), str(self.work), cwd=self.root)

    def end(self) -> None:
        """Stop everything."""
        self.run("--quiet", "agent", "stop", "--all")
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(30)

    def crash(self) -> float:
        """Kill an agent; returns the seconds until the status shows that it is not running."""
        before = self.agent("shopping")
        os.kill(before["pid"], signal.SIGKILL)
        began = time.monotonic()
        while self.agent("shopping")["pid"] == before["pid"]:
            continue
        took = time.monotonic() - began
        self.wait(lambda s: s["health"] == "HEALTHY")
        self.run("agent", "restart", "shopping")
        self.wait(lambda s: s["health"] == "HEALTHY")
        return took

    def own_start(self) -> float:
        """Restart nutrition; returns the seconds until all is well."""
        began = time.monotonic()
        self.run("agent", "restart", "nutrition")
        self.wait(lambda s: s["health"] == "HEALTHY")
        return time.monotonic() - began

    def broken_push(self) -> float:
        """Push an agent that does not start; returns the seconds until all is well on the old state."""
        spec = self.work / "agents/nutrition/agent.yaml"
        good = spec.read_text(encoding="utf-8")
        stamp = f'command: [python3, -c, "raise SystemExit({time.monotonic_ns() % 200 + 1})"]'
        lines = [stamp if line.startswith("command:") else line for line in good.splitlines()]
        spec.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.git("commit", "-qam", "break nutrition", cwd=self.work)
        began = time.monotonic()
        done = self.git("push", "-q", "origin", "HEAD:main", cwd=self.work, check=False)
        self.wait(lambda s: s["health"] == "HEALTHY" and not s["transition"])
        took = time.monotonic() - began
        if done.returncode == 0:
            message = "a broken agent was accepted"
            raise RuntimeError(message)
        self.git("reset", "-q", "--hard", "origin/main", cwd=self.work)
        return took

    def agent(self, name: str) -> dict[str, object]:
        """Return what the status says of an agent."""
        return next(a for a in self.status()["agents"] if a["name"] == name)

    def status(self) -> dict[str, object]:
        """Return the status."""
        found: dict[str, object] = json.loads(self.run("--json", "status"))
        return found

    def wait(self, condition: Callable[[dict[str, object]], object]) -> None:
        """Wait until the status fulfils a condition."""
        give_up_at = time.monotonic() + 60
        while not condition(self.status()):
            if time.monotonic() > give_up_at:
                message = "the system did not settle within 60 s"
                raise RuntimeError(message)

    def run(self, *words: str) -> str:
        """Run a stateguard command."""
        argv = [sys.executable, "-m", "stateguard", "--home", str(self.home), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def git(self, *words: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run git."""
        who = {f"GIT_{w}_{f}": "bench@localhost" for w in ("AUTHOR", "COMMITTER") for f in ("NAME", "EMAIL")}
        return subprocess.run(["git", *words], cwd=cwd, env={**os.environ, **who}, capture_output=True, check=check)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def shown(values: list[float]) -> str:
    """Return median and range in seconds."""
    return f"{statistics.median(values):.3f} s (from {min(values):.3f} to {max(values):.3f})"


def report(what: str, ours: list[float], peer: str, theirs: list[float], *, at_most: float) -> bool:
    """Print a pair of measurements with their ratio; say whether the ratio is what is promised."""
    ratio = statistics.median(o / t for o, t in zip(ours, theirs, strict=True))
    print(f"{what}: {shown(ours)}; {peer}: {shown(theirs)}; ratio {ratio:.3f} (promised: at most {at_most})")
    return ratio <= at_most


if __name__ == "__main__":
    sys.exit(main())
