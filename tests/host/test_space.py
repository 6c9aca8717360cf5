from __future__ import annotations

import os
import resource
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest

from faults.box import boxed
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


def test_a_reserve_that_is_refused_half_way_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    keep_reserve(path, MIB)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, before[1]))
    try:
        with pytest.raises(StorageError):
            keep_reserve(path, 3 * MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.stat().st_size == MIB


def filled_by_asking(root: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "small", root], check=True)
    (root / "filler").write_bytes(b"x" * 4 * MIB)
    stop, least = threading.Event(), [space_at(root).free_bytes]

    def look() -> None:
        while not stop.is_set():
            least.append(space_at(root).free_bytes)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(50):
            with pytest.raises(StorageError):
                keep_reserve(root / "reserve", 6 * MIB)
    finally:
        stop.set()
        looking.join()
    assert min(least) > 3 * MIB


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_asking_for_more_than_there_is_fills_no_disk(tmp_path: Path) -> None:
    boxed(partial(filled_by_asking, tmp_path))


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
