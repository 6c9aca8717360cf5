from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from helpers import names
from stateguard.host import files
from stateguard.host.walk import keep_apart, open_beneath, open_directory, open_in_steps, open_root, walking

NOT_FOLLOWED = "Too many levels of symbolic links|Not a directory"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    with open_root(tmp_path) as descriptor:
        yield descriptor


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestWalk:
    def test_a_link_on_the_way_is_refused(self, tmp_path: Path, root: int) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "out").symlink_to("/etc")
        (tmp_path / "a" / "in").symlink_to("../a")
        for name in ("out", "in"):
            with pytest.raises(OSError, match=NOT_FOLLOWED), open_directory(root, ("a", name)):
                pass
            with (
                pytest.raises(OSError, match=NOT_FOLLOWED),
                open_directory(root, ("a", name, "deeper"), create=True),
            ):
                pass

    def test_directories_are_created_when_asked(self, tmp_path: Path, root: int) -> None:
        with pytest.raises(FileNotFoundError), open_directory(root, ("a", "b")):
            pass
        with open_directory(root, ("a", "b"), create=True) as directory:
            files.replace_at(directory, "f", b"1", 0o600)
        assert (tmp_path / "a" / "b" / "f").read_bytes() == b"1"

    def test_no_descriptor_is_leaked(self, tmp_path: Path, root: int) -> None:
        (tmp_path / "link").symlink_to("/etc")
        before = descriptors()
        for _ in range(20):
            with open_directory(root, ("a", "b", "c"), create=True):
                pass
            with pytest.raises(OSError, match=NOT_FOLLOWED), open_directory(root, ("link",)):
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
        with tempfile.TemporaryDirectory() as directory, walking(Path(directory)) as walk:
            for parts in every:
                found = os.fstat(walk.at(parts, create=True))
                assert os.path.samestat(found, Path(directory, *parts).lstat())
                assert descriptors() <= before + 40
                with pytest.raises(FileNotFoundError):
                    walk.at((*parts, "x"))
                assert os.path.samestat(os.fstat(walk.at(parts)), found)
        assert descriptors() == before

    def test_one_that_was_removed_is_looked_for_anew(self, tmp_path: Path) -> None:
        with walking(tmp_path) as walk:
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
        with walking(tmp_path / "live") as walk:
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
        with walking(tmp_path) as walk:
            walk.at(("a",))
            (tmp_path / "a" / "b").symlink_to(tmp_path / "out")
            with pytest.raises(OSError, match=NOT_FOLLOWED):
                walk.at(("a", "b"))
            with pytest.raises(OSError, match=NOT_FOLLOWED):
                walk.at(("a", "b", "c"), create=True)
        assert list((tmp_path / "out").iterdir()) == []


NAMES = st.sampled_from(["a", "b", "link", "loop", "file", "out"])


def outcome(opening: Callable[[], int]) -> os.stat_result | str:
    """Return which directory was opened, or what kind of no it was."""
    try:
        descriptor = opening()
    except FileNotFoundError:
        return "absent"
    except OSError as error:
        return "not followed" if error.errno in (errno.ELOOP, errno.ENOTDIR) else str(error)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    (tree / "a/b/a/b").mkdir(parents=True)
    (tree / "b/file").mkdir(parents=True)
    (tree / "a/link").symlink_to("b")
    (tree / "a/loop").symlink_to("loop")
    (tree / "a/b/out").symlink_to("/")
    (tree / "file").write_bytes(b"")
    return tree


class TestBothWays:
    """One system call, and one for each part where there is none such, open the same."""

    @given(parts=st.lists(NAMES, min_size=1, max_size=5).map(tuple))
    def test_they_agree(self, tree: Path, parts: tuple[str, ...]) -> None:
        with open_root(tree) as root:
            at_once = outcome(lambda: open_beneath(root, "/".join(parts)))
            in_steps = outcome(lambda: open_in_steps(root, parts, create=False))
        if isinstance(at_once, str) or isinstance(in_steps, str):
            assert at_once == in_steps
        else:
            assert os.path.samestat(at_once, in_steps)

    @pytest.mark.parametrize("path", ["..", "a/../..", "/", "/etc", "a/b/out/etc"])
    def test_nothing_leads_out(self, tree: Path, path: str) -> None:
        with open_root(tree) as root, pytest.raises(OSError, match=r"Invalid cross-device link|Too many levels"):
            open_beneath(root, path)

    def test_a_name_is_never_cut_short(self, tree: Path) -> None:
        with open_root(tree) as root, pytest.raises(ValueError, match="null byte"):
            open_beneath(root, "a\0b")

    def test_what_is_too_long_for_one_call_is_opened_in_steps(self, tmp_path: Path) -> None:
        parts = tuple("d" * 200 for _ in range(30))
        with walking(tmp_path) as walk:
            made = os.fstat(walk.at(parts, create=True))
            walk.close()
            assert os.path.samestat(os.fstat(walk.at(parts)), made)


class TestApart:
    """A root that somebody may make a link of is not opened where it leads into the guard home."""

    def test_a_root_that_became_a_link_is_not_opened(self, tmp_path: Path) -> None:
        home, live = tmp_path / "home", tmp_path / "live"
        for directory in (home / "keys", live):
            directory.mkdir(parents=True)
        keep_apart(live, home, "")
        with open_root(live):
            pass
        live.rmdir()
        for place in (home / "keys", home, tmp_path, Path("/")):
            live.unlink(missing_ok=True)
            live.symlink_to(place)
            with pytest.raises(OSError, match="leads to the guard home"), open_root(live):
                pass
        live.unlink()
        live.symlink_to(tmp_path / "home2")
        (tmp_path / "home2").mkdir()
        with open_root(live):
            pass

    def test_where_they_were_put_into_each_other_they_stay(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        (home / "live" / "inner").mkdir(parents=True)
        keep_apart(home / "live", home, str(home / "live"))
        with open_root(home / "live"):
            pass
        keep_apart(home, home / "live" / "inner", str(home / "live" / "inner"))
        with open_root(home):
            pass
