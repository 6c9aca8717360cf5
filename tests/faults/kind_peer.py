"""The same faults for what people use instead: ``git checkout -f`` in a post-receive hook, and dulwich's defaults.

The served repository has moved main when its hook brings the work tree there, killed at a system call that changes
something. Afterwards the tree must be the one of main. Torn: it is neither the old nor the new one. Stuck: it is, but
the next deployment refuses. Lost: it is the old one, although the push was acknowledged.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dulwich import porcelain

from faults.calls import MUTATING, attach, strace_missing
from faults.kinds import Outcome, Result, Trial
from faults.processes import Note, forked

_FILES = 30
_WAIT_SECONDS = 60.0
_LINE = re.compile(r"^(?:\d+ +)?([a-z0-9_]+)\(")
_HIGHEST = {
    "git": {"openat": 60, "write": 40, "unlink": 12, "rename": 3, "mkdir": 4, "rmdir": 2},
    "dulwich": {"openat": 120, "write": 80, "unlink": 20, "rename": 3, "mkdir": 4, "unlinkat": 10},
}


class Peer:
    """What other tools leave behind; for the table only."""

    name, default, counts = "peer", 20, False

    def available(self) -> str:
        """Return what is missing."""
        return strace_missing()

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return random calls of the two peers in turn."""
        rng = random.Random(seed)
        for index in range(number):
            tool = ("git", "dulwich")[index % 2]
            call = rng.choice(list(_HIGHEST[tool]))
            # One in a thousandth of the whole run: which of its kind it is, is decided when the run was listened to.
            yield Trial(self.name, tool, (f"call={call}:{rng.randint(1, 1000)}:kill",), seed)

    def close(self) -> None:
        """Leave nothing: everything lies in the directory that the caller removes."""

    def run(self, trial: Trial, room: Path) -> Result:
        """Run one."""
        began = time.monotonic()
        deploy = _git if trial.journey == "git" else _dulwich
        call, thousandth = trial.faults[0].removeprefix("call=").split(":")[:2]
        counted = _count(trial.journey, room)[call]
        number = max(1, -(-counted * int(thousandth) // 1000))
        old, new = _repository(room)
        deploy(room, [f"--inject={call}:signal=KILL:when={number}"], "/dev/null")
        outcome = _judged(_tree(room / "live"), old, new)
        again = deploy(room, [f"--trace={MUTATING}"], "/dev/null")
        if outcome is not Outcome.TORN and (not again or _tree(room / "live") != new):
            outcome = Outcome.STUCK
        return Result(trial, outcome, time.monotonic() - began, hit=counted > 0)


_COUNTS: dict[str, Counter[str]] = {}


def _count(tool: str, room: Path) -> Counter[str]:
    """Return how often a deployment that is not disturbed makes each call."""
    if tool not in _COUNTS:
        place = room / "listening"
        place.mkdir()
        _repository(place)
        (_git if tool == "git" else _dulwich)(place, [f"--trace={MUTATING}"], str(place / "calls"))
        lines = (place / "calls").read_text(errors="replace").splitlines()
        _COUNTS[tool] = Counter(m[1] for line in lines if (m := _LINE.match(line)))
        shutil.rmtree(place)
    return _COUNTS[tool]


def _repository(room: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Make a work tree at the old state and a repository whose main is at the new one; returns both trees."""
    live, repository = room / "live", room / "repo.git"
    live.mkdir()
    _run(room, "init", "-q", "--initial-branch=main")
    for number in range(_FILES):
        (live / f"file{number}").write_bytes(b"old\n" * 400)
    _run(room, "add", "-A")
    _run(room, "commit", "-qm", "old")
    old = _tree(live)
    for number in range(0, _FILES, 2):
        (live / f"file{number}").write_bytes(b"new\n" * 500)
    (live / "file1").unlink()
    (live / "more").mkdir()
    (live / "more" / "added").write_bytes(b"new\n")
    _run(room, "add", "-A")
    _run(room, "commit", "-qm", "new")
    new = _tree(live)
    first = _run(room, "rev-parse", "HEAD^").strip()
    last = _run(room, "rev-parse", "HEAD").strip()
    _run(room, "reset", "-q", "--hard", first)
    (repository / "refs" / "heads" / "main").write_text(f"{last}\n")
    return old, new


def _run(room: Path, *argv: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    command = ["git", *who, f"--git-dir={room / 'repo.git'}", f"--work-tree={room / 'live'}", *argv]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=room).stdout


def _git(room: Path, options: list[str], output: str) -> bool:
    """Do what the post-receive hook of every second tutorial does; say whether it succeeded."""
    git = ["git", f"--git-dir={room / 'repo.git'}", f"--work-tree={room / 'live'}", "checkout", "-f", "main"]
    return not subprocess.run(
        ["strace", "-qq", "-o", output, *options, *git], capture_output=True, check=False, cwd=room
    ).returncode


def _dulwich(room: Path, options: list[str], output: str) -> bool:
    """Do the same by dulwich; say whether it succeeded."""

    def work(_: Note) -> bool:
        # dulwich finds a work tree only beside its .git; a file there says where the repository lies.
        dot = room / "live" / ".git"
        if not dot.exists():
            dot.symlink_to(room / "repo.git")
            _run(room, "config", "core.bare", "false")
        os.kill(os.getpid(), signal.SIGSTOP)
        porcelain.reset(str(room / "live"), "hard", "main")
        return True

    told = forked(work, _WAIT_SECONDS, lambda pid: attach(pid, options, output))
    return bool(told.value)


def _tree(live: Path) -> dict[str, bytes]:
    return {str(p.relative_to(live)): p.read_bytes() for p in live.rglob("*") if p.is_file() and p.name != ".git"}


def _judged(found: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> Outcome:
    if found == new:
        return Outcome.SURVIVED
    return Outcome.LOST if found == old else Outcome.TORN


KIND = Peer()
