"""Objects come in if they have the form that git gives them; what comes in, git, libgit2 and dulwich read alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dulwich.objects import parse_tree
from hypothesis import HealthCheck, given, settings
from pygit2.enums import ObjectType

from admission import objects as drawn
from admission.objects import ANY, COMMIT, PGP, SSH, TAG, TREE
from state import stock
from stateguard.admission.objects import (
    Commit,
    MalformedError,
    Row,
    Tag,
    commit_of,
    rows_of,
    serialised_rows,
    tag_of,
)
from stateguard.state.repository import Repository

ID, OTHER = b"1" * 40, b"2" * 40
WHO = b"A U Thor <a@example.org> 1751364000 +0200"
PLAIN = b"tree %b\nparent %b\nauthor %b\ncommitter %b\n\nSubject\n" % (ID, ID, WHO, WHO)
TAGGED = b"object %b\ntype commit\ntag v1\ntagger %b\n\nFirst\n" % (ID, WHO)


def folded(name: bytes, value: bytes) -> bytes:
    return name + b" " + value.removesuffix(b"\n").replace(b"\n", b"\n ") + b"\n"


def with_header(header: bytes, content: bytes = PLAIN) -> bytes:
    """Return a commit with something behind its headers."""
    return content.replace(b"\n\n", b"\n" + header + b"\n", 1)


SIGNED = with_header(folded(b"gpgsig", SSH))
MERGED = with_header(folded(b"mergetag", TAGGED + PGP))


class TestValid:
    @given(drawn.commits())
    def test_commits(self, commit: Commit) -> None:
        assert commit_of(commit.serialised()) == commit

    @given(drawn.tags())
    def test_tags(self, tag: Tag) -> None:
        assert tag_of(tag.serialised()) == tag

    @given(drawn.trees)
    def test_trees(self, rows: list[Row]) -> None:
        assert rows_of(serialised_rows(rows)) == rows


COMMITS = {
    "late-tree": (with_header(b"tree %b\n" % OTHER), "header tree is twice, not in its place"),
    "late-parent": (with_header(b"parent %b\n" % OTHER), "header parent is twice, not in its place"),
    "second-author": (PLAIN.replace(b"committer", b"author %b\ncommitter" % WHO), "header committer is missing"),
    "late-author": (with_header(b"author %b\n" % WHO), "header author is twice"),
    "second-signature": (with_header(folded(b"gpgsig", PGP), SIGNED), "header gpgsig is twice"),
    "two-in-one": (with_header(folded(b"gpgsig", SSH + SSH)), "cut short, or more than one"),
    "empty-signature": (with_header(b"gpgsig \n"), "cut short"),
    "late-signature": (with_header(b"change-id x\n", SIGNED), "header gpgsig is twice, not in its place"),
    "signature-in-sha256": (with_header(folded(b"gpgsig-sha256", SSH)), "header gpgsig-sha256"),
    "signature-in-capitals": (with_header(folded(b"GPGSIG", SSH)), "header GPGSIG"),
    "encoding-twice": (with_header(b"encoding a\nencoding b\n"), "header encoding is twice"),
    "encoding-of-words": (with_header(b"encoding a b\n"), "encoding has not the form"),
    "late-encoding": (with_header(b"change-id x\nencoding a\n"), "header encoding is twice, not in its place"),
    "unknown-twice": (with_header(b"change-id x\nchange-id y\n"), "header change-id is there twice"),
    "unknown-on-lines": (with_header(b"note x\n y\n"), "header note is no line of text"),
    "unknown-control": (with_header(b"note \x1b[31m\n"), "header note is no line of text"),
    "unknown-no-utf-8": (with_header(b"note \xff\n"), "header note is no line of text"),
    "odd-name": (with_header("não x\n".encode()), "is no line of text"),
    "no-value": (with_header(b"note\n"), "in other bytes"),
    "object-header": (with_header(b"object %b\n" % OTHER), "header object"),
    "parent-twice": (PLAIN.replace(b"author", b"parent %b\nauthor" % ID, 1), "names a parent twice"),
    "parents-first": (b"parent %b\n" % ID + PLAIN, "header tree is missing or not in its place"),
    "no-tree": (PLAIN.partition(b"\n")[2], "header tree is missing"),
    "long-id": (PLAIN.replace(b"tree 1", b"tree 11"), "tree has not the form"),
    "capital-id": (PLAIN.replace(b"tree 1", b"tree A"), "tree has not the form"),
    "nul-in-message": (PLAIN + b"\0", "NUL"),
    "nul-in-header": (PLAIN.replace(b"Thor", b"Th\0r"), "NUL"),
    "no-blank-line": (PLAIN.partition(b"\n\n")[0] + b"\n", "no empty line"),
    "nothing": (b"", "no empty line"),
    "begins-folded": (b" " + PLAIN, "rest of another"),
    "folded-tree": (PLAIN.replace(b"\nparent", b"\n x\nparent"), "tree has not the form"),
    "no-name": (PLAIN.replace(b"author A U Thor ", b"author "), "author has not the form"),
    "no-mail": (PLAIN.replace(b" <a@example.org>", b"", 1), "author has not the form"),
    "second-mail": (PLAIN.replace(b"> 17", b"> <b@c> 17", 1), "author has not the form"),
    "zero-before-date": (PLAIN.replace(b" 17", b" 017", 1), "author has not the form"),
    "date-without-end": (PLAIN.replace(b" 17", b" 17777777777", 1), "author has not the form"),
    "negative-date": (PLAIN.replace(b" 17", b" -17", 1), "author has not the form"),
    "no-zone": (PLAIN.replace(b" +0200", b"", 1), "author has not the form"),
    "odd-minutes": (PLAIN.replace(b"+0200", b"+0260", 1), "author has not the form"),
    "no-such-zone": (PLAIN.replace(b"+0200", b"+9900", 1), "author has not the form"),
    "something-behind": (PLAIN.replace(b"+0200", b"+0200 ", 1), "author has not the form"),
    "merged-no-parent": (MERGED.replace(b"object 1", b"object 2"), "none of its parents"),
    "merged-nested": (MERGED.replace(b"type commit", b"type tag"), "it tags a tag"),
    "merged-behind-signature": (with_header(folded(b"mergetag", TAGGED), SIGNED), "header gpgsig"),
}


@pytest.mark.parametrize(("content", "words"), COMMITS.values(), ids=COMMITS)
def test_commits_that_do_not_come_in(content: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        commit_of(content)


TAGS = {
    "nested": (TAGGED.replace(b"type commit", b"type tag"), "it tags a tag; a tag is for a commit"),
    "of-a-tree": (TAGGED.replace(b"type commit", b"type tree"), "it tags a tree"),
    "of-a-file": (TAGGED.replace(b"type commit", b"type blob"), "it tags a blob"),
    "no-type": (TAGGED.replace(b"type commit\n", b""), "header type is missing"),
    "type-twice": (TAGGED.replace(b"tag v1", b"type commit\ntag v1"), "header tag is missing or not in its place"),
    "name-twice": (TAGGED.replace(b"tagger", b"tag v2\ntagger"), "header tagger is missing or not in its place"),
    "no-tagger": (re.sub(rb"tagger [^\n]*\n", b"", TAGGED), "header tagger is missing"),
    "tagger-twice": (with_header(b"tagger %b\n" % WHO, TAGGED), "header tagger is none of a tag, or not in its place"),
    "late-object": (with_header(b"object %b\n" % OTHER, TAGGED), "header object is none of a tag"),
    "signature-in-header": (with_header(folded(b"gpgsig", SSH), TAGGED), "header gpgsig is none of a tag"),
    "two-signatures": (TAGGED + SSH + PGP, "more than one signature"),
    "behind-signature": (TAGGED + SSH + b"more\n", "something stands behind it"),
    "cut-signature": (TAGGED + SSH[:40], "cut short"),
    "unended-signature": (TAGGED + SSH.removesuffix(b"\n"), "cut short"),
    "nul": (TAGGED + b"\0", "NUL"),
    "no-blank-line": (TAGGED.partition(b"\n\n")[0] + b"\n", "no empty line"),
}


@pytest.mark.parametrize(("content", "words"), TAGS.values(), ids=TAGS)
def test_tags_that_do_not_come_in(content: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        tag_of(content)


def row(mode: bytes, name: bytes) -> bytes:
    return mode + b" " + name + b"\0" + b"\1" * 20


A, B = row(b"100644", b"a"), row(b"100644", b"b")
TREES = {
    "zero-before-mode": (row(b"040000", b"a"), "a has the mode 040000"),
    "group-may-write": (A + row(b"100664", b"b"), "b has the mode 100664"),
    "setuid": (row(b"104755", b"a"), "a has the mode 104755"),
    "long-mode": (row(b"7" * 90, b"a"), "a has the mode 777"),
    "no-mode": (row(b"", b"a"), "a has the mode , "),
    "no-name": (row(b"100644", b""), "a row of it has no name"),
    "slash": (row(b"100644", b"a/b"), "the name a/b has a slash"),
    "twice": (A + A, "a name twice"),
    "twice-apart": (A + row(b"100644", b"a.b") + row(b"40000", b"a"), "a name twice"),
    "order": (B + A, "order in which git sorts"),
    "order-of-directories": (row(b"40000", b"a") + row(b"100644", b"a.b"), "order in which git sorts"),
    "cut-short": (A + B[:-1], "cut short"),
    "something-behind": (A + b"x", "cut short"),
}


@pytest.mark.parametrize(("content", "words"), TREES.values(), ids=TREES)
def test_trees_that_do_not_come_in(content: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        rows_of(content)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.create(tmp_path_factory.mktemp("objects") / "repo.git", served=False)


def read(kind: int, content: bytes) -> Commit | Tag | list[Row] | None:
    """Return what our parser reads; None if it refuses, with words that can be shown."""
    try:
        return {COMMIT: commit_of, TREE: rows_of, TAG: tag_of}[kind](content)
    except MalformedError as error:
        assert str(error).isprintable()  # noqa: PT017 - whether it is raised is not known
        return None


class TestAgreement:
    """Whatever is done to the bytes: what our parser takes, others read alike; else it raises its one error."""

    @pytest.mark.parametrize("kind", [COMMIT, TAG])
    @pytest.mark.parametrize("broken", [False, True])
    def test_libgit2_and_dulwich(self, repository: Repository, kind: int, broken: bool) -> None:
        accepted = []

        @given(drawn.mangled(ANY[kind]) if broken else ANY[kind])
        @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
        def each(content: bytes) -> None:
            found = read(kind, content)
            if isinstance(found, (Commit, Tag)):
                accepted.append(content)
                assert found.serialised() == content
                assert drawn.libgit2s(repository.handle, kind, content) == drawn.ours(found)
                assert drawn.dulwichs(kind, content) == drawn.ours(found)

        each()
        assert len(set(accepted)) > 20

    @pytest.mark.parametrize("broken", [False, True])
    def test_trees(self, repository: Repository, broken: bool) -> None:
        @given(drawn.mangled(ANY[TREE]) if broken else ANY[TREE])
        @settings(max_examples=300)
        def each(content: bytes) -> None:
            rows = read(TREE, content)
            if not isinstance(rows, list):
                return
            assert serialised_rows(rows) == content
            ours = [(name, int(mode, 8), identity.hex()) for mode, name, identity in rows]
            found = repository.handle[repository.write(ObjectType.TREE, content)]
            assert [(one.raw_name, one.filemode, str(one.id)) for one in found] == ours
            assert [
                (name, mode, sha.decode()) for name, mode, sha in parse_tree(content, sha_len=20, strict=True)
            ] == ours

        each()

    @pytest.mark.parametrize("broken", [False, True])
    def test_git(self, tmp_path: Path, broken: bool) -> None:
        """Git takes it without complaint, and finds nothing wrong with it that would be in its form."""
        path = Repository.create(tmp_path / "repo.git", served=False).path

        @given(drawn.mangled(ANY[COMMIT]) if broken else ANY[COMMIT])
        @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
        def each(content: bytes) -> None:
            found = read(COMMIT, content)
            if isinstance(found, Commit) and found.encoding in (None, b"nonsense"):  # git converts what it can
                assert drawn.gits(path, content) == drawn.ours(found)

        @given(drawn.mangled(ANY[TREE]) if broken else ANY[TREE])
        @settings(max_examples=60)
        def each_tree(content: bytes) -> None:
            rows = read(TREE, content)
            if not isinstance(rows, list):
                return
            made = stock.text(path, "hash-object", "-t", "tree", "-w", "--stdin", stdin=content)
            listed = stock.git(path, "ls-tree", "-z", made).split(b"\0")[:-1]
            words = [b"%06o %b\t%b" % (int(mode, 8), one.hex().encode(), name) for mode, name, one in rows]
            assert [re.sub(rb" (?:blob|tree|commit) ", b" ", line, count=1) for line in listed] == words

        each()
        each_tree()
        assert drawn.complaints(path) == []
