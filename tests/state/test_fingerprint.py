from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings

from state import stock
from stateguard.errors import StorageError
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.tree import EXECUTABLE, REGULAR, Entry, blob_id
from stateguard.state import fingerprint, trees
from stateguard.state.fingerprint import DigestCache
from stateguard.state.repository import Repository

FILES: stock.Files = {
    "agents/a/prompt.md": (REGULAR, b"Be kind.\n"),
    "agents/a.b": (REGULAR, b"sorts between"),
    "bin/run": (EXECUTABLE, b"#!/bin/sh\n"),
    "link": (0o120000, b"bin/run"),
}

ROOT = Path(__file__).resolve().parents[2]
FLIP = """
import sys
from pathlib import Path
from stateguard.errors import StorageError
from stateguard.state import fingerprint
repository, tree, expected = Path(sys.argv[1]), *sys.argv[2:]
file = next((repository / "objects" / "pack").glob("*.pack"))
file.chmod(0o644)
good, right, refused = file.read_bytes(), 0, 0
for position in range(len(good)):
    file.write_bytes(good[:position] + bytes([good[position] ^ 0x41]) + good[position + 1 :])
    try:
        assert fingerprint.full(repository, tree) == expected, position
        right += 1
    except StorageError:
        refused += 1
print(right, refused)
"""


@pytest.fixture(scope="module")
def sha256(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository in git's own SHA-256 format."""
    path = tmp_path_factory.mktemp("sha256") / "repo.git"
    stock.git(path, "init", "-q", "--bare", "--object-format=sha256", str(path))
    return path


def by_stock_git(repository: Repository, tree: str, sha256: Path) -> str:
    """Return the fingerprint as the documentation tells people to check it."""
    commit = stock.text(repository.path, "commit-tree", "-m", "x", tree)
    stock.git(repository.path, "update-ref", "refs/heads/exported", commit)
    stream = stock.git(repository.path, "fast-export", "--full-tree", "refs/heads/exported")
    stock.git(sha256, "fast-import", "--quiet", "--force", stdin=stream)
    return "sha256:" + stock.text(sha256, "rev-parse", "refs/heads/exported^{tree}")


def of_files(repository: Repository, files: stock.Files, paths: dict[str, Entry]) -> str:
    content = {paths[path].id: text for path, (_, text) in files.items()}
    return fingerprint.of_changed(repository, EMPTY_TREE, paths, DigestCache(), content.__getitem__)


def build(repository: Repository, files: stock.Files | None = None) -> str:
    return trees.build(repository, stock.put(repository, FILES if files is None else files))


class TestAgreement:
    @given(stock.directories())
    @settings(max_examples=30)
    def test_three_ways_and_stock_git_agree(self, shared: Repository, sha256: Path, files: stock.Files) -> None:
        paths = stock.put(shared, files)
        tree = trees.build(shared, paths)
        found = fingerprint.full(shared.path, tree)
        assert found == fingerprint.incremental(shared, tree, DigestCache()) == of_files(shared, files, paths)
        assert found == by_stock_git(shared, tree, sha256)

    def test_packed_and_deltified_objects_count_the_same(self, repository: Repository) -> None:
        big = b"".join(b"line %d\n" % n for n in range(2000))
        tree = build(repository, FILES | {"one": (REGULAR, big), "two": (REGULAR, big + b"end\n")})
        stock.git(repository.path, "update-ref", "refs/heads/x", stock.text(repository.path, "commit-tree", tree))
        before = fingerprint.full(repository.path, tree)
        stock.git(repository.path, "repack", "-adfq")
        assert not (repository.path / "objects" / tree[:2]).exists()
        assert fingerprint.full(repository.path, tree) == before
        assert fingerprint.incremental(Repository(repository.path), tree, DigestCache()) == before

    def test_the_empty_tree(self, repository: Repository) -> None:
        expected = "sha256:6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
        assert fingerprint.full(repository.path, EMPTY_TREE) == expected
        assert fingerprint.incremental(repository, EMPTY_TREE, DigestCache()) == expected
        assert of_files(repository, {}, {}) == expected

    def test_the_deepest_path_that_is_admitted(self, repository: Repository) -> None:
        files: stock.Files = {"a/" * 511 + "f": (REGULAR, b"x")}
        tree = build(repository, files)
        found = fingerprint.full(repository.path, tree)
        assert (
            found
            == fingerprint.incremental(repository, tree, DigestCache())
            == of_files(repository, files, stock.put(repository, files))
        )

    def test_a_tree_of_no_depth_known_to_man_is_a_storage_error(self, repository: Repository) -> None:
        tree = build(repository, {"f": (REGULAR, b"x")})
        for _ in range(1500):
            tree = stock_tree(repository, b"40000 a\0" + bytes.fromhex(tree))
        with pytest.raises(StorageError, match="too deep"):
            fingerprint.full(repository.path, tree)
        with pytest.raises(StorageError, match="too deep"):
            fingerprint.incremental(repository, tree, DigestCache())


def stock_tree(repository: Repository, content: bytes) -> str:
    object_id = trees.tree_id_of(content)  # 1500 processes would take too long
    file = repository.path / "objects" / object_id[:2] / object_id[2:]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(zlib.compress(b"tree %d\0" % len(content) + content))
    return object_id


@given(before=stock.directories(), after=stock.directories())
@settings(max_examples=60)
def test_a_changed_tree_has_the_fingerprint_of_what_it_becomes(
    shared: Repository, before: stock.Files, after: stock.Files
) -> None:
    old, new = stock.put(shared, before), stock.put(shared, after)
    base = trees.build(shared, old)
    changes = {path: new.get(path) for path in (*old, *new)}
    cache = DigestCache()
    fingerprint.incremental(shared, base, cache)
    content = {new[path].id: text for path, (_, text) in after.items()}
    found = fingerprint.of_changed(shared, base, changes, cache, content.__getitem__)
    assert found == fingerprint.full(shared.path, trees.build(shared, new))


def test_modes_with_zeros_before_them_count_as_git_writes_them(repository: Repository) -> None:
    blob = bytes.fromhex(stock.literally(repository.path, "blob", b"x"))
    below = stock.literally(repository.path, "tree", b"0100644 f\0" + blob)
    tree = stock.literally(repository.path, "tree", b"040000 d\0" + bytes.fromhex(below) + b"100644 g\0" + blob)
    assert fingerprint.incremental(repository, tree, DigestCache()) == fingerprint.full(repository.path, tree)


class TestCache:
    def test_what_it_knows_is_not_read_again(self, repository: Repository) -> None:
        tree, cache = build(repository), DigestCache()
        before = fingerprint.incremental(repository, tree, cache)
        changed = build(repository, FILES | {"new": (REGULAR, b"new")})
        stock.loose(repository.path, blob_id(b"Be kind.\n")).unlink()
        after = fingerprint.incremental(Repository(repository.path), changed, cache)
        assert after != before == fingerprint.incremental(repository, tree, cache)
        with pytest.raises(StorageError):
            fingerprint.incremental(Repository(repository.path), changed, DigestCache())

    def test_another_goes_on_with_what_one_knew(self, repository: Repository) -> None:
        tree, cache, other = build(repository), DigestCache(), DigestCache()
        before = fingerprint.incremental(repository, tree, cache)
        other.unpack(cache.packed())
        for _, content in FILES.values():
            stock.loose(repository.path, blob_id(content)).unlink(missing_ok=True)
        assert fingerprint.incremental(Repository(repository.path), tree, other) == before
        assert other.computed == 0 < cache.computed

    def test_what_is_cut_off_is_refused(self) -> None:
        with pytest.raises(ValueError, match="whole number"):
            DigestCache().unpack(b"x" * 51)

    def test_a_full_one_starts_anew_and_stays_right(self, repository: Repository) -> None:
        tree = build(repository)
        assert fingerprint.incremental(repository, tree, DigestCache(1)) == fingerprint.full(repository.path, tree)

    def test_each_digest_is_computed_once(self) -> None:
        cache, computed = DigestCache(2), []

        def compute() -> bytes:
            computed.append(1)
            return b"digest"

        for key in (b"a", b"a", b"b", b"a"):
            assert cache.get(key, compute) == b"digest"
        assert len(computed) == 2
        cache.get(b"c", compute)
        cache.get(b"a", compute)
        assert len(computed) == 4, "a third entry makes a cache of two start anew"


class TestDamage:
    @pytest.mark.parametrize("kind", ["blob", "tree"])
    def test_a_flipped_byte_anywhere_in_a_loose_object(self, repository: Repository, kind: str) -> None:
        root = build(repository)
        expected = fingerprint.full(repository.path, root)
        file = stock.loose(repository.path, root if kind == "tree" else blob_id(b"Be kind.\n"))
        good = file.read_bytes()
        refused = 0
        for position in range(len(good)):
            file.write_bytes(good[:position] + bytes([good[position] ^ 0x41]) + good[position + 1 :])
            try:
                assert fingerprint.full(repository.path, root) == expected, "a bit that zlib does not look at"
            except StorageError:
                refused += 1
        assert refused >= len(good) - 2

    def test_a_flipped_byte_anywhere_in_a_pack(self, repository: Repository) -> None:
        lines = b"".join(b"%d\n" % n for n in range(30))
        tree = build(repository, FILES | {"1": (REGULAR, lines), "2": (REGULAR, lines + b"end\n")})
        stock.git(repository.path, "update-ref", "refs/heads/x", stock.text(repository.path, "commit-tree", tree))
        stock.git(repository.path, "repack", "-adfq")
        expected = fingerprint.full(repository.path, tree)
        # In a process of its own: dulwich leaves a pack that it cannot open to the garbage collector, which complains.
        command = [sys.executable, "-W", "ignore", "-c", FLIP, str(repository.path), tree, expected]
        done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        right, refused = map(int, done.stdout.split())
        assert refused > 3 * right

    @pytest.mark.parametrize("content", [b"", b"no zlib", zlib.compress(b"blob 3\0abcd"), zlib.compress(b"junk")])
    def test_a_loose_object_that_is_none(self, repository: Repository, content: bytes) -> None:
        tree = build(repository)
        stock.loose(repository.path, blob_id(b"Be kind.\n")).write_bytes(content)
        with pytest.raises(StorageError, match=r"missing or damaged|does not hold"):
            fingerprint.full(repository.path, tree)

    def test_wrong_content_under_a_right_name(self, repository: Repository) -> None:
        tree = build(repository)
        stock.overwrite(repository.path, blob_id(b"Be kind.\n"), b"blob", b"Be evil.\n")
        with pytest.raises(StorageError, match="does not hold what its name says") as refused:
            fingerprint.full(repository.path, tree)
        assert refused.value.next_step

    def test_a_missing_object(self, repository: Repository) -> None:
        tree = build(repository)
        stock.loose(repository.path, blob_id(b"Be kind.\n")).unlink()
        with pytest.raises(StorageError, match="missing or damaged"):
            fingerprint.full(repository.path, tree)

    def test_a_tree_that_is_said_to_be_a_blob(self, repository: Repository) -> None:
        tree = build(repository)
        lying = stock.literally(repository.path, "tree", b"100644 f\0" + bytes.fromhex(tree))
        with pytest.raises(StorageError, match="does not hold what its name says"):
            fingerprint.full(repository.path, lying)
        with pytest.raises(StorageError):
            fingerprint.incremental(repository, lying, DigestCache())

    def test_the_empty_tree_is_no_blob(self, repository: Repository) -> None:
        lying = stock.literally(repository.path, "tree", b"100644 f\0" + bytes.fromhex(EMPTY_TREE))
        with pytest.raises(StorageError):
            fingerprint.full(repository.path, lying)
