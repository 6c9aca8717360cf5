"""Names and neighbours that somebody made must not keep a file from being written, nor another from being removed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stateguard.errors import StorageError
from stateguard.live.replaced import Replaced, sweep
from stateguard.live.write import make_equal
from stateguard.model.tree import REGULAR, Entry, blob_id

MANY = 40


class Contents:
    """Blobs by id; does something else when one of them is read."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def entry(self, content: bytes) -> Entry:
        self.known[blob_id(content)] = content
        return Entry(REGULAR, blob_id(content))

    def read(self, identity: str) -> bytes:
        return self.known[identity]


@pytest.fixture
def contents() -> Contents:
    return Contents()


def temporaries(root: Path) -> list[Path]:
    return [path for path in root.rglob(".stateguard-tmp-*") if path.is_file()]


@pytest.mark.parametrize("many", [2, MANY])
def test_long_names_that_begin_alike_keep_their_bytes(root: Path, contents: Contents, many: int) -> None:
    names = ["x" * 230 + f"{number:03}" for number in range(many)]
    for round_number in range(2):
        wanted = [(name, contents.entry(f"{round_number} {name}".encode())) for name in names]
        make_equal(root, wanted, contents.read)
        assert {path.name: path.read_text() for path in root.iterdir()} == {n: f"{round_number} {n}" for n in names}


def test_a_directory_of_the_temporary_name_stops_neither_write_nor_sweep(root: Path, contents: Contents) -> None:
    (root / "agents/.stateguard-tmp-a.md").mkdir(parents=True)
    (root / "agents/.stateguard-tmp-a.md/mine").touch()
    (root / "agents/.stateguard-tmp-b.md").touch()
    make_equal(root, [("agents/a.md", contents.entry(b"new"))], contents.read)
    sweep(root, ["agents/a.md"])
    assert (root / "agents/a.md").read_bytes() == b"new"
    assert (root / "agents/.stateguard-tmp-a.md/mine").exists()
    assert not temporaries(root)


def test_a_directory_that_vanished_keeps_no_other_old_file(root: Path, contents: Contents) -> None:
    paths = [f"{name}/prompt.md" for name in "abc"]
    for path in paths:
        (root / path).parent.mkdir()
        (root / path).write_text("old")
    replaced = Replaced()
    make_equal(root, [(path, contents.entry(b"new")) for path in paths], contents.read, replaced=replaced)
    shutil.rmtree(root / "a")
    replaced.wait()
    assert not temporaries(root)
    assert [(root / path).read_bytes() for path in paths[1:]] == [b"new", b"new"]


def test_a_directory_that_comes_while_files_are_written_stays_where_it_is(root: Path, contents: Contents) -> None:
    (root / "a").write_text("old")
    first, last = contents.entry(b"new"), contents.entry(b"last")

    def read(identity: str) -> bytes:
        if identity == last.id:
            (root / "a").unlink()
            (root / "a").mkdir()
            (root / "a/mine").write_text("mine")
        return contents.read(identity)

    with pytest.raises(StorageError, match="Is a directory"):
        make_equal(root, [("a", first), ("b", last)], read)
    assert (root / "a/mine").read_text() == "mine"
    assert not temporaries(root)
