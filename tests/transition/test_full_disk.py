"""A disk that is full: a rollback gets the reserve, and completes."""

from __future__ import annotations

import contextlib
import os
import subprocess
from functools import partial
from pathlib import Path

from faults.box import boxed
from stateguard.errors import StateguardError
from stateguard.host.home import Home
from stateguard.host.space import keep_reserve, reserved_bytes
from transition.setting import CHANGE, Setting, audit_problems, copied, leftovers
from transition.test_spool import check, in_a_box, roll_back

MIB = 1 << 20
RESERVE = 6 * MIB


def on_small_disk(template: Home, root: Path) -> Setting:
    """Return a guard whose home and live directory lie on a small disk of their own, a change applied."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,nr_inodes=20k", "small", root], check=True)
    setting = Setting(copied(template, root))
    setting.restart()
    assert setting.push(setting.commit(CHANGE)).accepted
    keep_reserve(setting.home.reserve, RESERVE)
    return setting


def fill(root: Path) -> None:
    """Leave not a byte."""
    for size in (MIB, 4096, 1):
        with contextlib.suppress(OSError), (root / f"filler-{size}").open("wb", buffering=0) as stream:
            while True:
                stream.write(b"x" * size)
    assert os.statvfs(root).f_bavail == 0


def rolled_back(template: Home, root: Path) -> None:
    setting = on_small_disk(template, root)
    fill(root)
    assert roll_back(setting) == "succeeded"
    check(setting)
    assert reserved_bytes(setting.home.reserve) == 0
    assert leftovers(setting.home) == []
    assert not setting.home.spool.exists()


@in_a_box
def test_a_rollback_on_a_full_disk_gets_the_reserve_and_completes(template: Home, tmp_path: Path) -> None:
    boxed(partial(rolled_back, template, tmp_path))


def pushed(template: Home, root: Path) -> None:
    setting = on_small_disk(template, root)
    before = setting.guard.main
    commit = setting.commit({"config/shared.txt": "two\n"})
    setting.home.reserve.unlink()
    fill(root)
    try:
        assert not setting.push(commit).accepted
    except StateguardError:
        assert setting.guard.main == before
    (root / "filler-1048576").unlink()
    setting.restart()
    guard = setting.guard
    desired = guard.books.declared.desired(guard.main)
    assert guard.main == guard.applied == before
    assert guard.scanner().observe(sorted(desired)) == desired
    assert guard.books.journal.unfinished() == []
    assert audit_problems(guard) == ()


@in_a_box
def test_a_push_on_a_full_disk_without_a_reserve_changes_nothing(template: Home, tmp_path: Path) -> None:
    boxed(partial(pushed, template, tmp_path))


@in_a_box
def test_the_reserve_stays_while_there_is_room(template: Home, tmp_path: Path) -> None:
    def roomy() -> None:
        setting = on_small_disk(template, tmp_path)
        assert roll_back(setting) == "succeeded"
        assert reserved_bytes(setting.home.reserve) == RESERVE

    boxed(roomy)
