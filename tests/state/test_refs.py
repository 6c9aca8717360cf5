"""Refs are moved in this process as git moves them: all or none, only from where they were thought to be."""

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pygit2.enums import ObjectType

from driving import git
from stateguard.errors import StorageError
from stateguard.model.identity import ZERO
from stateguard.state.commits import raw_commit
from stateguard.state.refs import moved_here
from stateguard.state.repository import RefMove, Repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("refs") / "repo.git", served=False)


@pytest.fixture(scope="module")
def commits(repository: Repository) -> list[str]:
    tree = repository.write(ObjectType.TREE, b"")
    return [repository.write(ObjectType.COMMIT, raw_commit(tree, [], f"{n}\n", 1.0)) for n in range(3)]


def refs(repository: Repository) -> dict[str, str]:
    listed = git(repository.path, "for-each-ref", "--format=%(refname) %(objectname)")
    return dict(line.split(" ") for line in listed.splitlines())


def locks(repository: Repository) -> list[Path]:
    return list(repository.path.rglob("*.lock"))


def test_moves_are_as_stock_git_sees_them(repository: Repository, commits: list[str]) -> None:
    names = ("refs/heads/b", "refs/heads/a", "refs/stateguard/x/1")
    assert moved_here(repository.handle, [(name, commits[0], ZERO) for name in names])
    assert dict.fromkeys(names, commits[0]).items() <= refs(repository).items()
    git(repository.path, "pack-refs", "--all")
    moves = [("refs/heads/b", commits[1], commits[0]), ("refs/stateguard/x/1", ZERO, commits[0])]
    assert moved_here(repository.handle, moves)
    now = refs(repository)
    assert now["refs/heads/b"] == commits[1]
    assert "refs/stateguard/x/1" not in now
    assert "stateguard" in git(repository.path, "reflog", "show", "--format=%gn", "refs/heads/b")
    assert not locks(repository)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(-1, 2)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_all_or_none_whatever_is_asked(
    repository: Repository, commits: list[str], asked: list[tuple[int, bool, int]]
) -> None:
    before = refs(repository)
    moves = {}
    for number, right, new in asked:
        name = f"refs/heads/n{number}"
        old = before.get(name, ZERO)
        wrong = commits[0] if old != commits[0] else commits[1]
        moves[name] = RefMove(name, commits[new] if new >= 0 else ZERO, old if right else wrong)
    fits = all(m.old == before.get(m.name, ZERO) and not m.old == m.new == ZERO for m in moves.values())
    try:
        repository.move(list(moves.values()))
    except StorageError:
        assert not fits
        assert refs(repository) == before
    else:
        wanted = before | {m.name: m.new for m in moves.values()}
        assert refs(repository) == {name: new for name, new in wanted.items() if new != ZERO}
    assert not locks(repository)


def test_a_ref_never_names_what_is_not_there(repository: Repository) -> None:
    with pytest.raises(StorageError):
        repository.move([RefMove("refs/heads/nowhere", "a" * 40, ZERO)])
    assert repository.ref("refs/heads/nowhere") is None


def test_where_a_lock_is_held_nothing_moves(repository: Repository, commits: list[str]) -> None:
    lock = repository.path / "refs/heads/held.lock"
    lock.touch()
    moves = [("refs/heads/free", commits[0], ZERO), ("refs/heads/held", commits[0], ZERO)]
    try:
        assert not moved_here(repository.handle, moves)
    finally:
        lock.unlink()
    assert repository.ref("refs/heads/free") is None
    assert not locks(repository)


def test_what_cannot_be_moved_here_is_left_to_git(repository: Repository, commits: list[str]) -> None:
    repository.move([RefMove("refs/heads/dir/inside", commits[0], ZERO)])
    with pytest.raises(StorageError, match="refs/heads/dir"):
        repository.move([RefMove("refs/heads/dir", commits[0], ZERO)])
