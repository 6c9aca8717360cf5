from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stateguard.guard.tending import ReserveTender
from stateguard.host.space import reserve_gone, reserved_bytes, space_at
from stateguard.model.policy import SHIPPED_ARMING, HostSettings

MIB = 1 << 20


def tender(path: Path, size_bytes: int) -> ReserveTender:
    return ReserveTender(path, lambda: replace(HostSettings("live", SHIPPED_ARMING), reserve_bytes=size_bytes))


def test_the_reserve_is_set_aside_and_again_after_it_was_given_up(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    tender(path, MIB).tend()
    assert reserved_bytes(path) >= MIB
    assert reserve_gone(path, MIB) == ""
    path.unlink()
    assert "instead of 1.0 MiB" in reserve_gone(path, MIB) or "instead of 1 MiB" in reserve_gone(path, MIB)
    again = tender(path, MIB)
    again.tend()
    assert reserved_bytes(path) >= MIB
    path.unlink()
    again.tend()
    assert not path.exists(), "it looks only now and then"


def test_a_guard_at_work_sets_it_aside_again(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    settings = replace(HostSettings("live", SHIPPED_ARMING), reserve_bytes=MIB)
    at_work = ReserveTender(path, lambda: settings, every_seconds=0)
    at_work.tend()
    path.unlink()
    at_work.tend()
    assert reserved_bytes(path) >= MIB


def test_no_reserve_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    tender(path, MIB).tend()
    tender(path, 0).tend()
    assert not path.exists()


def test_a_disk_without_room_is_no_reason_not_to_guard(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    tender(path, 2 * space_at(tmp_path).total_bytes).tend()
    assert reserved_bytes(path) == 0
