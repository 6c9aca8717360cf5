from __future__ import annotations

import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from stateguard import faults
from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules
from stateguard.errors import StorageError
from stateguard.host import files
from stateguard.live.replaced import sweep
from stateguard.live.scan import Scanner
from stateguard.live.write import make_equal
from stateguard.model.tree import EXECUTABLE, REGULAR, SYMLINK, Entry, compare

RULES = PathRules(default_policy())
IN_ROOT = [HealthCheck.function_scoped_fixture]

Files = dict[str, tuple[int, bytes]]
Steps = list[tuple[str, Entry | None]]


class Blobs:
    """Contents by id."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        object_id = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self.known[object_id] = content
        return object_id

    def read(self, object_id: str) -> bytes:
        if object_id not in self.known:
            raise StorageError(f"no object {object_id}")
        return self.known[object_id]


BLOBS = Blobs()


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    faults.arm(None)
    faults.record(None)


def entry(content: bytes, mode: int = REGULAR) -> Entry:
    return Entry(mode, BLOBS.put(content))


def path_map(tree: Files) -> dict[str, Entry]:
    return {path: entry(content, mode) for path, (mode, content) in tree.items()}


def steps(before: Files, after: Files) -> Steps:
    """Return what a transition would ask for."""
    old, new = path_map(before), path_map(after)
    return [(path, new.get(path)) for path in compare(old, new).paths]


def lying_in(root: Path) -> Files:
    """Return every file and link below a directory, read without our own code."""
    found: Files = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = (SYMLINK, os.fsencode(path.readlink()))
        elif path.is_file():
            found[name] = (EXECUTABLE if path.stat().st_mode & 0o100 else REGULAR, path.read_bytes())
    return found


def empty(root: Path) -> Path:
    shutil.rmtree(root)
    root.mkdir()
    return root


def directories_in(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_dir() and not p.is_symlink()}


_leaf = st.tuples(st.sampled_from([REGULAR, EXECUTABLE]), st.sampled_from([b"", b"x", b"yy"])) | st.tuples(
    st.just(SYMLINK), st.sampled_from([b"a", b"..", b"/etc"])
)
_names = st.sampled_from(["a", "b", "c.d", "é"])
_trees = st.dictionaries(
    _names,
    st.recursive(_leaf, lambda inner: st.dictionaries(_names, inner, min_size=1, max_size=3), max_leaves=6),
    max_size=3,
)


def _joined(node: object, lead: str = "") -> Files:
    if not isinstance(node, dict):
        return {lead: node}  # type: ignore[dict-item]
    found: Files = {}
    for name, child in node.items():
        found |= _joined(child, f"{lead}/{name}" if lead else name)
    return found


trees = _trees.map(_joined)


class TestAnyTreeToAnyOther:
    @given(trees, trees)
    @example({"a": (REGULAR, b"x")}, {"a/b/c": (REGULAR, b"x")})
    @example({"a/b/c": (REGULAR, b"x")}, {"a": (REGULAR, b"x")})
    @example({"a": (SYMLINK, b"/etc")}, {"a/b": (REGULAR, b"x")})
    @example({"a/b": (REGULAR, b"x")}, {"a": (SYMLINK, b"/etc")})
    @settings(suppress_health_check=IN_ROOT, max_examples=50)
    def test_it_is_what_was_asked_and_twice_is_once(self, root: Path, before: Files, after: Files) -> None:
        empty(root)
        assert make_equal(root, steps({}, before), BLOBS.read) == len(before)
        assert lying_in(root) == before
        wanted = steps(before, after)
        assert make_equal(root, wanted, BLOBS.read) == len(wanted)
        assert lying_in(root) == after
        assert directories_in(root) == {
            "/".join(path.split("/")[:depth]) for path in after for depth in range(1, path.count("/") + 1)
        }, "no empty directory stays"
        assert make_equal(root, wanted, BLOBS.read) == 0
        assert Scanner(root, RULES).observe(after).keys() == after.keys()

    @given(trees, trees, st.data())
    @settings(suppress_health_check=IN_ROOT, max_examples=50)
    def test_cut_anywhere_the_next_attempt_ends_it(
        self, root: Path, before: Files, after: Files, data: st.DataObject
    ) -> None:
        wanted = steps(before, after)
        points = passed(empty(root), before, wanted)
        if not points:
            return
        number = data.draw(st.integers(1, len(points)))
        make_equal(empty(root), steps({}, before), BLOBS.read)
        faults.arm(f"*:{number}:{data.draw(st.sampled_from(['cut', 'eio', 'enospc']))}")
        with pytest.raises((faults.Cut, StorageError)):
            make_equal(root, wanted, BLOBS.read)
        faults.arm(None)
        back = data.draw(st.booleans())
        target = before if back else after
        sweep(root, [path for path, _ in wanted])
        make_equal(root, steps(after, before) if back else wanted, BLOBS.read)
        assert lying_in(root) == target

    def test_a_directory_that_an_interrupted_removal_left_does_not_stand_in_the_way(self, root: Path) -> None:
        (root / "a/b").mkdir(parents=True)
        wanted = steps({"a/b/c": (REGULAR, b"x")}, {"a": (REGULAR, b"y")})
        make_equal(root, wanted, BLOBS.read)
        assert lying_in(root) == {"a": (REGULAR, b"y")}


def passed(root: Path, before: Files, wanted: Steps) -> list[str]:
    make_equal(root, steps({}, before), BLOBS.read)
    points: list[str] = []
    faults.record(points)
    make_equal(root, wanted, BLOBS.read)
    faults.record(None)
    return points


class TestWhatIsKept:
    @pytest.mark.parametrize(
        ("present", "mode", "expected"),
        [
            (0o640, REGULAR, 0o640),
            (0o600, EXECUTABLE, 0o700),
            (0o664, EXECUTABLE, 0o775),
            (0o755, REGULAR, 0o644),
            (0o751, EXECUTABLE, 0o751),
            (0o060, EXECUTABLE, 0o170),
            (0o4755, EXECUTABLE, 0o755),
        ],
    )
    def test_permission_bits_but_for_x(self, root: Path, present: int, mode: int, expected: int) -> None:
        (root / "f").write_bytes(b"old")
        (root / "f").chmod(present)
        wanted: Steps = [("f", entry(b"new", mode))]
        assert make_equal(root, wanted, BLOBS.read) == 1
        assert stat.S_IMODE((root / "f").stat().st_mode) == expected
        assert make_equal(root, wanted, BLOBS.read) == 0

    def test_only_the_mode_differs(self, root: Path) -> None:
        (root / "f").write_bytes(b"same")
        (root / "f").chmod(0o640)
        assert make_equal(root, [("f", entry(b"same", EXECUTABLE))], BLOBS.read) == 1
        assert stat.S_IMODE((root / "f").stat().st_mode) == 0o750

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_the_owner(self, root: Path) -> None:
        (root / "f").write_bytes(b"old")
        os.chown(root / "f", 12345, 54321)
        (root / "d").mkdir()
        os.chown(root / "d", 111, 222)
        make_equal(root, [("f", entry(b"new")), ("d/new", entry(b"x"))], BLOBS.read)
        assert [((root / p).stat().st_uid, (root / p).stat().st_gid) for p in ("f", "d/new")] == [
            (12345, 54321),
            (111, 222),
        ]

    @given(trees, trees)
    @settings(suppress_health_check=IN_ROOT, max_examples=30)
    def test_unmanaged_files(self, root: Path, before: Files, after: Files) -> None:
        empty(root)
        make_equal(root, steps({}, before), BLOBS.read)
        for directory in (root, *(root / d for d in directories_in(root) if d in directories_of(after))):
            (directory / "unmanaged").write_bytes(b"mine")
        mine = {path: value for path, value in lying_in(root).items() if path.endswith("unmanaged")}
        make_equal(root, steps(before, after), BLOBS.read)
        assert lying_in(root) == after | mine

    def test_an_unmanaged_file_below_a_directory_stands_in_the_way(self, root: Path) -> None:
        make_equal(root, [("a/b", entry(b"x"))], BLOBS.read)
        (root / "a/mine").write_bytes(b"mine")
        wanted: Steps = [("a", entry(b"y")), ("a/b", None)]
        with pytest.raises(StorageError) as refused:
            make_equal(root, wanted, BLOBS.read)
        assert refused.value.changed == "1 of 2 paths"
        assert (root / "a/mine").read_bytes() == b"mine"

    def test_a_directory_where_a_file_is_to_be_removed(self, root: Path) -> None:
        (root / "a").mkdir()
        (root / "a/mine").write_bytes(b"mine")
        assert make_equal(root, [("a", None)], BLOBS.read) == 0
        assert (root / "a/mine").read_bytes() == b"mine"

    def test_a_file_where_a_directory_should_be_is_not_ours_to_remove(self, root: Path) -> None:
        (root / "a").write_bytes(b"mine")
        with pytest.raises(StorageError):
            make_equal(root, [("a/b", entry(b"x"))], BLOBS.read)
        assert (root / "a").read_bytes() == b"mine"

    @pytest.mark.parametrize("path", ["fifo", "fifo/below"])
    def test_a_special_file_stands_in_the_way(self, root: Path, path: str) -> None:
        os.mkfifo(root / "fifo")
        with pytest.raises(StorageError) as refused:
            make_equal(root, [("a", entry(b"x")), (path, entry(b"x"))], BLOBS.read)
        assert refused.value.changed == "0 of 2 paths"
        assert lying_in(root).keys() <= {"fifo"}
        assert stat.S_ISFIFO((root / "fifo").stat().st_mode)


def directories_of(tree: Files) -> set[str]:
    return {"/".join(path.split("/")[:depth]) for path in tree for depth in range(1, path.count("/") + 1)}


class TestLinks:
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        made = tmp_path / "outside"
        made.mkdir()
        (made / "f").write_bytes(b"theirs")
        return made

    def test_a_removal_never_follows_one(self, root: Path, outside: Path) -> None:
        (root / "agents").symlink_to(outside)
        assert make_equal(root, [("agents/f", None)], BLOBS.read) == 0
        assert lying_in(outside) == {"f": (REGULAR, b"theirs")}

    @pytest.mark.parametrize("deep", ["agents", "agents/a"])
    def test_a_write_replaces_one_by_a_directory(self, root: Path, outside: Path, deep: str) -> None:
        (root / deep).parent.mkdir(parents=True, exist_ok=True)
        (root / deep).symlink_to(outside)
        make_equal(root, [("agents/a/b/f", entry(b"ours"))], BLOBS.read)
        assert lying_in(root) == {"agents/a/b/f": (REGULAR, b"ours")}
        assert lying_in(outside) == {"f": (REGULAR, b"theirs")}

    def test_a_file_in_place_of_one_is_not_written_through(self, root: Path, outside: Path) -> None:
        (root / "f").symlink_to(outside / "f")
        make_equal(root, [("f", entry(b"ours"))], BLOBS.read)
        assert lying_in(outside) == {"f": (REGULAR, b"theirs")}
        assert lying_in(root) == {"f": (REGULAR, b"ours")}

    def test_sweeping_never_follows_one(self, root: Path, outside: Path) -> None:
        planted = outside / f"{files.TEMPORARY}f"
        planted.touch()
        (root / "agents").symlink_to(outside)
        sweep(root, ["agents/f", "agents/deeper/f", "gone/f"])
        assert planted.exists()


class TestFailure:
    @pytest.mark.parametrize("names", ["abcd", "abcdefgh"], ids=["flushed one by one", "flushed together"])
    @pytest.mark.parametrize("action", ["eio", "enospc"])
    @pytest.mark.parametrize(("point", "changed"), [("files.write", 0), ("files.rename", 2)])
    def test_a_disk_that_refuses_says_how_far_it_came(
        self, root: Path, names: str, action: str, point: str, changed: int
    ) -> None:
        faults.arm(f"{point}:3:{action}")
        with pytest.raises(StorageError) as refused:
            make_equal(root, [(name, entry(name.encode())) for name in names], BLOBS.read)
        assert (refused.value.changed, refused.value.exit) == (f"{changed} of {len(names)} paths", 12)
        assert sorted(lying_in(root)) == list(names[:changed]), "nothing is left beside its place"

    def test_a_missing_blob_says_how_far_it_came(self, root: Path) -> None:
        with pytest.raises(StorageError, match="no object") as refused:
            make_equal(root, [("a", entry(b"x")), ("b", Entry(REGULAR, "0" * 40))], BLOBS.read)
        assert refused.value.changed == "0 of 2 paths"
        assert lying_in(root) == {}

    def test_a_missing_root(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="No such file"):
            make_equal(tmp_path / "gone", [("a", entry(b"x"))], BLOBS.read)


class TestSweep:
    def test_it_removes_temporaries_beside_the_paths_only(self, root: Path) -> None:
        for directory in ("", "a", "a/b", "c"):
            (root / directory).mkdir(exist_ok=True)
            (root / directory / f"{files.TEMPORARY}x").touch()
            (root / directory / "kept").touch()
        sweep(root, ["a/one", "a/two", "a/b/three"])
        assert sorted(lying_in(root)) == sorted(
            [f"{d}kept" for d in ("", "a/", "a/b/", "c/")] + [f"{files.TEMPORARY}x", f"c/{files.TEMPORARY}x"]
        )

    @pytest.mark.parametrize("point", ["files.write", "files.rename"])
    def test_what_a_cut_write_left_goes(self, root: Path, point: str) -> None:
        faults.arm(f"{point}:1:cut")
        with pytest.raises(faults.Cut):
            make_equal(root, [("a/b", entry(b"x"))], BLOBS.read)
        faults.arm(None)
        assert [path.name for path in (root / "a").iterdir()] == [f"{files.TEMPORARY}b"]
        sweep(root, ["a/b"])
        assert lying_in(root) == {}


def test_a_reader_never_sees_a_torn_file(root: Path) -> None:
    contents = [bytes([letter]) * 200_000 for letter in b"ab"]
    make_equal(root, [("f", entry(contents[0]))], BLOBS.read)
    done, seen = threading.Event(), set()

    def read() -> None:
        while not done.is_set():
            seen.add((root / "f").read_bytes())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(60):
        make_equal(root, [("f", entry(contents[number % 2]))], BLOBS.read)
    done.set()
    for reader in readers:
        reader.join()
    assert seen <= set(contents)
    assert seen
