from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, WatchCallback
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from helpers import eventually, stands_still
from stateguard.config.sections import PathRules
from stateguard.host import files
from stateguard.host.walk import open_root
from stateguard.live.gate import Gate
from stateguard.live.lock import NAME as LOCK
from stateguard.live.watch import EventQueue, Watcher
from stateguard.live.write import make_equal
from stateguard.model.policy import Policy
from stateguard.model.tree import REGULAR, Entry

ROOT = Path(__file__).resolve().parents[2]

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


class Seen:
    """A watcher on a root, and every path it ever told of; an empty one stands for "any"."""

    def __init__(self, root: Path, rules: PathRules) -> None:
        self.root = root
        self.told: list[frozenset[str]] = []
        self.paths: set[str] = set()
        self.watcher = Watcher(root, rules, self.told.append)

    def all(self) -> set[str]:
        while self.told:
            self.paths |= self.told.pop() or {""}
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


class TestSettles:
    def test_a_link_in_place_of_the_lock_leads_nowhere(self, root: Path, seen: Seen, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.touch()
        os.utime(other, (1, 1))
        (root / LOCK).unlink(missing_ok=True)
        (root / LOCK).symlink_to(other)
        assert seen.watcher.settled() is not None
        assert other.stat().st_mtime == 1


class TestHolds:
    """Events that wait while the guard writes are late, never lost."""

    def test_who_asks_is_told_of_everything_until_then(self, root: Path, seen: Seen) -> None:
        (root / LOCK).touch()
        seen.settle()  # else it may be that event of the lock's which answers
        seen.watcher.hold()
        (root / "agents/a/prompt.md").write_text("two")
        (root / "f").touch()
        assert seen.watcher.settled() is not None
        assert {"agents/a/prompt.md", "f"} <= seen.all()

    def test_it_is_told_though_nobody_asks(self, root: Path, seen: Seen) -> None:
        seen.settle()
        seen.watcher.hold()
        (root / "f").touch()
        seen.sees("f")

    def test_one_that_holds_can_be_stopped_and_started(self, root: Path, seen: Seen) -> None:
        seen.watcher.hold()
        (root / "f").touch()
        seen.watcher.stop()
        seen.watcher.start()
        (root / "g").touch()
        seen.sees("g")


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
    def test_it_knows_how_long_it_was_quiet(self, root: Path, seen: Seen) -> None:
        before = seen.watcher.quiet_for()
        (root / "f").touch()
        eventually(lambda: seen.told)
        assert 0 <= seen.watcher.quiet_for() < min(before, 60)
        seen.settle()
        eventually(lambda: seen.watcher.quiet_for() > 0.05)

    def test_after_stop_nothing_is_told(self, root: Path, seen: Seen) -> None:
        seen.settle()
        seen.watcher.stop()
        (root / "f").touch()
        seen.watcher.tend()
        assert (seen.told, seen.watcher.due_seconds() > 3000) == ([], True)
        seen.watcher.stop()

    def test_one_that_never_started_can_be_stopped(self, root: Path, rules: PathRules) -> None:
        Seen(root, rules).watcher.stop()

    def test_new_rules_hold_at_once(self, root: Path, seen: Seen) -> None:
        seen.watcher.rules = PathRules(Policy(sections=(), ignore=("agents/",)))
        (root / "agents/a/prompt.md").write_text("two")
        (root / "conversations/a.jsonl").write_text("{}\n")
        assert "conversations/a.jsonl" in seen.settle()
        assert "agents/a/prompt.md" not in seen.paths


class TestStartsAnew:
    def tend(self, seen: Seen) -> None:
        """Tend until it is well again, as the guard does at each turn."""

        def well() -> bool:
            seen.watcher.tend()
            return seen.watcher.due_seconds() > 3000

        eventually(well)

    def sees_again(self, root: Path, seen: Seen) -> None:
        seen.paths.clear()
        (root / "agents/b").mkdir(parents=True)
        (root / "agents/b/f").touch()
        seen.sees("agents/b/f")

    def test_when_the_directory_is_another_one(
        self, root: Path, seen: Seen, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root.rename(tmp_path / "aside")
        root.mkdir()
        seen.watcher.tend()
        assert seen.watcher.due_seconds() <= 1.0
        self.tend(seen)
        assert "another directory took the place" in str(caplog.records[-1].__dict__["fields"])
        self.sees_again(root, seen)

    def test_when_the_directory_was_removed_and_came_back(self, root: Path, seen: Seen) -> None:
        shutil.rmtree(root)
        eventually(lambda: seen.watcher.tend() or seen.watcher.due_seconds() <= 1.0)
        eventually(lambda: seen.watcher.due_seconds() == 0)
        seen.watcher.tend()
        assert 0 < seen.watcher.due_seconds() <= 1.0, "it tries again in a while"
        root.mkdir()
        self.tend(seen)
        self.sees_again(root, seen)

    def test_when_a_thread_of_it_ended(self, root: Path, seen: Seen) -> None:
        emitter = next(t for t in threading.enumerate() if isinstance(t, InotifyEmitter))
        emitter.stop()
        emitter.join()
        (root / "missed").touch()
        self.tend(seen)
        self.sees_again(root, seen)
        assert "missed" not in seen.paths

    def test_when_a_directory_was_moved_away(self, root: Path, seen: Seen, tmp_path: Path) -> None:
        (root / "agents/a").rename(tmp_path / "away")
        seen.settle()
        assert "" in seen.all()
        self.tend(seen)
        self.sees_again(root, seen)

    def test_when_two_directories_changed_places(self, root: Path, seen: Seen) -> None:
        (root / "agents/b").mkdir()
        seen.settle()
        with open_root(root / "agents") as directory:
            assert files.exchange_at(directory, "a", "b")
        seen.settle()
        assert "" in seen.all()
        self.tend(seen)
        seen.paths.clear()
        (root / "agents/b/prompt.md").write_text("two")
        seen.sees("agents/b/prompt.md")

    def test_when_the_halves_of_a_rename_come_late(self) -> None:
        lost: list[str] = []
        queue = EventQueue(lost.append, Gate())
        first, second = (
            InotifyEvent(1, mask | InotifyConstants.IN_ISDIR, 7, b"a")
            for mask in (InotifyConstants.IN_MOVED_FROM, InotifyConstants.IN_MOVED_TO)
        )
        try:
            queue.handle_event(first)
            time.sleep(2 * InotifyMoveEventGrouper.delay)
            queue.handle_event(second)
        finally:
            queue.close()
        assert len(lost) == 1

    def test_what_watchdog_stumbles_over_does_not_end_it(self, root: Path) -> None:
        class Stumbles(WatchCallback):
            def on_event(self, event: InotifyEvent) -> None:
                raise RuntimeWarning(event)

        lost: list[str] = []
        queue = EventQueue(lost.append, Gate())
        queue.start()
        try:
            mask = InotifyConstants.IN_CREATE
            queue.add_callback(os.fsencode(root), mask, Stumbles(), CallbackId(1))
            for number in (1, 2):
                (root / str(number)).touch()
                eventually(lambda n=number: len(lost) == n)
        finally:
            queue.stop()
            queue.join()


@pytest.mark.parametrize("share", [0.4, 1.1], ids=["fewer directories than the queue holds", "more of them"])
def test_a_genuine_overflow_is_told_once_and_ends(root: Path, share: float) -> None:
    limit = int(QUEUE.read_text())
    if limit > 20_000:
        pytest.skip(f"the kernel keeps {limit} events here; to make it lose some would take too long")
    directories = [root / "d" / str(number) for number in range(int(limit * share))]
    for directory in directories:
        directory.mkdir(parents=True)
    (root / "conversations").mkdir()
    one, two = root / "conversations/one.jsonl", root / "conversations/two.jsonl"
    for file in (one, two):
        file.touch()
    command = [sys.executable, str(Path(__file__).with_name("watching.py")), str(root)]
    environment = {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as watching:
        assert watching.stdin
        assert watching.stdout
        output, questions, pid = watching.stdout, watching.stdin, watching.pid

        def ask() -> dict[str, Any]:
            print(file=questions, flush=True)
            return dict(json.loads(output.readline()))

        try:
            assert output.readline() == "watching\n"
            watching.send_signal(signal.SIGSTOP)
            eventually(lambda: stands_still(pid), 60)  # one that runs would empty the queue
            for _ in range(limit // 2 + 1000):  # in turns: equal events that follow each other are kept as one
                os.utime(one)
                os.utime(two)
            (directories[-1] / "lost").touch()
            watching.send_signal(signal.SIGCONT)
            eventually(lambda: ask()["any"] == 1, 60)
            assert ask()["paths"] == [], "the events of captured files are told nobody, that of the other was lost"
            eventually(lambda: ask()["blind"] is False, 60)
            (directories[-1] / "late").touch()
            eventually(lambda: ask()["paths"] == [f"d/{directories[-1].name}/late"], 60)
            assert ask()["any"] == 1
        finally:
            watching.kill()
