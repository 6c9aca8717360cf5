"""Objects that git lets in and programs read differently: a push that brings one is refused, whatever it moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pygit2.enums import ObjectType

from admission.objects import ANY, COMMIT, SSH, TAG, TREE, mangled
from driving import Driver, git, sh
from stateguard.admission.objects import serialised_rows
from stateguard.errors import StorageError
from stateguard.guard.objects import Forms
from stateguard.guard.secrets import Search
from stateguard.model.identity import MAIN, ZERO
from stateguard.model.tree import REGULAR, Entry
from stateguard.state import trees
from stateguard.state.commits import raw_commit
from stateguard.state.repository import RefMove, Repository
from tiny import ALPHA, GOOD

WHO = "A U Thor <a@example.org> 1751364000 +0000"
SIGNATURE = "gpgsig " + SSH.decode().strip().replace("\n", "\n ") + "\n"


class Work:
    """The objects of a clone, written past all checks."""

    def __init__(self, driver: Driver) -> None:
        self.objects, self.head = Repository(driver.work / ".git"), driver.head
        self.tree = self.objects.commit(self.head).tree

    def commit(self, *, tree: str = "", parent: str = "", late: str = "", message: str = "Try\n") -> str:
        lines = f"tree {tree or self.tree}\nparent {parent or self.head}\nauthor {WHO}\ncommitter {WHO}\n{late}\n"
        return self.objects.write(ObjectType.COMMIT, (lines + message).encode())

    def tag(self, target: str, name: str = "v1", kind: str = "commit", tagger: str = f"tagger {WHO}\n") -> str:
        text = f"object {target}\ntype {kind}\ntag {name}\n{tagger}\nTagged\n"
        return self.objects.write(ObjectType.TAG, text.encode())

    def with_odd_mode(self) -> str:
        content = self.objects.raw(self.tree)[1]
        assert b"100644 stateguard.yaml\0" in content
        return self.objects.write(ObjectType.TREE, content.replace(b"100644 state", b"100664 state"))


COMMITS: dict[str, tuple[Callable[[Work], str], str]] = {
    "late-parent": (lambda w: w.commit(late=f"parent {w.head}\n"), "header parent is twice, not in its place"),
    "late-tree": (lambda w: w.commit(late=f"tree {w.tree}\n"), "header tree is twice, not in its place"),
    "two-signatures": (lambda w: w.commit(late=SIGNATURE * 2), "header gpgsig is twice, not in its place"),
    "late-signature": (lambda w: w.commit(late=f"{SIGNATURE}note x\n"), "header gpgsig is twice, not in its place"),
    "two-encodings": (lambda w: w.commit(late="encoding a\nencoding b\n"), "header encoding is twice"),
    "control": (lambda w: w.commit(late="note \x1b[31m\n"), "header note is no line of text"),
    "odd-mode": (lambda w: w.commit(tree=w.with_odd_mode()), "stateguard.yaml has the mode 100664"),
}
TAGS: dict[str, tuple[Callable[[Work], str], str]] = {
    "nested": (lambda w: w.tag(w.tag(w.head), kind="tag"), "it tags a tag; a tag is for a commit"),
    "of-a-tree": (lambda w: w.tag(w.tree, kind="tree"), "it tags a tree; a tag is for a commit"),
    "of-another-name": (lambda w: w.tag(w.head, "v2"), 'the tag calls itself "v2"; push it under that name'),
    "of-nobody": (lambda w: w.tag(w.head, tagger=""), "header tagger is missing"),
    "with-a-header": (lambda w: w.tag(w.head, tagger=f"tagger {WHO}\nnote x\n"), "header note is none of a tag"),
}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Plain git with the checks that it has."""
    path = Repository.create(tmp_path / "plain.git", served=False).path
    git(path, "config", "receive.fsckObjects", "true")
    return path


def refused(driver: Driver, plain: Path, spec: str, words: str) -> str:
    """Demand that plain git takes a push and the guard does not; returns what the pusher saw."""
    sh("git", "push", "-q", plain, spec, cwd=driver.work)
    before = driver.refs()
    done = driver.push(ref=spec)
    assert done.returncode == 1
    assert words in done.stderr
    assert "refused; nothing was changed" in done.stderr
    assert driver.refs() == before
    return done.stderr


@pytest.mark.parametrize(("make", "words"), COMMITS.values(), ids=COMMITS)
def test_commits_and_trees(tiny: Driver, plain: Path, make: Callable[[Work], str], words: str) -> None:
    refused(tiny, plain, f"{make(Work(tiny))}:refs/heads/main", words)


@pytest.mark.parametrize(("make", "words"), TAGS.values(), ids=TAGS)
def test_tags(tiny: Driver, plain: Path, make: Callable[[Work], str], words: str) -> None:
    said = refused(tiny, plain, f"{make(Work(tiny))}:refs/tags/v1", words)
    assert "make the tag anew: git tag" in said


@pytest.mark.parametrize("name", ["late-parent", "odd-mode"])
def test_what_a_later_commit_mends_is_refused_on_any_branch(tiny: Driver, plain: Path, name: str) -> None:
    make, words = COMMITS[name]
    work = Work(tiny)
    mended = work.commit(parent=make(work), message="Mend\n")
    for ref in ("refs/heads/topic", "refs/tags/light"):
        refused(tiny, plain, f"{mended}:{ref}", words)


@pytest.mark.parametrize(
    ("name", "said", "options"),
    [
        ("late-parent", "git rebase --force-rebase COMMIT^", ""),
        ("odd-mode", "git read-tree --empty && git add -A && git commit --amend", "--no-edit --allow-empty"),
    ],
)
def test_what_the_refusal_says_helps(tiny: Driver, name: str, said: str, options: str) -> None:
    sh("git", "reset", "-q", "--hard", COMMITS[name][0](Work(tiny)), cwd=tiny.work)
    assert said in tiny.push().stderr
    sh("sh", "-c", f"{said.replace('COMMIT', 'HEAD')} {options}", cwd=tiny.work)
    done = tiny.push(ref=f"HEAD:refs/heads/mended-{name}")
    assert done.returncode == 0, done.stderr


def test_ordinary_commits_and_tags_come_in(tiny: Driver, tmp_path: Path) -> None:
    sh("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", tmp_path / "key")
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={tmp_path / 'key'}")
    sh("git", "checkout", "-q", "-b", "side", cwd=tiny.work)
    tiny.edit(ALPHA, GOOD + "# aside\n")
    tiny.commit("Aside")
    sh("git", *signing, "tag", "-s", "-m", "Of the side", "release/side", cwd=tiny.work)
    sh("git", "checkout", "-q", "-", cwd=tiny.work)
    sh("git", *signing, "merge", "-q", "-S", "--no-ff", "-m", "Merge a tag", "release/side", cwd=tiny.work)
    assert "\nmergetag object" in git(tiny.work, "cat-file", "commit", "HEAD")
    for ref in ("HEAD:refs/heads/merged", "refs/tags/release/side"):
        done = tiny.push(ref=ref)
        assert done.returncode == 0, done.stderr


class Pushed:
    """A repository with a main of many directories, and the quarantine of a push to it."""

    def __init__(self, root: Path) -> None:
        self.before = Repository.create(root / "repo.git", served=False)
        blob = Entry(REGULAR, self.before.write(ObjectType.BLOB, b"x"))
        self.paths = {f"{n:02}/{m:02}/file": blob for n in range(10) for m in range(10)}
        self.tree = trees.build(self.before, self.paths)
        self.main = self.before.write(ObjectType.COMMIT, raw_commit(self.tree, [], "First\n", 0.0))
        self.before.move([RefMove(MAIN, self.main, ZERO)])
        self.new = Repository.create(root / "new.git", served=False)
        self.both = Repository(self.before.path, self.new.path / "objects")

    def commit(self, tree: str, *parents: str) -> str:
        return self.new.write(ObjectType.COMMIT, raw_commit(tree, list(parents or [self.main]), "Try\n", 0.0))


@pytest.fixture
def pushed(tmp_path: Path) -> Pushed:
    return Pushed(tmp_path)


def test_only_what_changed_is_looked_at(pushed: Pushed) -> None:
    shown: list[tuple[int, str]] = []
    blob = Entry(REGULAR, pushed.new.write(ObjectType.BLOB, b"y"))
    tree = trees.build(pushed.new, {**pushed.paths, "03/07/file": blob})
    commit = pushed.commit(tree)
    same = pushed.commit(tree, commit)

    def look(kind: int, title: str, _content: bytes) -> bool:
        shown.append((kind, title))
        return True

    Search(pushed.both, (), pushed.before, look=look).through(same)
    first, second = (f"commit {one[:10]}" for one in (commit, same))
    directories = [(TREE, f"directory {path} ({first})") for path in ("/", "03/", "03/07/")]
    assert shown == [(COMMIT, first), *directories, (COMMIT, second)]


def test_a_submodule_that_becomes_a_directory_is_looked_at(pushed: Pushed) -> None:
    """Its row names the same object before and after."""
    hostile = pushed.new.write(ObjectType.TREE, b"100664 a\0" + bytes.fromhex(pushed.paths["00/00/file"].id))
    rows = [
        pushed.new.write(ObjectType.TREE, mode + b" d\0" + bytes.fromhex(hostile)) for mode in (b"160000", b"40000")
    ]
    forms = Forms()
    Search(pushed.both, (), pushed.before, look=forms.fits).through(pushed.commit(rows[1], pushed.commit(rows[0])))
    (problem,) = forms.problems
    assert (problem.code, problem.path.split(" (")[0]) == ("object", "directory d/")


def test_each_problem_is_told_once_and_not_all_of_many() -> None:
    forms = Forms()
    for n in [*range(30), *range(30)]:
        assert not forms.fits(COMMIT, f"commit {n}", b"")
    assert len(forms.problems) == len(set(forms.problems)) == 20


def test_names_are_compared_where_there_is_one() -> None:
    forms = Forms()
    good = f"object {ZERO}\ntype commit\ntag a/b\ntagger {WHO}\n\n".encode()
    forms.name("refs/tags/a/b", TAG, good)
    forms.name("refs/tags/x", TAG, b"malformed")
    forms.name("refs/tags/x", COMMIT, b"")
    assert forms.problems == []
    forms.name("refs/tags/b", TAG, good.replace(b"a/b", b"\x1b[1mb"))
    (problem,) = forms.problems
    assert problem.path == "refs/tags/b"
    assert "\x1b" not in problem.message


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(kind=st.sampled_from([COMMIT, TREE, TAG]), draws=st.data())
def test_bad_bytes_are_told_or_cannot_be_read(pushed: Pushed, kind: int, draws: st.DataObject) -> None:
    """Nothing but the one error that refuses a push, whatever its objects hold and lead to."""
    content = draws.draw(mangled(ANY[kind]))
    made = pushed.new.write(ObjectType(kind), content)
    forms = Forms()
    search = Search(pushed.both, (), pushed.before, look=forms.fits)
    try:
        search.through(pushed.commit(made) if kind == TREE else made)
    except StorageError:
        return
    assert {problem.code for problem in forms.problems} <= {"object"}


def test_the_empty_tree_need_not_be_there(pushed: Pushed) -> None:
    forms = Forms()
    Search(pushed.both, (), pushed.before, look=forms.fits).through(
        pushed.commit(trees.tree_id_of(serialised_rows([])))
    )
    assert forms.problems == []
