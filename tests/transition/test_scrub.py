"""What no stat shows, and baselines that rot, are found by reading everything anew."""

from __future__ import annotations

import mmap
import threading
import time

import pytest

from damage import flip, rot
from helpers import eventually
from stateguard.detect.failure import BASELINE_DAMAGED, TELLING, conditions
from stateguard.guard.scrub import Pace, Scrub, StoppedError
from stateguard.guard.view import drift_now, facts, live_fingerprint
from stateguard.host.clock import thread_seconds
from transition.setting import Setting

PATH = "config/shared.txt"


def at_once() -> None:
    """Keep no pace."""


def change_unseen(setting: Setting) -> None:
    """Change a file so that no stat shows it: through a page that is dirty already."""
    file = setting.guard.live / PATH
    with file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapped:
        mapped[:] = b"two\n"
        mapped[:] = b"one\n"
        eventually(lambda: time.time_ns() - file.stat().st_ctime_ns > 100_000_000)
        assert drift_now(setting.guard) == ()
        before = file.stat()
        mapped[:] = b"bad\n"
        after = file.stat()
    if (before.st_mtime_ns, before.st_ctime_ns) != (after.st_mtime_ns, after.st_ctime_ns):
        pytest.skip("the kernel wrote the page back in between, and so the change shows")


def test_a_change_that_no_stat_shows_becomes_drift(setting: Setting) -> None:
    change_unseen(setting)
    assert drift_now(setting.guard) == (), "this is what the scrub is for"
    setting.guard.wake.clear()
    files, _ = Scrub(setting.guard).round(at_once)
    assert files == len(live_fingerprint(setting.guard)["files"])
    assert [d.path for d in drift_now(setting.guard)] == [PATH]
    assert setting.guard.wake.is_set()


def test_what_changed_for_everybody_to_see_is_no_news(setting: Setting) -> None:
    drift_now(setting.guard)
    (setting.guard.live / PATH).write_text("two\n")
    setting.guard.prober.configure(())  # a probe that turns wakes the guard too
    setting.guard.wake.clear()
    Scrub(setting.guard).round(at_once)
    assert not setting.guard.wake.is_set()


def test_a_baseline_that_rots_is_told_and_not_gone_back_to(setting: Setting) -> None:
    guard = setting.guard
    scrub = Scrub(guard)
    assert scrub.round(at_once)[1] == 1
    assert scrub.damaged() == ()
    snapshot = guard.baselines.get(1).statement.snapshot
    blob = guard.archive.kept_in(snapshot)["agents/parent/prompt.md"].id
    pack, place = rot([guard.captured.path], blob)
    scrub.round(at_once)
    ((number, problem),) = scrub.damaged()
    assert number == 1
    assert problem.startswith("complete state: object ")
    seen = facts(guard)
    found = next(c for c in conditions(type(seen)(seen.agents, seen.statuses, (), damaged=scrub.damaged())))
    assert (found.type, found.component, int(found.severity)) == (BASELINE_DAMAGED, "baseline/1", 2)
    assert found.type in TELLING
    flip(pack, place)
    scrub.round(at_once)
    assert scrub.damaged() == ()
    rot([guard.captured.path], blob)
    scrub.round(at_once)
    guard.baselines.revoke(1, "person:ann", "rotten")
    scrub.round(at_once)
    assert scrub.damaged() == (), "nobody goes back to a revoked one"


def test_it_keeps_to_its_share_of_a_core_and_ends_when_told() -> None:
    stop = threading.Event()
    pace = Pace(stop, lambda: 20)
    began, used = time.monotonic(), thread_seconds()
    while time.monotonic() - began < 0.5:
        sum(range(2000))
        pace()
    share = (thread_seconds() - used) / (time.monotonic() - began)
    assert share < 0.25, share
    stop.set()
    with pytest.raises(StoppedError):
        pace()


def test_a_thread_of_it_goes_round_and_ends(setting: Setting) -> None:
    settings = setting.home.settings
    settings.write_text(settings.read_text() + "scrub: {every: 1h, percent: 100}\n")
    snapshot = setting.guard.baselines.get(1).statement.snapshot
    rot([setting.guard.captured.path], setting.guard.archive.kept_in(snapshot)[PATH].id)
    scrub = Scrub(setting.guard)
    scrub.start()
    eventually(scrub.damaged, 20)
    scrub.stop()
