"""What admission asks of a repository: trees in quarantine, and states without what the running system owns."""

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pygit2.enums import ObjectType

from driving import Driver
from stateguard.admission.admit import judge
from stateguard.admission.known import Known
from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules
from stateguard.errors import StorageError
from stateguard.guard.admit import desired_digest, judge_commit, tree_reader
from stateguard.guard.compose import compose
from stateguard.host.home import Home
from stateguard.model.identity import MAIN
from stateguard.model.policy import Policy, Section
from stateguard.model.tree import REGULAR, Entry
from stateguard.state import trees
from stateguard.state.commits import raw_commit
from stateguard.state.repository import RefMove, Repository

POLICY = default_policy()


def built(repository: Repository, files: dict[str, bytes]) -> str:
    paths = {path: Entry(REGULAR, repository.write(ObjectType.BLOB, data)) for path, data in files.items()}
    return trees.build(repository, paths)


def test_what_was_seen_in_quarantine_is_missed_when_it_is_gone(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo.git", served=False)
    before = built(repository, {"a/b": b"1"})
    elsewhere = Repository.create(tmp_path / "elsewhere.git", served=False)
    after = built(elsewhere, {"a/b": b"1", "c/d/e": b"2"})
    quarantine, known = Repository(repository.path, elsewhere.path / "objects"), Known()
    for _ in range(2):
        old = tree_reader(repository, before)
        assert judge(tree_reader(quarantine, after), old, POLICY, known=known).changed == ("c/d/e",)
        with pytest.raises(StorageError, match="missing"):
            judge(tree_reader(repository, after), old, POLICY, known=known)


def committed(repository: Repository, files: dict[str, bytes]) -> str:
    return repository.write(ObjectType.COMMIT, raw_commit(built(repository, files), [], "Try\n", 0.0))


def test_a_commit_that_nobody_pushed_is_judged_by_what_it_changes_or_else_whole(tmp_path: Path) -> None:
    files, source = {"stateguard.yaml": b"apiVersion: stateguard/v1\n"}, tmp_path / "source"
    source.mkdir()
    (source / "stateguard.yaml").write_bytes(files["stateguard.yaml"])
    driver = Driver(tmp_path, source).init("--no-baseline")
    guard = compose(Home(driver.home), lambda *_: None)
    repository = guard.repository
    try:
        main = committed(repository, {**files, "a": b"", "-old": b""})
        repository.move([RefMove(MAIN, main, guard.main)])
        changed = committed(repository, {**files, "-old": b"", "conversations/b.jsonl": b""})
        fine = committed(repository, {**files, "b": b"", "conversations/b.jsonl": b""})
        assert [p.code for p in judge_commit(guard, repository, changed).problems] == ["captured-path"]
        assert judge_commit(guard, repository, changed, pushed=False).admitted
        assert [p.path for p in judge_commit(guard, repository, main, pushed=False).problems] == ["-old"]
        lost = repository.commit(main).tree
        (repository.path / "objects" / lost[:2] / lost[2:]).unlink()
        repository.renew()
        assert [p.code for p in judge_commit(guard, repository, fine).problems] == ["missing-object"]
        assert judge_commit(guard, repository, fine, pushed=False).admitted
        assert [p.path for p in judge_commit(guard, repository, changed, pushed=False).problems] == ["-old"]
    finally:
        guard.close()
        driver.close()


NAMES = st.sampled_from(["a", "b", "conversations", "memory", "x.log"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PATTERNS = st.sampled_from(["conversations/**", "memory/a/**", "a/x.log", "*.log", "/b/"])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("trees") / "repo.git", served=False)


@settings(max_examples=60)
@given(paths=st.sets(PATHS, max_size=8), patterns=st.sets(PATTERNS, max_size=3))
def test_the_digest_is_that_of_the_tree_without_captured_paths(
    repository: Repository, paths: set[str], patterns: set[str]
) -> None:
    files = {path: b"x" for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    rules = PathRules(Policy((Section("memory", tuple(sorted(patterns)), captured=True),)))
    left = {path: data for path, data in files.items() if not rules.captured(path)}
    assert desired_digest(repository, built(repository, files), rules) == built(repository, left)
