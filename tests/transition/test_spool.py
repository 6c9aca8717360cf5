"""Repositories that cannot be written: a rollback goes on in the spool, and all of it comes home later."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from driving import git, past_hooks
from faults.box import boxed
from stateguard import faults
from stateguard.cli.status import lines
from stateguard.errors import StateguardError
from stateguard.guard import view
from stateguard.guard.doctor import records
from stateguard.guard.doctor.finding import Level, subject_of
from stateguard.guard.recover import come_home
from stateguard.host.home import Home
from stateguard.model.identity import MAIN, ZERO
from stateguard.respond.responder import Back
from stateguard.respond.withdraw import Target
from stateguard.state.repository import RefMove
from transition.setting import CHANGE, Setting, audit_problems, copied, leftovers

ROOT = os.geteuid() == 0
BOTH = ("repo.git", "captured.git")

in_a_box = pytest.mark.skipif(not ROOT, reason="mounting a directory read-only needs root")


def seal(path: Path) -> None:
    """Let nobody write below a directory, not even root."""
    subprocess.run(["mount", "--bind", path, path], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)


def open_again(path: Path) -> None:
    # Lazily: a pack that was opened under the mount stays open as long as whoever opened it likes.
    subprocess.run(["umount", "--lazy", path], check=True)


def prepared(template: Home, root: Path, *sealed: str) -> Setting:
    """Return a guard that has applied a change and whose repositories cannot be written any more."""
    setting = Setting(copied(template, root))
    setting.restart()
    assert setting.push(setting.commit(CHANGE)).accepted
    for name in sealed:
        seal(setting.home.root / name)
    return setting


def roll_back(setting: Setting) -> str:
    target = Target(setting.guard.baselines.get(1).statement.revision, "baseline/1", "asked for", 1)
    return setting.guard.responder.back(Back(target, "person:ann", "because")).outcome


def check(setting: Setting) -> None:
    """Check that the first baseline is live, main says so, and everything was written down."""
    guard = setting.guard
    first = guard.books.declared.desired(guard.baselines.get(1).statement.revision)
    assert guard.books.declared.desired(guard.main) == first
    assert guard.main == guard.applied
    assert guard.scanner().observe(sorted(first)) == first
    assert audit_problems(guard) == ()
    assert guard.baselines.verify(1) == ()
    assert setting.running() == ["helper", "parent"]
    assert guard.books.journal.of_kind("rollback", 0.0)[0].outcome == "succeeded"


def whole(home: Home) -> None:
    """Check with stock git that nothing is left in the spool and all is in the repositories."""
    assert not home.spool.exists()
    assert leftovers(home) == []
    for path in (home.repository, home.captured):
        assert not (path / "objects/info/alternates").exists()
        git(path, "fsck", "--full", "--strict")


def told(setting: Setting, waiting: tuple[str, ...]) -> None:
    """Check that status and doctor say what waits in the spool."""
    status = view.status(setting.guard, pid=None)
    assert status["spool"] == list(waiting)
    shown = [line for line in lines(status | {"mirrors": []}) if line.startswith("spool ")]
    assert len(shown) == bool(waiting)
    assert all(name in line for name in waiting for line in shown)
    found = list(records.spool(subject_of(setting.home)))
    assert [f.level for f in found] == ([Level.WARNING] * len(waiting) or [Level.OK])
    assert all(f"make {setting.home.root / name} writable" in f.mend for name, f in zip(waiting, found, strict=False))


def gone_on(template: Home, root: Path, sealed: tuple[str, ...]) -> None:
    setting = prepared(template, root, *sealed)
    assert roll_back(setting) == "succeeded"
    check(setting)
    assert {path.name for path in setting.home.spool.iterdir()} == set(sealed)
    setting.restart()
    check(setting)
    told(setting, sealed)
    main, entries = setting.guard.main, setting.guard.books.audit.length()
    for name in sealed:
        open_again(setting.home.root / name)
    setting.restart()
    check(setting)
    whole(setting.home)
    told(setting, ())
    assert git(setting.home.repository, "rev-parse", MAIN) == main
    assert setting.guard.books.audit.length() >= entries
    assert setting.push(setting.commit(CHANGE | {"config/new/deep.txt": "newer\n"})).accepted


@in_a_box
@pytest.mark.parametrize("sealed", [("repo.git",), BOTH], ids="+".join)
def test_a_rollback_goes_on_in_the_spool_and_comes_home_later(
    template: Home, tmp_path: Path, sealed: tuple[str, ...]
) -> None:
    boxed(partial(gone_on, template, tmp_path, sealed))


def interrupted(template: Home, root: Path, point: str) -> None:
    setting = prepared(template, root, "repo.git")
    faults.arm(f"{point}:1:cut")
    try:
        assert roll_back(setting) == "succeeded"
        open_again(setting.home.repository)
        setting.restart()
    except faults.Cut:
        faults.arm(None)
        subprocess.run(["umount", "-q", setting.home.repository], check=False)
    else:
        raise AssertionError(point)
    setting.restart()
    if point == "spool.begin":  # nothing had begun
        assert roll_back(setting) == "succeeded"
    check(setting)
    whole(setting.home)


@in_a_box
@pytest.mark.parametrize("point", ["spool.begin", "spool.fetched", "spool.home"])
def test_a_crash_on_the_way_there_or_home_loses_nothing(template: Home, tmp_path: Path, point: str) -> None:
    boxed(partial(interrupted, template, tmp_path, point))


def moved_meanwhile(template: Home, root: Path) -> None:
    setting = prepared(template, root, "repo.git")
    before = setting.guard.main
    assert roll_back(setting) == "succeeded"
    open_again(setting.home.repository)
    parent = setting.guard.repository.commit(before).parents[0]
    past_hooks(setting.home.repository, "update-ref", MAIN, parent)
    come_home(setting.guard)
    assert setting.home.spool.is_dir()
    check(setting)
    with pytest.raises(StateguardError):
        setting.guard.operations.footing.come_home()
    past_hooks(setting.home.repository, "update-ref", MAIN, before)
    come_home(setting.guard)
    check(setting)
    whole(setting.home)


@in_a_box
def test_what_somebody_moved_meanwhile_is_not_moved_back(template: Home, tmp_path: Path) -> None:
    boxed(partial(moved_meanwhile, template, tmp_path))


def refused(template: Home, root: Path) -> None:
    setting = prepared(template, root)
    live = setting.guard.scanner().observe(sorted(CHANGE))
    setting.home.spool.write_text("a file is in the way")
    seal(setting.home.repository)
    with pytest.raises(StateguardError, match="nor a spool"):
        roll_back(setting)
    assert setting.guard.scanner().observe(sorted(CHANGE)) == live


@in_a_box
def test_where_the_home_cannot_be_written_either_nothing_is_changed(template: Home, tmp_path: Path) -> None:
    boxed(partial(refused, template, tmp_path))


def test_a_repository_that_can_be_written_needs_no_spool(copies: Callable[[], Setting]) -> None:
    setting = copies()
    guard = setting.guard
    with pytest.raises(StateguardError):
        guard.repository.move([RefMove(MAIN, ZERO, "1" * 40)])
    assert not guard.repository.spooled
    assert not setting.home.spool.exists()
