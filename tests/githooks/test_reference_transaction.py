"""The hook that sees every move of refs by git: which are refused, and which are work of git and of the guard."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from driving import git, sh
from stateguard.guard.hooks import HOOKS, hook_text, install_hooks
from stateguard.model.identity import APPLIED, MAIN, ZERO
from stateguard.state.git import git as git_of_the_guard
from stateguard.state.repository import RefMove, Repository

OWN = (MAIN, "refs/heads/incidents", "refs/tags/baseline/1", APPLIED, "refs/stateguard/audit")


class Place:
    """A served repository with two commits; the guard's refs are at the first, some of them packed."""

    def __init__(self, root: Path) -> None:
        self.repository = Repository.create(root / "repo.git", served=True)
        self.path = self.repository.path
        install_hooks(self.path)
        tree = sh("git", "-C", self.path, "hash-object", "-t", "tree", "-w", "--stdin").stdout.strip()
        self.first = git(self.path, "commit-tree", tree, "-m", "first")
        self.second = git(self.path, "commit-tree", tree, "-p", self.first, "-m", "second")
        self.repository.move([RefMove(name, self.first, ZERO) for name in (*OWN, "refs/heads/side")])

    def refs(self) -> dict[str, str]:
        return self.repository.every_ref()

    def try_git(self, *words: str) -> subprocess.CompletedProcess[str]:
        return sh("git", "-C", self.path, *words, check=False)


@pytest.fixture(params=["loose", "packed", "moved since"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made = Place(tmp_path)
    if request.param != "loose":
        git(made.path, "pack-refs", "--all")
    if request.param == "moved since":  # packed-refs still has where it was
        made.repository.move([RefMove(name, made.second, made.first) for name in OWN])
        made.first, made.second = made.second, made.first
    return made


def refused(place: Place, *words: str) -> None:
    before = place.refs()
    done = place.try_git(*words)
    assert done.returncode != 0
    assert "is moved by the guard alone; nothing was changed" in done.stderr
    assert place.refs() == before


@pytest.mark.parametrize("name", OWN)
def test_nobody_else_moves_or_deletes_what_is_the_guards(place: Place, name: str) -> None:
    refused(place, "update-ref", name, place.second)
    refused(place, "update-ref", name, place.second, place.first)
    refused(place, "update-ref", "-d", name)
    refused(place, "update-ref", "-d", name, place.first)


def test_nor_makes_one(place: Place) -> None:
    for name in ("refs/tags/baseline/2", "refs/stateguard/x/y"):
        refused(place, "update-ref", name, place.first)


def test_nor_by_what_people_type(place: Place) -> None:
    git(place.path, "symbolic-ref", "HEAD", "refs/heads/side")
    refused(place, "branch", "-f", "main", place.second)
    refused(place, "branch", "-D", "main")
    refused(place, "tag", "-d", "baseline/1")
    refused(place, "tag", "-f", "baseline/1", place.second)
    git(place.path, "update-ref", "refs/heads/other", place.second)
    refused(place, "fetch", "-q", ".", "+refs/heads/other:refs/heads/main")


def test_one_of_several_is_enough(place: Place) -> None:
    before = place.refs()
    asked = f"update refs/heads/side {place.second}\nupdate {MAIN} {place.second}\n"
    done = sh("git", "-C", place.path, "update-ref", "--stdin", stdin=asked, check=False)
    assert done.returncode != 0
    assert place.refs() == before


def test_other_refs_are_nobodys_business(place: Place) -> None:
    for words in (
        ("update-ref", "refs/heads/side", place.second),
        ("update-ref", "refs/heads/maintenance", place.first),
        ("tag", "-a", "-m", "x", "v1", place.first),
        ("update-ref", "-d", "refs/heads/side"),
    ):
        git(place.path, *words)
    assert place.refs()["refs/heads/maintenance"] == place.first


def test_the_guard_moves_them_with_and_without_git(place: Place) -> None:
    place.repository.move([RefMove(name, place.second, place.first) for name in OWN])
    git_of_the_guard(place.path, "update-ref", MAIN, place.first, place.second)
    git_of_the_guard(place.path, "update-ref", "-d", APPLIED)
    assert (place.refs()[MAIN], APPLIED in place.refs()) == (place.first, False)


@pytest.mark.parametrize(
    "words", [("pack-refs", "--all"), ("pack-refs", "--all", "--no-prune"), ("gc", "-q"), ("gc", "-q", "--prune=now"),
              ("maintenance", "run", "--task=gc", "--quiet"), ("repack", "-adq"), ("reflog", "expire", "--all")],
)  # fmt: skip
def test_upkeep_goes_on_and_changes_no_ref(place: Place, words: tuple[str, ...]) -> None:
    before = place.refs()
    for _ in range(2):
        git(place.path, *words)
        assert place.refs() == before
    assert not (place.path / MAIN).exists() or words[0] not in ("gc", "maintenance")


def test_a_push_that_nobody_judged_stops_here(place: Place, tmp_path: Path) -> None:
    """Where the other hooks are gone, git itself moves main and tags, by a push."""
    for hook in ("pre-receive", "proc-receive"):
        (place.path / "hooks" / hook).unlink()
    git(place.path, "config", "--unset", "receive.procReceiveRefs")
    work = tmp_path / "work"
    sh("git", "clone", "-q", place.path, work)
    before = place.refs()
    git(work, "commit", "-q", "--allow-empty", "-m", "mine")
    git(work, "tag", "baseline/7")
    for ref in ("HEAD:main", "HEAD:refs/stateguard/applied", "baseline/7", ":refs/tags/baseline/1"):
        done = sh("git", "-C", work, "push", "-f", "origin", ref, check=False)
        assert done.returncode != 0, ref
        assert "is moved by the guard alone" in done.stderr
        assert place.refs() == before
    git(work, "push", "origin", "HEAD:refs/heads/fine")
    assert place.refs().keys() - before.keys() == {"refs/heads/fine"}


def test_no_program_is_started_for_refs_of_others(place: Place) -> None:
    """It is run twice for each push to a branch, so it has to be short."""
    words = [shutil.which("sh") or "", str(place.path / "hooks/reference-transaction")]
    many = f"{ZERO} {place.first} refs/heads/x\n" * 100
    for state, lines in (("prepared", many), ("committed", ""), ("aborted", "")):
        nowhere = {"PATH": "/nonexistent"}
        done = subprocess.run([*words, state], input=lines.encode(), env=nowhere, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_it_works_from_anywhere(place: Place, tmp_path: Path) -> None:
    before = place.refs()
    for words in (("pack-refs", "--all"), ("update-ref", MAIN, place.second)):
        sh("git", "--git-dir", place.path, *words, cwd=tmp_path, check=False)
        assert place.refs() == before
    assert not (place.path / MAIN).exists()


def test_it_is_installed_with_the_others(place: Place) -> None:
    assert "reference-transaction" in HOOKS
    assert (place.path / "hooks/reference-transaction").read_text() == hook_text("reference-transaction")
