"""What is read of a pack without unpacking it, beside what git says of the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from driving import git
from packing import BLOB, ID_DELTA, OFFSET_DELTA, TREE, Part, chain, copy, delta, identity, indexed, insert, pack
from stateguard.errors import StorageError
from stateguard.state.packs import Packed, count, survey
from stateguard.state.repository import Repository

_KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("packs") / "repo.git", served=True)


def taken(repository: Repository, place: Path, content: bytes) -> Path:
    """Have git take a pack in; returns where it lies."""
    done = indexed(content, place, repository.path, checks="")
    assert done.returncode == 0, done.stderr
    return next((place / "pack").glob("*.pack"))


@pytest.mark.parametrize("by_offset", [True, False])
def test_what_git_packs_is_as_git_says(tmp_path: Path, by_offset: bool) -> None:
    work, chance = tmp_path / "work", random.Random(1)
    git(tmp_path, "init", "-q", str(work))
    lines = [f"line {number} {chance.random()}" for number in range(300)]
    for number in range(12):
        lines[chance.randrange(300)] = f"changed {number}"
        for name in ("a.txt", "deep/b.txt", f"n{number}"):
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_text("\n".join(lines[number:]))
        git(work, "add", "-A")
        git(work, "commit", "-qm", f"change {number}")
    git(work, "tag", "-a", "-m", "x", "v1")
    git(work, "-c", f"repack.useDeltaBaseOffset={str(by_offset).lower()}", "repack", "-adfq", "--depth=50")
    path = next((work / ".git/objects/pack").glob("*.pack"))
    rows = [line.split() for line in git(work, "verify-pack", "-v", str(path)).splitlines()]
    rows = sorted((row for row in rows if row[1] in _KINDS), key=lambda row: int(row[4]))
    wanted = [
        Packed(_KINDS[row[1]], int(git(work, "cat-file", "-s", row[0])), int(row[5]) if len(row) > 5 else 0)
        for row in rows
    ]
    assert survey(path) == wanted
    assert max(one.depth for one in wanted) > 3
    assert {one.kind for one in wanted} == {1, 2, 3, 4}
    assert count(path) == len(wanted)


def test_how_deep_a_chain_is_and_how_large_its_end(repository: Repository, tmp_path: Path) -> None:
    found = survey(taken(repository, tmp_path, pack(list(chain(5000)))))
    assert [one.depth for one in found] == list(range(5001))
    assert {(one.kind, one.size_bytes) for one in found} == {(BLOB, 40)}


@pytest.mark.parametrize("alphabet", [2, 26, 94, 256])
def test_deltas_of_any_content(repository: Repository, tmp_path: Path, alphabet: int) -> None:
    """The tables of codes that zlib writes at its beginning are longer than the sizes, and than many a delta."""
    chance, base = random.Random(alphabet), bytes(5000)
    parts = [Part(BLOB, base)]
    for length in (1, 100, 1000, 20_000):
        text = bytes(int(alphabet * chance.random() ** 3) for _ in range(length))
        steps = [insert(text[at : at + 100]) for at in range(0, length, 100)]
        parts.append(Part(OFFSET_DELTA, delta(5000, length + 5000, *steps, copy(0, 5000)), 0))
    found = survey(taken(repository, tmp_path, pack(parts)))
    assert [one.size_bytes for one in found] == [5000, 5001, 5100, 6000, 25_000]


def test_a_few_bytes_that_stand_for_many(repository: Repository, tmp_path: Path) -> None:
    """Two deltas of which each makes sixteen of what it hangs on: a directory of 16 MiB in a few hundred bytes."""
    first = b"100644 " + b"a" * 65508 + b"\0" + bytes(20)
    once = delta(len(first), 16 * len(first), *[copy(0, len(first))] * 16)
    twice = delta(16 * len(first), 256 * len(first), *[copy(0, 16 * len(first))] * 16)
    content = pack([Part(TREE, first), Part(OFFSET_DELTA, once, 0), Part(OFFSET_DELTA, twice, 1)])
    assert len(content) < 1000
    found = survey(taken(repository, tmp_path, content))
    assert found[-1] == Packed(TREE, 256 * len(first), 2)


def test_bases_that_come_later_and_that_lie_elsewhere(repository: Repository, tmp_path: Path) -> None:
    """A delta names its base by id: behind it in the pack, or, in a thin one, in the repository."""
    outside = repository.write(BLOB, b"o" * 50)  # type: ignore[arg-type]
    base, made = b"b" * 50, delta(50, 53, copy(0, 50), insert(b"xyz"))
    parts = [Part(ID_DELTA, made, identity(BLOB, base)), Part(BLOB, base), Part(ID_DELTA, made, outside)]
    found = survey(taken(repository, tmp_path, pack(parts)))
    assert sorted((one.size_bytes, one.depth) for one in found) == [(50, 0), (50, 0), (53, 1), (53, 1)]


@pytest.mark.parametrize("content", [b"", b"PACK", b"PACX\0\0\0\2\0\0\0\1", b"x" * 100])
def test_what_is_no_pack_is_a_storage_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pack-1.pack"
    path.write_bytes(content)
    path.with_suffix(".idx").write_bytes(content)
    with pytest.raises(StorageError):
        survey(path)
    if not content.startswith(b"PACK\0"):
        with pytest.raises(StorageError):
            count(path)
    with pytest.raises(StorageError):
        count(tmp_path / "none.pack")


@pytest.fixture(scope="module")
def sound(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taken(repository, tmp_path_factory.mktemp("sound"), pack(list(chain(20))))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_bytes_one_has(sound: Path, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "pack-1.pack"
    for suffix in (".pack", ".idx"):
        content = bytearray(sound.with_suffix(suffix).read_bytes())
        for _ in range(data.draw(st.integers(0, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.with_suffix(suffix).write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = survey(path)
    except StorageError:
        return
    assert all(one.kind in _KINDS.values() for one in found)
