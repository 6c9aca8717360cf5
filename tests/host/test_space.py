from __future__ import annotations

from pathlib import Path

import pytest

from stateguard.errors import StorageError
from stateguard.host.space import give_up_reserve, keep_reserve, reserved_bytes, space_at

MIB = 1024 * 1024


def test_a_reserve_really_occupies_the_disk_and_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    assert reserved_bytes(path) == 0
    keep_reserve(path, 2 * MIB)
    assert path.stat().st_mode & 0o777 == 0o600
    assert reserved_bytes(path) >= 2 * MIB
    inode = path.stat().st_ino
    keep_reserve(path, 2 * MIB)
    assert path.stat().st_ino == inode
    keep_reserve(path, MIB)
    assert path.stat().st_size == MIB
    assert give_up_reserve(path) >= MIB
    assert not path.exists()
    assert give_up_reserve(path) == 0
    keep_reserve(path, MIB)
    keep_reserve(path, 0)
    assert not path.exists()


def test_a_disk_without_room_keeps_what_it_had(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    keep_reserve(path, MIB)
    beyond = space_at(tmp_path).total_bytes * 4
    with pytest.raises(StorageError) as refused:
        keep_reserve(path, beyond)
    assert refused.value.exit == 12
    assert path.stat().st_size == MIB
    assert reserved_bytes(path) <= 2 * MIB


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "reserve").symlink_to(target)
    with pytest.raises(StorageError):
        keep_reserve(tmp_path / "reserve", MIB)
    assert target.read_text() == "mine"


def test_space_counts_what_is_left(tmp_path: Path) -> None:
    left = space_at(tmp_path)
    assert 0 < left.free_bytes <= left.total_bytes
    assert left.device == tmp_path.stat().st_dev
