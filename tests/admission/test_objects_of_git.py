"""What stock git writes in all its ordinary ways comes in, and so does what other tools are known to write."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pygit2
import pytest
from dulwich import repo as dulwich

from admission.objects import COMMIT, TAG, TREE
from driving import environment
from gpghome import ED25519, GpgHome, gpg_home
from stateguard.admission.objects import Commit, Tag, commit_of, rows_of, serialised_rows, tag_of


class Work:
    """A work tree, in which git is run as people do, and what it has written so far."""

    def __init__(self, root: Path, home: GpgHome) -> None:
        self.path, self.key, self.home = root / "work", root / "key", home
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.key], check=True)
        self.fingerprint = home.make("Signer <signer@example.org>", ED25519)
        self.ssh = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={self.key}")
        self.gpg = ("-c", f"user.signingkey={self.fingerprint}")
        root.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main", str(self.path), cwd=root)
        self.commit("First")

    @property
    def tree(self) -> str:
        return self.git("write-tree").decode().strip()

    def git(self, *words: str | Path, cwd: Path | None = None, stdin: bytes = b"", **extra: str) -> bytes:
        done = subprocess.run(
            ["git", *map(str, words)],
            cwd=cwd or self.path,
            env=environment(GNUPGHOME=self.home.environment["GNUPGHOME"], **extra),
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def commit(self, message: str, *words: str, before: tuple[str, ...] = (), **extra: str) -> None:
        self.git(*before, "commit", "-q", "--allow-empty", "--allow-empty-message", "-m", message, *words, **extra)

    def branch(self, name: str, path: str) -> None:
        """Make a branch off main that adds a file."""
        self.git("checkout", "-q", "-b", name, "main")
        (self.path / path).write_text(f"{name}\n")
        self.git("add", "-A")
        self.commit(f"Add {path}")
        self.git("checkout", "-q", "main")

    def check(self) -> tuple[list[Commit], list[Tag]]:
        """Demand that every object of the repository comes in; returns commits and tags."""
        commits, tags = [], []
        repository = pygit2.Repository(str(self.path))
        for one in list(repository.odb):
            kind, content = repository.odb.read(one)
            if kind == COMMIT:
                commits.append(commit_of(content))
                assert commits[-1].serialised() == content
            elif kind == TREE:
                assert serialised_rows(rows_of(content)) == content
            elif kind == TAG:
                tags.append(tag_of(content))
                assert tags[-1].serialised() == content
        return commits, tags


@pytest.fixture(scope="module")
def keys() -> Iterator[GpgHome]:
    with gpg_home() as home:
        yield home


@pytest.fixture
def work(tmp_path: Path, keys: GpgHome) -> Work:
    return Work(tmp_path, keys)


MESSAGES = ["", "\n", "Subject\n\n\n\n", "\n\nlate subject", "no end", "é あ\n", "# kept\n", "tree 1\nparent 2\n"]


def test_messages(work: Work) -> None:
    for message in MESSAGES:
        work.git("commit-tree", work.tree, stdin=message.encode())
    work.commit("", "--amend")
    commits, _ = work.check()
    assert {commit.message.decode() for commit in commits} >= set(MESSAGES)


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "Shift_JIS", "windows-1252"])
def test_encodings(work: Work, encoding: str) -> None:
    file = work.path / "message"
    file.write_bytes("Grüße\n".encode("ISO-8859-1"))
    work.git("-c", f"i18n.commitEncoding={encoding}", "commit", "-q", "--allow-empty", "-F", file)
    commits, _ = work.check()
    assert encoding.encode() in {commit.encoding for commit in commits}


NAMES = ["Łukasz Ó Ceallaigh", "O'Neil, Jr. (he)", 'A "B" C', "x", "a\\b", "名前", "tab\there"]


def test_people(work: Work) -> None:
    for name in NAMES:
        work.commit("By", GIT_AUTHOR_NAME=name, GIT_COMMITTER_NAME=name, GIT_AUTHOR_EMAIL="")
    raw = f"tree {work.tree}\nauthor  <a@b> 1 +0000\ncommitter  <> 1 -0000\n\nNobody\n"
    made = work.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw.encode()).decode().strip()
    work.git("branch", "nobody", made)
    work.git("fsck", "--strict")
    commits, _ = work.check()
    assert b" <a@b> 1 +0000" in {commit.author for commit in commits}


@pytest.mark.parametrize("date", ["@0 +0000", "@1 -1200", "2099-12-31T23:59:59 +1400", "1700000000 -0330"])
def test_times(work: Work, date: str) -> None:
    work.commit("Then", GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE="@5 +0545")
    work.check()


def test_merges_and_what_is_picked(work: Work) -> None:
    for name in "abcd":
        work.branch(name, name)
    work.git("merge", "-q", "--no-ff", "-m", "One", "a")
    work.git("merge", "-q", "--no-ff", "-m", "Octopus", "b", "c")
    work.git("cherry-pick", "d")
    work.git("revert", "--no-edit", "HEAD")
    work.git("revert", "--no-edit", "-m", "1", "HEAD~2")
    work.git("commit", "--amend", "-q", "--no-edit", "--date=now")
    work.git("rebase", "-q", "--force-rebase", "-r", "--root")
    (work.path / "a").write_text("dirty\n")
    work.git("stash", "-q")
    work.git("notes", "add", "-m", "Noted", "HEAD")
    commits, _ = work.check()
    assert {len(commit.parents) for commit in commits} == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
def test_signatures_and_tags_that_were_merged(work: Work, kind: str) -> None:
    options = work.ssh if kind == "ssh" else work.gpg
    for name in "ab":
        work.branch(name, name)
        work.git(*options, "tag", "-s", "-m", f"Tag {name}\n\n\nwith more", f"v/{name}", name)
    work.git("tag", "-a", "-m", "", "empty", "main")
    work.git("tag", "-a", "--cleanup=verbatim", "-m", "\n\nodd\n\n", "odd", "main")
    work.git(*options, "merge", "-q", "-S", "--no-ff", "-m", "Merge tags", "v/a", "v/b")
    work.git(*options, "commit", "-q", "--amend", "-S", "--no-edit")
    work.git(*options, "-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--amend", "-S", "-m", "Anew")
    commits, tags = work.check()
    merges = [commit for commit in commits if len(commit.parents) == 3]
    assert len(merges) >= 2, "two may be one, if made in the same second"
    assert all(commit.signature and [name for name, _ in commit.others] == [b"mergetag"] * 2 for commit in merges)
    assert sorted((tag.name, bool(tag.signature)) for tag in tags) == [
        (b"empty", False),
        (b"odd", False),
        (b"v/a", True),
        (b"v/b", True),
    ]


def test_names_and_modes(work: Work) -> None:
    for name in ("a", "a.b", "a-", "ab", "é", "あ", 'quo"te', "line\n", "-rf", "x" * 200):
        (work.path / f"{name}.d").mkdir()
        (work.path / f"{name}.d" / name).write_text("x")
        (work.path / name).write_text("x")
    (work.path / "ab").chmod(0o755)
    (work.path / "link").symlink_to("a")
    (work.path / "a0").mkdir()
    (work.path / "a0" / "f").write_text("x")
    work.git("add", "-A")
    head = work.git("rev-parse", "HEAD").decode().strip()
    work.git("update-index", "--add", "--cacheinfo", f"160000,{head},module")
    work.commit("Everything")
    work.git("fsck", "--strict")
    work.check()


def _with_pygit2(work: Work) -> None:
    repository = pygit2.Repository(str(work.path))
    who = pygit2.Signature("Ünïcode", "u@example.org", 1, -330)
    repository.create_commit("HEAD", who, who, "By pygit2", repository.head.peel().tree.id, [repository.head.target])
    repository.create_tag("v1", repository.head.target, pygit2.enums.ObjectType.COMMIT, who, "Tagged")


def _with_dulwich(work: Work) -> None:
    with dulwich.Repo(str(work.path)) as repository:
        worktree = repository.get_worktree()
        worktree.commit(message=b"By dulwich", author=b"D <d@example.org>", committer=b"D <d@example.org>", sign=False)


def _with_fast_import(work: Work) -> None:
    stream = work.git("fast-export", "--all", "--signed-tags=strip", "--reencode=no")
    work.git("fast-import", "--quiet", "--force", stdin=re.sub(rb"person@example", b"another@example", stream))


@pytest.mark.parametrize("write", [_with_pygit2, _with_dulwich, _with_fast_import])
def test_other_writers(work: Work, write: Callable[[Work], None]) -> None:
    before = len(work.check()[0])
    write(work)
    assert len(work.check()[0]) > before


BY_GITHUB = b"""\
tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
parent 1111111111111111111111111111111111111111
author A U Thor <1+author@users.noreply.github.com> 1751364000 +0200
committer GitHub <noreply@github.com> 1751364000 +0200
gpgsig -----BEGIN PGP SIGNATURE-----
 Version: none
 \n wsFcBAABCAAQBQJoZBQgCRC1aQ7uu5UhlAAA
 =k3cP
 -----END PGP SIGNATURE-----
 \n
Merge pull request #1 from author/topic

Topic"""

BY_JUJUTSU = b"""\
tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
author A U Thor <a@example.org> 1751364000 +0200
committer A U Thor <a@example.org> 1751364000 +0200
change-id kkmpptxzrspxrzommnulwmwkkqwworpl
gpgsig -----BEGIN SSH SIGNATURE-----
 U1NIU0lHAAAAAQ==
 -----END SSH SIGNATURE-----

Change
"""


@pytest.mark.parametrize("content", [BY_GITHUB, BY_JUJUTSU])
def test_what_is_found_in_the_wild(content: bytes) -> None:
    assert commit_of(content).serialised() == content
