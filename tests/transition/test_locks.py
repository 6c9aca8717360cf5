"""A power cut, or whatever kills a git process, may leave a lock: it must not stop what comes after."""

from __future__ import annotations

from collections.abc import Callable

from stateguard.host.files import TEMPORARY
from transition.journeys import Apply, check
from transition.setting import CHANGE, Setting


def test_a_lock_left_by_a_crash_does_not_stop_the_next_guard(copies: Callable[[], Setting]) -> None:
    journey = Apply(copies())
    for name in ("refs/stateguard/audit", "refs/heads/main"):
        (journey.setting.home.repository / f"{name}.lock").write_text("")
    journey.setting.restart()
    assert journey.setting.push(journey.setting.commit(CHANGE)).accepted
    assert check(journey) == "new"


def test_a_pack_that_a_crash_cut_short_is_removed(copies: Callable[[], Setting]) -> None:
    setting = copies()
    left = setting.home.captured / "objects/pack" / f"{TEMPORARY}pack-1.pack"
    left.write_bytes(b"PACK")
    setting.restart()
    assert not left.exists()
