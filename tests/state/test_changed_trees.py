"""Trees changed and compared by their differences, against the same done in full."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pygit2.enums import ObjectType

from stateguard import faults
from stateguard.errors import StorageError
from stateguard.model.tree import EXECUTABLE, REGULAR, SYMLINK, Entry
from stateguard.state import trees
from stateguard.state.batch import Batch, forget_unfinished, object_id
from stateguard.state.git import git
from stateguard.state.repository import Repository

NAMES = st.sampled_from(["a", "a-", "a.b", "b", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
MODES = st.sampled_from([REGULAR, EXECUTABLE, SYMLINK])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("trees") / "r.git", served=False)


@pytest.fixture(scope="module")
def blobs(repository: Repository) -> list[str]:
    return [repository.write(ObjectType.BLOB, text) for text in (b"one\n", b"two\n")]


def whole(paths: dict[str, Entry]) -> dict[str, Entry]:
    """Leave out the paths that lie below another one."""
    return {p: e for p, e in paths.items() if not any(p.startswith(f"{other}/") for other in paths)}


def drawn(blobs: list[str], found: list[tuple[str, int, int]]) -> dict[str, Entry]:
    return whole({path: Entry(mode, blobs[which]) for path, mode, which in found})


PATH_MAPS = st.lists(st.tuples(PATHS, MODES, st.integers(0, 1)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(one=PATH_MAPS, other=PATH_MAPS)
def test_a_changed_tree_is_the_tree_built_in_full(
    repository: Repository, blobs: list[str], one: list[tuple[str, int, int]], other: list[tuple[str, int, int]]
) -> None:
    before, after = drawn(blobs, one), drawn(blobs, other)
    batch = Batch(repository)
    old, new = trees.build(batch, before), trees.build(batch, after)
    batch.flush()
    found = trees.differing(repository, old, new)
    expected = {p: (before.get(p), after.get(p)) for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    assert found == expected
    changes = {path: entry for path, (_, entry) in found.items()}
    assert trees.updated(repository, old, changes, trees.tree_id_of) == new
    superfluous = changes | {path: after[path] for path in list(after)[:2]}
    assert trees.updated(repository, old, superfluous, trees.tree_id_of) == new
    assert trees.path_map(repository, new) == dict(sorted(after.items()))


def test_a_path_cannot_be_both(repository: Repository, blobs: list[str]) -> None:
    entry = Entry(REGULAR, blobs[0])
    with pytest.raises(StorageError, match="file and a directory"):
        trees.changes_by_directory({"a": entry, "a/b": entry})


@pytest.mark.parametrize("count", [3, 300])
def test_a_batch_is_there_once_it_is_flushed(repository: Repository, count: int) -> None:
    other = Repository(repository.path)
    contents = [b"%d of %d\n" % (number, count) for number in range(count)]
    batch = Batch(repository)
    names = [batch.write(ObjectType.BLOB, content) for content in contents]
    assert names == [object_id(ObjectType.BLOB, content) for content in contents]
    assert not other.has(names[0])
    batch.flush()
    assert [other.blob(name) for name in names] == contents
    assert [repository.blob(name) for name in names] == contents
    again = Batch(repository)
    assert again.write(ObjectType.BLOB, contents[0]) == names[0]
    again.flush()


LEFT = {
    "files.write:1": 1,
    "files.write:2": 2,
    "files.rename:1": 2,
    "files.rename:2": 1,
    "files.renamed:1": 0,
    "batch.flush:1": 0,
    "batch.flushed:1": 0,
}


@pytest.mark.parametrize(("point", "left"), LEFT.items())
def test_what_a_cut_batch_left_goes(tmp_path: Path, point: str, left: int) -> None:
    repository = Repository.create(tmp_path / "r.git", served=False)
    batch = Batch(repository)
    name, *_ = (batch.write(ObjectType.BLOB, b"%d\n" % number) for number in range(50))
    faults.arm(f"{point}:cut")
    with pytest.raises(faults.Cut):
        batch.flush()
    faults.arm(None)
    assert forget_unfinished(repository.path) == left
    assert forget_unfinished(repository.path) == 0
    assert repository.has(name) is (point in ("files.renamed:1", "batch.flushed:1"))
    git(repository.path, "fsck", "--full", "--strict")


def test_stock_git_reads_what_a_batch_wrote(repository: Repository, tmp_path: Path) -> None:
    batch = Batch(repository)
    rows = {f"d{n % 7}/f{n}": Entry(REGULAR, batch.write(ObjectType.BLOB, b"text %d\n" % n)) for n in range(100)}
    tree = trees.build(batch, rows)
    batch.flush()
    listed = git(repository.path, "ls-tree", "-r", "--name-only", tree).decode().split()
    assert sorted(rows) == listed
    git(repository.path, "fsck", "--full", "--strict")
