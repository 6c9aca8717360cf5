from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from stateguard import faults
from stateguard.host import files

NOT_FOLLOWED = "Too many levels of symbolic links|Not a directory"


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    faults.arm(None)
    faults.record(None)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    with files.open_root(tmp_path) as descriptor:
        yield descriptor


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


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


class TestWalk:
    def test_a_link_on_the_way_is_refused(self, tmp_path: Path, root: int) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "out").symlink_to("/etc")
        (tmp_path / "a" / "in").symlink_to("../a")
        for name in ("out", "in"):
            with pytest.raises(OSError, match=NOT_FOLLOWED), files.open_directory(root, ("a", name)):
                pass
            with (
                pytest.raises(OSError, match=NOT_FOLLOWED),
                files.open_directory(root, ("a", name, "deeper"), create=True),
            ):
                pass

    def test_directories_are_created_when_asked(self, tmp_path: Path, root: int) -> None:
        with pytest.raises(FileNotFoundError), files.open_directory(root, ("a", "b")):
            pass
        with files.open_directory(root, ("a", "b"), create=True) as directory:
            files.replace_at(directory, "f", b"1", 0o600)
        assert (tmp_path / "a" / "b" / "f").read_bytes() == b"1"

    def test_no_descriptor_is_leaked(self, tmp_path: Path, root: int) -> None:
        (tmp_path / "link").symlink_to("/etc")
        before = descriptors()
        for _ in range(20):
            with files.open_directory(root, ("a", "b", "c"), create=True):
                pass
            with pytest.raises(OSError, match=NOT_FOLLOWED), files.open_directory(root, ("link",)):
                pass
        assert descriptors() == before


PARTS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=4).map(tuple)
VERY_DEEP = tuple("d" * 40)


class TestGoingOn:
    """One walk to many directories, some of them below others."""

    @settings(max_examples=30, deadline=None)
    @given(every=st.lists(st.one_of(PARTS, PARTS.map(lambda parts: VERY_DEEP + parts)), max_size=8))
    def test_each_is_the_one_of_its_name(self, every: list[tuple[str, ...]]) -> None:
        before = descriptors()
        with tempfile.TemporaryDirectory() as directory, files.walking(Path(directory)) as walk:
            for parts in every:
                found = os.fstat(walk.at(parts, create=True))
                assert os.path.samestat(found, Path(directory, *parts).lstat())
                assert descriptors() <= before + 40
                with pytest.raises(FileNotFoundError):
                    walk.at((*parts, "x"))
                assert os.path.samestat(os.fstat(walk.at(parts)), found)
        assert descriptors() == before

    def test_one_that_was_removed_is_looked_for_anew(self, tmp_path: Path) -> None:
        with files.walking(tmp_path) as walk:
            walk.at(("a", "b", "c"), create=True)
            shutil.rmtree(tmp_path / "a")
            with pytest.raises(FileNotFoundError):
                walk.at(("a", "b", "d"))
            (tmp_path / "a" / "b" / "d").mkdir(parents=True)
            assert os.path.samestat(os.fstat(walk.at(("a", "b", "d"))), (tmp_path / "a/b/d").stat())
            shutil.rmtree(tmp_path / "a")
            assert os.path.samestat(os.fstat(walk.at(("a", "b", "e"), create=True)), (tmp_path / "a/b/e").stat())

    def test_one_that_was_moved_away_is_not_gone_on_with(self, tmp_path: Path) -> None:
        (tmp_path / "live/a/b").mkdir(parents=True)
        (tmp_path / "live/a/c").mkdir()
        with files.walking(tmp_path / "live") as walk:
            walk.at(("a", "b"))
            (tmp_path / "live/a").rename(tmp_path / "out")
            with pytest.raises(FileNotFoundError):
                walk.at(("a", "c"))
            assert os.path.samestat(os.fstat(walk.at(("a", "c"), create=True)), (tmp_path / "live/a/c").stat())
            (tmp_path / "live/a").rename(tmp_path / "other")
            (tmp_path / "live/a").symlink_to(tmp_path / "other")
            with pytest.raises(OSError, match=NOT_FOLLOWED):
                walk.at(("a", "d"), create=True)
        assert sorted(names(tmp_path / "out")) == ["b", "c"]
        assert names(tmp_path / "other") == ["c"]

    def test_a_link_that_came_meanwhile_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "out").mkdir()
        with files.walking(tmp_path) as walk:
            walk.at(("a",))
            (tmp_path / "a" / "b").symlink_to(tmp_path / "out")
            with pytest.raises(OSError, match=NOT_FOLLOWED):
                walk.at(("a", "b"))
            with pytest.raises(OSError, match=NOT_FOLLOWED):
                walk.at(("a", "b", "c"), create=True)
        assert list((tmp_path / "out").iterdir()) == []


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
