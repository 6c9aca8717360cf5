from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st
from pygit2.enums import ObjectType

from state import stock
from stateguard.errors import StorageError
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.tree import DIRECTORY, REGULAR, Entry, blob_id
from stateguard.state import fingerprint, trees
from stateguard.state.fingerprint import DigestCache
from stateguard.state.repository import Repository

X = Entry(REGULAR, blob_id(b"x"))


class TestAgreement:
    @given(stock.directories())
    @settings(max_examples=60)
    def test_what_is_built_is_what_git_builds(self, shared: Repository, files: stock.Files) -> None:
        paths = stock.put(shared, files)
        tree = trees.build(shared, paths)
        assert tree == trees.tree_id(paths) == stock.write_tree(shared.path, paths)
        if paths:
            assert trees.flatten(shared, tree) == stock.ls_tree(shared.path, tree)
        assert trees.path_map(shared, tree) == paths
        assert list(trees.path_map(shared, tree)) == sorted(paths)

    def test_names_sort_as_git_sorts_them(self, repository: Repository) -> None:
        paths = stock.put(repository, dict.fromkeys(("a.b", "a/b", "a0", "ab/c", "ab-", "a-"), (REGULAR, b"x")))
        tree = trees.build(repository, paths)
        rows = stock.git(repository.path, "ls-tree", tree)
        assert [row.split(b"\t")[1] for row in rows.splitlines()] == [b"a-", b"a.b", b"a", b"a0", b"ab-", b"ab"]
        assert stock.text(repository.path, "mktree", stdin=b"".join(reversed(rows.splitlines(keepends=True)))) == tree
        stock.git(repository.path, "fsck", "--strict")

    def test_a_file_and_a_directory_of_one_prefix(self, repository: Repository) -> None:
        paths = stock.put(repository, {"a": (REGULAR, b"x"), "a.b": (REGULAR, b"x"), "a0/c": (REGULAR, b"x")})
        assert trees.build(repository, paths) == stock.write_tree(repository.path, paths)

    def test_a_file_in_place_of_a_very_deep_directory(self, repository: Repository) -> None:
        deep = "/".join("a" * 512)
        base = trees.build(repository, {deep: X})
        assert trees.updated(repository, base, {deep: None, "a": X}, trees.tree_id_of) == trees.tree_id({"a": X})

    @given(st.binary())
    def test_blob_ids_are_git_s(self, shared: Repository, content: bytes) -> None:
        assert blob_id(content) == shared.write(ObjectType.BLOB, content)


@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("a", "a/b/c")])
def test_a_path_that_is_file_and_directory_is_refused(order: tuple[str, ...], repository: Repository) -> None:
    with pytest.raises(StorageError, match="a file and a directory at once"):
        trees.tree_id(dict.fromkeys(order, X))
    with pytest.raises(StorageError, match="a file and a directory at once"):
        fingerprint.of_changed(repository, EMPTY_TREE, dict.fromkeys(order, X), DigestCache(), lambda _: b"x")


class TestBounds:
    def test_the_empty_tree_need_not_be_there(self, repository: Repository) -> None:
        assert trees.path_map(repository, EMPTY_TREE) == {}
        assert trees.tree_id({}) == EMPTY_TREE

    def test_the_budget_is_exact(self, repository: Repository) -> None:
        tree = trees.build(repository, stock.put(repository, {f"{n}": (REGULAR, b"x") for n in range(10)}))
        assert len(trees.flatten(repository, tree, budget=11)) == 10
        with pytest.raises(StorageError, match="more than 10 paths"):
            trees.flatten(repository, tree, budget=10)

    @pytest.mark.parametrize("bottom", [EMPTY_TREE, None])
    def test_a_bomb_of_trees_ends_at_the_budget(self, repository: Repository, bottom: str | None) -> None:
        tree = bottom or trees.build(repository, stock.put(repository, {"f": (REGULAR, b"x")}))
        for _ in range(10):
            rows = b"".join(b"40000 %02d\0" % n + bytes.fromhex(tree) for n in range(30))
            tree = stock.literally(repository.path, "tree", rows)
        with pytest.raises(StorageError, match="more than 5000 paths"):
            trees.flatten(repository, tree, budget=5000)


class TestHostile:
    @pytest.mark.parametrize(
        "content",
        [b"garbage", b"100644", b"100644 a", b"100644 a\0short", b"xyz a\0" + b"1" * 20, b" \0" + b"1" * 20, b"\0"],
    )
    def test_a_malformed_tree_is_a_storage_error(self, repository: Repository, content: bytes) -> None:
        tree = stock.literally(repository.path, "tree", content)
        refused(repository, tree)

    @given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda rest: b"40000 a\0" + rest))
    @settings(max_examples=40)
    def test_whatever_bytes_a_tree_has(self, shared: Repository, content: bytes) -> None:
        tree = stock.literally(shared.path, "tree", content)
        for look in looks(shared, tree):
            try:
                look()
            except StorageError:
                continue

    def test_a_missing_subtree(self, repository: Repository) -> None:
        tree = stock.literally(repository.path, "tree", b"40000 a\0" + b"1" * 20)
        refused(repository, tree)

    def test_a_blob_where_a_tree_should_be(self, repository: Repository) -> None:
        blob = stock.literally(repository.path, "blob", b"")
        refused(repository, blob)
        refused(repository, stock.literally(repository.path, "tree", b"%o a\0" % DIRECTORY + bytes.fromhex(blob)))

    def test_a_path_that_is_no_utf_8(self, repository: Repository) -> None:
        blob = bytes.fromhex(stock.literally(repository.path, "blob", b"x"))
        tree = stock.literally(repository.path, "tree", b"100644 \xff\0" + blob)
        assert trees.flatten(repository, tree) == {b"\xff": (REGULAR, blob.hex())}
        with pytest.raises(StorageError, match="no UTF-8"):
            trees.path_map(repository, tree)


def looks(repository: Repository, tree: str) -> list[Callable[[], object]]:
    return [
        lambda: trees.flatten(repository, tree),
        lambda: fingerprint.incremental(repository, tree, fingerprint.DigestCache()),
        lambda: fingerprint.full(repository.path, tree),
    ]


def refused(repository: Repository, tree: str) -> None:
    for look in looks(repository, tree):
        with pytest.raises(StorageError):
            look()
