"""Secrets in a push: wherever they are in it, and never said aloud."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from driving import Driver, git
from stateguard.errors import StorageError
from stateguard.guard.secrets import MAX_BYTES, Search
from stateguard.model.policy import Harmless
from stateguard.model.tree import DIRECTORY, REGULAR, Entry
from stateguard.state import trees
from stateguard.state.commits import raw_commit
from stateguard.state.repository import RefMove, Repository
from stateguard.state.tags import raw_tag
from tiny import write_tiny

MAIN = "refs/heads/main"
KIND = "github-token"
TOKEN = "gh" + "p_" + "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=36))
LINE = f"github: {TOKEN}\n".encode()


class Pushed:
    """A repository with a main, and the quarantine of a push to it."""

    def __init__(self, root: Path) -> None:
        self.before = Repository.create(root / "repo.git", served=False)
        self.main = self.commit({"a": b"one\n"}, into=self.before)
        self.before.move([RefMove(MAIN, self.main, "0" * 40)])
        self.new = Repository.create(root / "new.git", served=False)
        self.both = Repository(self.before.path, self.new.path / "objects")

    def commit(
        self, files: dict[str, bytes], *parents: str, message: str = "Change\n", into: Repository | None = None
    ) -> str:
        into = into or self.new
        paths = {path: Entry(REGULAR, into.write(ObjectType.BLOB, data)) for path, data in files.items()}
        return into.write(ObjectType.COMMIT, raw_commit(trees.build(into, paths), list(parents), message, 0.0))

    def search(self, *objects: str, harmless: tuple[Harmless, ...] = ()) -> Search:
        search = Search(self.both, harmless, self.before)
        for one in objects:
            search.through(one)
        assert not [p for p in search.problems if TOKEN[4:12] in p.text()]
        return search


@pytest.fixture
def pushed(tmp_path: Path) -> Pushed:
    return Pushed(tmp_path)


def places(search: Search) -> list[tuple[str, int]]:
    assert {problem.code for problem in search.problems} <= {"secret"}
    return [(problem.path, problem.line) for problem in search.problems]


def test_nothing_is_found_where_nothing_is(pushed: Pushed) -> None:
    assert places(pushed.search(pushed.commit({"a": b"one\n", "b": b"two\n"}, pushed.main))) == []


def test_what_a_later_commit_removed_is_found(pushed: Pushed) -> None:
    leak = pushed.commit({"a": b"one\n", "config/b": b"x\n" + LINE}, pushed.main)
    mended = pushed.commit({"a": b"one\n"}, leak)
    search = pushed.search(mended)
    assert places(search) == [("config/b", 2)]
    assert f"(commit {leak[:10]})" in search.problems[0].message


def test_each_object_is_told_once(pushed: Pushed) -> None:
    one = pushed.commit({"a": b"one\n", "b": LINE}, pushed.main)
    two = pushed.commit({"a": b"two\n", "b": LINE, "c": LINE}, one)
    assert places(pushed.search(two, one, two)) == [("b", 1)]


def test_what_was_there_is_not_new(pushed: Pushed) -> None:
    pushed.before.write(ObjectType.BLOB, LINE)
    assert places(pushed.search(pushed.commit({"moved": LINE}, pushed.main))) == []


def test_both_sides_of_a_merge_are_looked_through(pushed: Pushed) -> None:
    side = pushed.commit({"side": LINE})
    merge = pushed.commit({"a": b"one\n"}, pushed.main, side)
    assert places(pushed.search(merge)) == [("side", 1)]


def test_messages_and_names(pushed: Pushed) -> None:
    commit = pushed.commit({f"logs/{TOKEN}.txt": b""}, pushed.main, message=f"Use {TOKEN}\n")
    assert places(pushed.search(commit)) == [(f"commit {commit[:10]}", 0), ("logs/(withheld)", 0)]


def test_tags_with_what_they_name(pushed: Pushed) -> None:
    commit = pushed.commit({"b": LINE}, pushed.main)
    inner = pushed.new.write(ObjectType.TAG, raw_tag("v1", commit, f"Use {TOKEN}\n", 0.0))
    outer = pushed.new.write(ObjectType.TAG, raw_tag("v2", inner, "Again\n", 0.0).replace(b"type commit", b"type tag"))
    assert places(pushed.search(outer)) == [(f"tag {inner[:10]}", 0), ("b", 1)]
    endless = outer
    for _ in range(12):
        content = raw_tag("v3", endless, "Again\n", 0.0).replace(b"type commit", b"type tag")
        endless = pushed.new.write(ObjectType.TAG, content)
    with pytest.raises(StorageError, match="without end"):
        pushed.search(endless)


def test_a_tree_or_a_file_that_is_tagged(pushed: Pushed) -> None:
    blob = pushed.new.write(ObjectType.BLOB, LINE)
    tree = trees.build(pushed.new, {"b": Entry(REGULAR, blob)})
    assert places(pushed.search(tree)) == [("b", 1)]
    assert places(pushed.search(blob)) == [("the file that is tagged", 1)]


def test_a_bomb_of_trees_is_walked_once(pushed: Pushed) -> None:
    child, mode = pushed.new.write(ObjectType.BLOB, LINE), REGULAR
    for _ in range(40):
        rows = b"".join(b"%o n%d\0" % (mode, n) + bytes.fromhex(child) for n in range(10))
        child, mode = pushed.new.write(ObjectType.TREE, rows), DIRECTORY
    commit = pushed.new.write(ObjectType.COMMIT, raw_commit(child, [pushed.main], "Grow\n", 0.0))
    assert places(pushed.search(commit)) == [("/".join(["n0"] * 40), 1)]


def test_depth_without_end_is_too_much(pushed: Pushed) -> None:
    child, mode = pushed.new.write(ObjectType.BLOB, b""), REGULAR
    for _ in range(80):
        child, mode = pushed.new.write(ObjectType.TREE, b"%o d\0" % mode + bytes.fromhex(child)), DIRECTORY
    commit = pushed.new.write(ObjectType.COMMIT, raw_commit(child, [pushed.main], "Deepen\n", 0.0))
    (problem,) = pushed.search(commit).problems
    assert (problem.path, problem.code) == ("push", "budget")


def test_every_name_of_a_file_that_is_there_twice(pushed: Pushed) -> None:
    commit = pushed.commit({"a": b"one\n", "z": b"", f"{TOKEN}.txt": b"", "nothing": b""}, pushed.main)
    assert places(pushed.search(commit)) == [("(withheld)", 0)]


def test_what_the_policy_calls_harmless(pushed: Pushed) -> None:
    commit = pushed.commit({"tests/b": LINE, "c": LINE + b"\n"}, pushed.main)
    for kinds in ((), (KIND,)):
        assert places(pushed.search(commit, harmless=(Harmless(("tests/**",), kinds),))) == [("c", 1)]
    assert len(places(pushed.search(commit, harmless=(Harmless(("tests/**",), ("jwt",)),)))) == 2


def test_large_files_are_told(pushed: Pushed) -> None:
    search = pushed.search(pushed.commit({"large": LINE + b"x" * MAX_BYTES}, pushed.main))
    assert (places(search), search.unread) == ([], ["large"])


def test_a_submodule_that_becomes_a_directory_is_looked_through(pushed: Pushed) -> None:
    """Its row names the same object before and after."""
    inner = bytes.fromhex(trees.build(pushed.new, {"b": Entry(REGULAR, pushed.new.write(ObjectType.BLOB, LINE))}))
    newest = pushed.main
    for mode in (b"160000", b"40000"):
        tree = pushed.new.write(ObjectType.TREE, mode + b" d\0" + inner)
        newest = pushed.new.write(ObjectType.COMMIT, raw_commit(tree, [newest], "Change\n", 0.0))
    assert places(pushed.search(newest)) == [("d/b", 1)]


def test_what_is_missing_refuses(pushed: Pushed) -> None:
    tree = pushed.new.write(ObjectType.TREE, b"100644 b\0" + bytes.fromhex("e" * 40))
    commit = pushed.new.write(ObjectType.COMMIT, raw_commit(tree, [pushed.main], "Lose\n", 0.0))
    with pytest.raises(StorageError, match="missing"):
        pushed.search(commit)


def test_validate_finds_them_without_a_push(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "source")
    driver = Driver(tmp_path / "none")
    assert driver.run("validate", source).returncode == 0
    (source / "config/keys.conf").write_bytes(b"mode = plain\n" + LINE)
    done = driver.run("validate", source)
    assert done.returncode == 1
    assert "config/keys.conf:2" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    policy = (source / "stateguard.yaml").read_text()
    (source / "stateguard.yaml").write_text(policy + "secrets: {allow: [{paths: [config/keys.conf]}]}\n")
    assert driver.run("validate", source).returncode == 0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path, write_tiny(tmp_path / "source"))
    try:
        yield driver.init("--no-baseline").start()
    finally:
        driver.close()


def test_a_push_is_refused_until_the_policy_on_main_allows_it(home: Driver) -> None:
    before = home.main
    home.edit("config/keys.conf", f"mode = plain\nkey = {TOKEN}\n")
    home.commit("Add a key")
    done = home.push()
    assert done.returncode == 1
    assert "config/keys.conf:2" in done.stderr
    assert "looks like" in done.stderr
    assert TOKEN not in done.stderr + home.log.read_text()
    assert home.main == before
    assert home.push(ref="HEAD:refs/heads/other").returncode == 1, "a branch carries it as well"
    git(home.work, "reset", "-q", "--hard", before)
    alpha = (home.work / "agents/alpha/agent.yaml").read_text()
    done = home.offer("agents/alpha/agent.yaml", f"{alpha}environment: GITHUB_TOKEN={TOKEN}\n")
    assert done.returncode == 1
    assert "must be a mapping" in done.stderr, "what else is wrong is told as well"
    assert TOKEN[4:16] not in done.stderr + home.log.read_text() + home.must("audit", "log")
    git(home.work, "reset", "-q", "--hard", before)
    policy = (home.work / "stateguard.yaml").read_text() + "secrets: {allow: [{paths: ['config/keys.conf']}]}\n"
    done = home.offer("stateguard.yaml", policy)
    assert done.returncode == 0, done.stderr
    done = home.offer("config/keys.conf", f"mode = plain\nkey = {TOKEN}\n")
    assert done.returncode == 0, done.stderr
    assert TOKEN not in home.must("audit", "log")
