"""Commits and tags that the guard signs, and stock git verifies."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st
from pygit2.enums import ObjectType

from state import stock
from stateguard.errors import StateguardError, StorageError, TrustError
from stateguard.model.identity import EMPTY_TREE
from stateguard.state.commits import raw_commit, split_signature, with_signature
from stateguard.state.forward import signed_commit
from stateguard.state.repository import Repository
from stateguard.state.tags import raw_tag, read_tag, write_tag
from stateguard.trust.ssh import SigningKey, verify

AT = 1_782_900_000.0
KEY, OTHER = SigningKey.generate(), SigningKey.generate()
MESSAGES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60)
HOSTILE = "x\n\ngpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n\nmore\n"


def signed_by(key: SigningKey, directory: Path) -> list[str]:
    """Return the options under which git trusts exactly this key."""
    signers = directory / "allowed_signers"
    signers.write_text(f'guard namespaces="git" {key.public.line}\n')
    return ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}"]


def signed_tag(repository: Repository, message: str, name: str = "baseline/1", key: SigningKey = KEY) -> str:
    target = commit(repository, "tagged\n")
    unsigned = raw_tag(name, target, message, AT)
    return write_tag(repository, unsigned, key.sign(unsigned))


def commit(repository: Repository, message: str) -> str:
    repository.write(ObjectType.TREE, b"")
    return signed_commit(repository, EMPTY_TREE, [], message, AT, KEY.sign)


class TestCommits:
    @given(MESSAGES)
    @example(HOSTILE)
    @example("\n")
    @settings(max_examples=15)
    def test_stock_git_verifies_it(self, shared: Repository, message: str) -> None:
        made = commit(shared, message)
        stock.git(shared.path, *signed_by(KEY, shared.path), "verify-commit", made)
        assert shared.commit(made).message == message
        signed, armored = split_signature(shared.raw(made)[1])
        verify(signed, armored or "", KEY.public)

    def test_stock_git_refuses_it_for_another_key_or_changed(self, repository: Repository) -> None:
        made = commit(repository, "one\n")
        assert stock.fails(repository.path, *signed_by(OTHER, repository.path), "verify-commit", made)
        changed = stock.literally(repository.path, "commit", repository.raw(made)[1].replace(b"one", b"two"))
        assert stock.fails(repository.path, *signed_by(KEY, repository.path), "verify-commit", changed)
        signed, armored = split_signature(repository.raw(changed)[1])
        with pytest.raises(TrustError):
            verify(signed, armored or "", KEY.public)

    def test_what_stock_git_signs_is_verified(self, repository: Repository, tmp_path: Path) -> None:
        (tmp_path / "key").write_bytes(KEY.dump())
        (tmp_path / "key").chmod(0o600)
        options = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={tmp_path / 'key'}"]
        repository.write(ObjectType.TREE, b"")
        made = stock.text(repository.path, *options, "commit-tree", "-S", "-m", "x", EMPTY_TREE)
        signed, armored = split_signature(repository.raw(made)[1])
        verify(signed, armored or "", KEY.public)

    @given(MESSAGES, st.lists(st.integers(0, 9), max_size=3))
    @example(HOSTILE, [])
    def test_splitting_undoes_signing(self, message: str, parents: list[int]) -> None:
        unsigned = raw_commit(EMPTY_TREE, [str(p) * 40 for p in parents], message, AT)
        armored = KEY.sign(unsigned)
        assert split_signature(with_signature(unsigned, armored)) == (unsigned, armored)
        assert split_signature(unsigned) == (unsigned, None)

    @given(st.binary(max_size=200))
    @example(b"gpgsig ")
    @example(b"gpgsig a\n b\ngpgsig c\n\nbody")
    def test_splitting_takes_whatever_comes(self, content: bytes) -> None:
        signed, armored = split_signature(content)
        assert len(signed) <= len(content)
        assert armored is not None or signed == content

    def test_two_signatures_are_refused(self) -> None:
        unsigned = raw_commit(EMPTY_TREE, [], "x\n", AT)
        twice = with_signature(with_signature(unsigned, KEY.sign(unsigned)), KEY.sign(unsigned))
        signed, armored = split_signature(twice)
        assert signed == unsigned
        with pytest.raises(TrustError, match="exactly one"):
            verify(signed, armored or "", KEY.public)

    def test_the_object_is_one_that_git_would_have_written(self, repository: Repository) -> None:
        commit(repository, "one\n")
        stock.git(repository.path, "fsck", "--strict")


class TestTags:
    @given(MESSAGES)
    @example("")
    @settings(max_examples=15)
    def test_stock_git_verifies_it(self, shared: Repository, message: str) -> None:
        made = signed_tag(shared, message + "\n")
        stock.git(shared.path, *signed_by(KEY, shared.path), "verify-tag", made)
        found = read_tag(shared, made)
        assert (found.name, found.message) == ("baseline/1", message + "\n")
        verify(found.signed, found.signature or "", KEY.public)
        assert stock.fails(shared.path, *signed_by(OTHER, shared.path), "verify-tag", made)

    def test_a_message_that_mentions_a_signature_can_be_signed(self, repository: Repository) -> None:
        message = '{"said": "-----BEGIN SSH SIGNATURE-----"}\n'
        made = signed_tag(repository, message)
        found = read_tag(repository, made)
        assert found.message == message
        verify(found.signed, found.signature or "", KEY.public)
        stock.git(repository.path, *signed_by(KEY, repository.path), "verify-tag", made)

    def test_two_signatures_are_refused(self, repository: Repository) -> None:
        target = commit(repository, "tagged\n")
        unsigned = raw_tag("baseline/1", target, "x\n", AT)
        made = write_tag(repository, unsigned, KEY.sign(unsigned) + KEY.sign(unsigned))
        found = read_tag(repository, made)
        with pytest.raises(TrustError, match="exactly one"):
            verify(found.signed, found.signature or "", KEY.public)

    def test_what_stock_git_signs_is_read(self, repository: Repository, tmp_path: Path) -> None:
        (tmp_path / "key").write_bytes(KEY.dump())
        (tmp_path / "key").chmod(0o600)
        options = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={tmp_path / 'key'}"]
        target = commit(repository, "tagged\n")
        stock.git(repository.path, *options, "tag", "-s", "-m", "hello", "v1", target)
        found = read_tag(repository, stock.text(repository.path, "rev-parse", "v1"))
        assert (found.name, found.target, found.message) == ("v1", target, "hello\n")
        verify(found.signed, found.signature or "", KEY.public)

    def test_an_unsigned_one_has_no_signature(self, repository: Repository) -> None:
        unsigned = raw_tag("v1", commit(repository, "x\n"), "hello\n", AT)
        found = read_tag(repository, repository.write(ObjectType.TAG, unsigned))
        assert (found.signature, found.signed) == (None, unsigned)

    def test_its_bytes_are_those_that_git_accepts(self, repository: Repository) -> None:
        unsigned = raw_tag("baseline/1", commit(repository, "x\n"), "hello\n", AT)
        assert stock.text(repository.path, "mktag", stdin=unsigned) == repository.write(ObjectType.TAG, unsigned)


HEAD = b"object %s\ntype commit\ntag v1\n" % (b"1" * 40)


class TestHostileTags:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"object",
            b"type commit\n",
            HEAD.replace(b"commit", b"tree"),
            b"object %s\nobject %s\ntype commit\ntag a\n" % (b"1" * 40, b"2" * 40),
            b"tag v1\ntype commit\nobject %s\n" % (b"1" * 40),
            b"\n\n" + HEAD,
        ],
    )
    def test_a_malformed_one_is_a_storage_error(self, repository: Repository, content: bytes) -> None:
        made = stock.literally(repository.path, "tag", content)
        with pytest.raises(StorageError, match="tags no commit"):
            read_tag(repository, made)

    @given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda rest: HEAD + rest))
    @settings(max_examples=50)
    def test_whatever_bytes_one_has(self, shared: Repository, content: bytes) -> None:
        made = stock.literally(shared.path, "tag", content)
        try:
            found = read_tag(shared, made)
            verify(found.signed, found.signature or "", KEY.public)
        except StateguardError:
            return
        pytest.fail("a tag that nobody signed was accepted")

    def test_other_objects_are_no_tags(self, repository: Repository) -> None:
        with pytest.raises(StorageError, match="no annotated tag"):
            read_tag(repository, commit(repository, "x\n"))
        with pytest.raises(StorageError, match="missing"):
            read_tag(repository, "1" * 40)

    def test_a_later_field_of_the_same_name_does_not_count(self, repository: Repository) -> None:
        made = stock.literally(repository.path, "tag", HEAD + b"tagger a <b> 1 +0000\ntag v2\n\nx\n")
        assert read_tag(repository, made).name == "v1"
