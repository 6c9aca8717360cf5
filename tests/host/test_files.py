from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import names
from stateguard import faults
from stateguard.host import files
from stateguard.host.walk import open_root

NOT_FOLLOWED = "Too many levels of symbolic links|Not a directory"


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    faults.arm(None)
    faults.record(None)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    with open_root(tmp_path) as descriptor:
        yield descriptor


class TestReplace:
    def test_content_and_mode_are_exactly_those(self, tmp_path: Path) -> None:
        path = tmp_path / "f"
        files.replace(path, b"one", 0o640)
        files.replace(path, b"two" * 100_000, 0o600)
        assert path.read_bytes() == b"two" * 100_000
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert names(tmp_path) == ["f"]

    @pytest.mark.parametrize("point", ["files.write", "files.rename", "files.renamed"])
    def test_a_reader_sees_the_old_or_the_new_wherever_it_is_cut(self, tmp_path: Path, point: str) -> None:
        path = tmp_path / "f"
        files.replace(path, b"old")
        faults.arm(f"{point}:1:cut")
        with pytest.raises(faults.Cut):
            files.replace(path, b"new")
        assert path.read_bytes() == (b"new" if point == "files.renamed" else b"old")
        faults.arm(None)
        files.replace(path, b"again")
        assert names(tmp_path) == ["f"], "what the cut left is cleaned by the next attempt"
        assert path.read_bytes() == b"again"

    @pytest.mark.parametrize("action", ["eio", "enospc"])
    @pytest.mark.parametrize("point", ["files.write", "files.rename"])
    def test_a_disk_that_refuses_leaves_the_old_and_no_temporary(self, tmp_path: Path, point: str, action: str) -> None:
        path = tmp_path / "f"
        files.replace(path, b"old")
        faults.arm(f"{point}:1:{action}")
        with pytest.raises(OSError, match="fault"):
            files.replace(path, b"new")
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["f"]

    def test_a_link_is_replaced_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_bytes(b"kept")
        (tmp_path / "f").symlink_to("target")
        files.replace(tmp_path / "f", b"new")
        assert (tmp_path / "target").read_bytes() == b"kept"
        assert not (tmp_path / "f").is_symlink()

    def test_a_planted_temporary_is_not_written_through(self, tmp_path: Path) -> None:
        (tmp_path / "victim").write_bytes(b"kept")
        (tmp_path / f"{files.TEMPORARY}f").symlink_to("victim")
        files.replace(tmp_path / "f", b"new")
        assert (tmp_path / "victim").read_bytes() == b"kept"
        assert names(tmp_path) == ["f", "victim"]

    @pytest.mark.parametrize("name", ["x" * 255, "あ" * 85])
    def test_the_longest_names_work(self, tmp_path: Path, name: str) -> None:
        files.replace(tmp_path / name, b"1")
        assert (tmp_path / name).read_bytes() == b"1"
        assert names(tmp_path) == [name]

    def test_a_missing_directory_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            files.replace(tmp_path / "gone" / "f", b"")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_the_owner_is_kept(self, tmp_path: Path, root: int) -> None:
        files.replace_at(root, "f", b"", 0o600, owner=(12345, 54321))
        assert ((tmp_path / "f").stat().st_uid, (tmp_path / "f").stat().st_gid) == (12345, 54321)


class TestSingleEntries:
    @pytest.mark.parametrize("size", [0, 1, 4095, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_500_000])
    def test_a_file_is_read_whole(self, tmp_path: Path, root: int, size: int) -> None:
        content = os.urandom(size)
        (tmp_path / "f").write_bytes(content)
        assert files.read_at(root, "f")[0] == content

    def test_links_are_written_and_read_as_links(self, tmp_path: Path, root: int) -> None:
        files.link_at(root, "l", "one")
        files.link_at(root, "l", "/nowhere")
        content, found = files.read_at(root, "l")
        assert content == b"/nowhere"
        assert stat.S_ISLNK(found.st_mode)
        assert names(tmp_path) == ["l"]

    def test_reading_refuses_what_is_no_file(self, tmp_path: Path, root: int) -> None:
        (tmp_path / "d").mkdir()
        os.mkfifo(tmp_path / "p")
        with pytest.raises(IsADirectoryError):
            files.read_at(root, "d")
        with pytest.raises(OSError, match="neither"):
            files.read_at(root, "p")
        with pytest.raises(FileNotFoundError):
            files.read_at(root, "x")

    def test_removing_twice_is_fine(self, tmp_path: Path, root: int) -> None:
        (tmp_path / "f").write_bytes(b"")
        files.remove_at(root, "f")
        files.remove_at(root, "f")
        assert names(tmp_path) == []

    def test_only_an_empty_directory_is_removed(self, tmp_path: Path, root: int) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f").write_bytes(b"")
        assert not files.remove_empty_at(root, "d")
        (tmp_path / "d" / "f").unlink()
        assert files.remove_empty_at(root, "d")
        assert files.remove_empty_at(root, "d"), "gone already"
