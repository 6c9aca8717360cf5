"""Rotating a log under its writer: nothing is lost but what falls into the cut, and never the whole."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from helpers import eventually
from stateguard.host.rotate import numbered, rotate

WRITER = """\
import os, sys
descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
for number in range(20000):
    if number == 19999:
        os.close(1)
        sys.stdin.read()
    os.write(descriptor, b"%06d\\n" % number)
"""
"""Says that it comes to its last line by closing its output, and writes that when its input ends."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


def test_a_small_or_missing_log_is_left_alone(log: Path) -> None:
    assert not rotate(log, 10, 3)
    log.write_bytes(b"0123456789")
    assert not rotate(log, 10, 3)
    assert log.read_bytes() == b"0123456789"


@given(st.lists(st.binary(min_size=0, max_size=40), max_size=12), st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_last_so_many_are_kept_newest_first(tmp_path: Path, contents: list[bytes], keep: int) -> None:
    folder = tmp_path / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log, kept = folder / "a.log", []
    log.touch()
    for content in contents:
        with log.open("ab") as writer:
            writer.write(content)
        whole = log.read_bytes()
        done = rotate(log, 20, keep)
        assert done == (len(whole) > 20)
        if done:
            kept.insert(0, whole)
            assert log.read_bytes() == b""
    assert sorted(p.name for p in folder.iterdir()) == [
        "a.log", *(f"a.log.{n + 1}" for n in range(min(keep, len(kept))))
    ]  # fmt: skip
    assert [numbered(log, n + 1).read_bytes() for n in range(min(keep, len(kept)))] == kept[:keep]


def test_a_writer_goes_on_in_the_emptied_file(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, b"before\n")
        assert rotate(log, 1, 1)
        os.write(descriptor, b"after\n")
    finally:
        os.close(descriptor)
    assert numbered(log, 1).read_bytes() == b"before\n"
    assert log.read_bytes() == b"after\n"
    assert numbered(log, 1).stat().st_mode & 0o777 == 0o600


def test_under_a_writer_lines_stay_in_order_and_whole_but_at_a_cut(log: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WRITER, str(log)], stdin=pipe, stdout=pipe) as writer:
        eventually(log.exists, 20)
        rotations = 0
        while not select.select([writer.stdout], [], [], 0)[0]:
            rotations += rotate(log, 1000, 1000)
        writer.communicate()
    assert rotations
    numbers: list[int] = []
    for file in [*(numbered(log, n) for n in range(rotations, 0, -1)), log]:
        *lines, rest = file.read_bytes().split(b"\n")
        assert all(len(line) == 6 for line in lines), "a line is whole"
        assert len(rest) <= 6, "but the last may have been cut"
        numbers += [int(line) for line in lines]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 19999, "what is written after a cut is there; what falls into one may not be"


def test_a_link_is_not_followed(log: Path) -> None:
    other = log.with_name("other")
    other.write_text("mine, and long enough\n")
    log.symlink_to(other)
    with pytest.raises(OSError, match="symbolic"):
        rotate(log, 1, 1)
    assert other.read_text() == "mine, and long enough\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_on_a_full_disk_earlier_logs_are_given_up_for_the_newest(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        log = disk / "a.log"
        log.write_bytes(b"n" * 400_000)
        numbered(log, 1).write_bytes(b"o" * 400_000)
        assert rotate(log, 1000, 2)
        assert numbered(log, 1).read_bytes() == b"n" * 400_000
        assert not numbered(log, 2).exists()
        numbered(log, 1).unlink()
        log.write_bytes(b"m" * 600_000)
        with pytest.raises(OSError, match="No space"):
            rotate(log, 1000, 2)
        assert log.stat().st_size == 600_000
        assert [p.name for p in disk.iterdir()] == ["a.log"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
