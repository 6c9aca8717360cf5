from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import eventually
from stateguard.config.sections import PathRules
from stateguard.host import files
from stateguard.live.watch import Watcher
from stateguard.live.write import make_equal
from stateguard.model.tree import REGULAR, Entry

ROOT = Path(__file__).resolve().parents[2]
# watchdog warns when it learns twice of a directory made in a new one: harmless, but as an error it ends its thread
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


class Seen:
    """A watcher on a root, and every path it ever handed out."""

    def __init__(self, root: Path, rules: PathRules) -> None:
        self.root = root
        self.woken = 0
        self.paths: set[str] = set()
        self.watcher = Watcher(root, rules, self._wake)
        self._lock = threading.Lock()

    def _wake(self) -> None:
        with self._lock:
            self.woken += 1

    def all(self) -> set[str]:
        self.paths |= self.watcher.take()
        return self.paths

    def sees(self, *paths: str) -> None:
        eventually(lambda: set(paths) <= self.all())

    def settle(self) -> set[str]:
        """Return everything seen up to now: what is written after it was seen last comes after all before it."""
        marker = self.root / f"marker-{len(self.paths)}"
        marker.touch()
        self.sees(marker.name)
        return {path for path in self.paths if not path.startswith("marker-")}


@pytest.fixture
def seen(root: Path, rules: PathRules) -> Iterator[Seen]:
    for directory in ("agents/a", "conversations", "__pycache__"):
        (root / directory).mkdir(parents=True)
    (root / "agents/a/prompt.md").write_text("one")
    (root / "agents/a/old.md").write_text("one")
    made = Seen(root, rules)
    made.watcher.start()
    yield made
    made.watcher.stop()


class TestSees:
    def test_create_modify_delete_rename(self, root: Path, seen: Seen) -> None:
        (root / "agents/a/new.md").touch()
        seen.sees("agents/a/new.md")
        with (root / "agents/a/prompt.md").open("a") as stream:
            stream.write("two")
        seen.sees("agents/a/prompt.md")
        (root / "agents/a/old.md").rename(root / "agents/renamed.md")
        seen.sees("agents/a/old.md", "agents/renamed.md")
        seen.paths.clear()
        (root / "agents/renamed.md").unlink()
        seen.sees("agents/renamed.md")

    def test_modes_and_links(self, root: Path, seen: Seen) -> None:
        (root / "agents/a/prompt.md").chmod(0o755)
        (root / "agents/link").symlink_to("/nowhere")
        seen.sees("agents/a/prompt.md", "agents/link")

    def test_what_happens_in_a_new_directory(self, root: Path, seen: Seen) -> None:
        (root / "config/deep").mkdir(parents=True)
        seen.sees("config")
        (root / "config/deep/f").touch()
        seen.sees("config/deep/f")
        (root / "config").rename(root / "moved")
        seen.sees("moved")
        (root / "moved/deep/g").touch()
        seen.sees("moved/deep/g")

    def test_what_replaces_a_file_whole(self, root: Path, seen: Seen) -> None:
        files.replace(root / "agents/a/prompt.md", b"two", 0o644)
        seen.sees("agents/a/prompt.md")

    def test_names_that_are_no_text(self, root: Path, seen: Seen) -> None:
        name = os.fsdecode(b"agents/\xff")
        (root / name).touch()
        seen.sees(name)

    def test_a_root_behind_a_link(self, root: Path, rules: PathRules, tmp_path: Path) -> None:
        (tmp_path / "linked").symlink_to(root)
        made = Seen(tmp_path / "linked", rules)
        made.watcher.start()
        try:
            (root / "f").touch()
            made.sees("f")
        finally:
            made.watcher.stop()


class TestLeavesOut:
    def test_captured_ignored_and_what_lies_outside(self, root: Path, seen: Seen, tmp_path: Path) -> None:
        (root / "conversations/a.jsonl").write_text("{}\n")
        (root / "__pycache__/x.pyc").touch()
        (root / "agents/a/x.log").touch()
        (root / "agents/a/.stateguard-note").touch()
        (tmp_path / "outside").touch()
        assert {path for path in seen.settle() if path not in ("conversations", "__pycache__")} == set()

    def test_its_own_temporaries(self, root: Path, seen: Seen) -> None:
        make_equal(root, [("agents/a/prompt.md", Entry(REGULAR, "0" * 40))], lambda _id: b"two")
        assert not any(files.TEMPORARY in path for path in seen.settle())
        assert "agents/a/prompt.md" in seen.paths

    def test_reading(self, root: Path, seen: Seen) -> None:
        for path in root.rglob("*"):
            if path.is_file():
                path.read_bytes()
        assert seen.settle() == set()


class TestTelling:
    def test_each_path_is_handed_out_once(self, root: Path, seen: Seen) -> None:
        (root / "f").touch()
        seen.sees("f")
        seen.settle()
        assert seen.watcher.take() == set()

    def test_it_wakes_and_knows_how_long_it_was_quiet(self, root: Path, seen: Seen) -> None:
        before = seen.watcher.quiet_for()
        (root / "f").touch()
        eventually(lambda: seen.woken)
        assert 0 <= seen.watcher.quiet_for() < min(before, 60)
        seen.settle()
        eventually(lambda: seen.watcher.quiet_for() > 0.05)

    def test_after_stop_nothing_is_told(self, root: Path, seen: Seen) -> None:
        seen.settle()
        seen.watcher.stop()
        woken = seen.woken
        (root / "f").touch()
        assert (seen.watcher.take(), seen.woken) == (set(), woken)
        seen.watcher.stop()

    def test_one_that_never_started_can_be_stopped(self, root: Path, rules: PathRules) -> None:
        Seen(root, rules).watcher.stop()


def test_a_genuine_overflow_does_not_loop(root: Path) -> None:
    limit = int(QUEUE.read_text())
    if limit > 20_000:
        pytest.skip(f"the kernel keeps {limit} events here; to make it lose some would take too long")
    # So many that opening and closing each of them would overflow the queue anew, if that were looked at.
    directories = [root / f"d{number}" for number in range(limit * 2 // 5)]
    for directory in directories:
        directory.mkdir()
    one, two = root / "one", root / "two"
    for file in (one, two):
        file.touch()
    command = [sys.executable, str(Path(__file__).with_name("watching.py")), str(root)]
    environment = {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as watching:
        assert watching.stdin
        assert watching.stdout
        output, questions = watching.stdout, watching.stdin

        def ask() -> dict[str, Any]:
            print(file=questions, flush=True)
            return dict(json.loads(output.readline()))

        try:
            assert output.readline() == "watching\n"
            watching.send_signal(signal.SIGSTOP)
            for _ in range(limit):  # in turns: the kernel keeps one of several equal events that follow each other
                os.utime(one)
                os.utime(two)
            watching.send_signal(signal.SIGCONT)
            eventually(lambda: ask()["overflows"], 20)
            eventually(lambda: ask()["quiet"] > 0.3, 20)
            before = ask()
            eventually(lambda: ask()["quiet"] > 0.6)
            after = ask()
            assert [after[key] for key in ("overflows", "woken")] == [before[key] for key in ("overflows", "woken")]
            (directories[-1] / "late").touch()
            eventually(lambda: ask()["late"] == [f"{directories[-1].name}/late"], 20)
        finally:
            watching.kill()
