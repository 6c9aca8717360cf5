from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from record.setting import AT, IDENTITY, KEY, OTHER, Books, forged, only, statement_in
from state import stock
from stateguard import faults
from stateguard.errors import NotFoundError, StorageError
from stateguard.model.identity import BASELINE_TAGS, EMPTY_TREE, MAIN
from stateguard.model.tree import REGULAR, blob_id
from stateguard.state import fingerprint, trees
from stateguard.state.repository import Repository
from stateguard.state.tags import raw_tag
from stateguard.trust.keys import PRINCIPAL
from stateguard.trust.ssh import SigningKey


class TestCreate:
    def test_it_says_what_it_is_of(self, books: Books) -> None:
        made = books.baseline()
        s = made.statement
        assert (s.repository, s.tag, s.number, s.grade) == (IDENTITY, "baseline/1", 1, "confirmed")
        assert (s.revision, s.evidence) == (books.repository.ref(MAIN), {"health": "HEALTHY"})
        assert (made.valid, made.usable, made.suspect, made.revoked) == (True, True, False, False)
        assert made.signer == PRINCIPAL
        assert statement_in(books, 1) == s
        desired = books.repository.commit(s.revision).tree
        assert s.desired_fingerprint == fingerprint.full(books.repository.path, desired)
        whole = trees.path_map(books.captured, books.captured.commit(s.snapshot).tree)
        assert sorted(whole) == ["config/a", "conversations/c.jsonl"]
        assert s.fingerprint != s.desired_fingerprint
        assert books.baselines.verify(1) == ()

    def test_each_follows_the_one_before(self, books: Books) -> None:
        made = [books.baseline(content) for content in (b"one", b"two", b"three")]
        assert [b.statement.number for b in books.baselines.all()] == [3, 2, 1]
        assert [b.statement.previous_fingerprint for b in made] == [None, *(b.statement.fingerprint for b in made[:2])]
        parents = [books.captured.commit(b.statement.snapshot).parents for b in made]
        assert parents == [(), (), ()], "each can be let go by itself"

    def test_the_audit_chain_has_it(self, books: Books) -> None:
        made = books.baseline()
        entry = next(books.audit.newest_first())
        assert (entry["kind"], entry["actor"]) == ("baseline", "guard")
        assert entry["body"]["tag"] == made.tag_object
        assert entry["body"]["fingerprint"] == made.statement.fingerprint
        assert books.problems() == ()

    def test_the_captured_content_is_in_no_served_repository(self, books: Books) -> None:
        books.baseline()
        assert not books.repository.has(blob_id(b"said one"))
        assert books.captured.has(blob_id(b"said one"))

    def test_a_main_commit_that_is_not_there(self, books: Books) -> None:
        with pytest.raises(StorageError):
            books.baselines.create("1" * 40, {}, "guard", {})
        assert (books.baselines.all(), books.baselines.highest()) == ([], 0)

    def test_a_damaged_blob_is_not_signed(self, books: Books) -> None:
        revision = books.commit({"config/a": b"one"})
        stock.overwrite(books.repository.path, blob_id(b"one"), b"blob", b"two")
        with pytest.raises(StorageError, match="does not hold what its name says"):
            books.baselines.create(revision, {}, "guard", {})
        assert books.baselines.all() == []

    @pytest.mark.parametrize("point", ["baseline.signed", "audit.append", "audit.appended"])
    def test_cut_anywhere_the_next_one_is_sound(self, books: Books, point: str) -> None:
        books.baseline(b"one")
        faults.arm(f"{point}:1:cut")
        with pytest.raises(faults.Cut):
            books.baseline(b"two")
        faults.arm(None)
        books.open(books.root / "guard.db")
        before = books.baselines.highest()
        made = books.baseline(b"three")
        assert made.statement.number >= before
        assert all(b.valid for b in books.baselines.all())
        assert books.baselines.verify(made.statement.number) == ()
        assert books.problems() == ()


class TestStockTools:
    def test_git_and_ssh_keygen_verify_the_tag(self, books: Books, tmp_path: Path) -> None:
        books.baseline()
        path = books.repository.path
        signers = tmp_path / "allowed_signers"
        signers.write_text(f'{PRINCIPAL} namespaces="git,stateguard" {KEY.public.line}\n')
        trusting = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}"]
        stock.git(path, *trusting, "verify-tag", "baseline/1")
        content = stock.git(path, "cat-file", "tag", "baseline/1")
        signed, mark, rest = content.partition(b"-----BEGIN SSH SIGNATURE-----")
        (tmp_path / "sig").write_bytes(mark + rest)
        command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", PRINCIPAL, "-n", "git"]
        command += ["-s", str(tmp_path / "sig")]
        assert subprocess.run(command, input=signed, capture_output=True, check=False).returncode == 0
        assert subprocess.run(command, input=signed + b"x", capture_output=True, check=False).returncode != 0

    def test_its_fingerprints_are_those_of_a_sha_256_repository(self, books: Books, tmp_path: Path) -> None:
        statement = books.baseline().statement
        for repository, commit, expected in (
            (books.repository, statement.revision, statement.desired_fingerprint),
            (books.captured, statement.snapshot, statement.fingerprint),
        ):
            other = tmp_path / f"sha256-{repository.path.name}"
            stock.git(other, "init", "-q", "--bare", "--object-format=sha256", str(other))
            stock.git(repository.path, "update-ref", "refs/heads/exported", commit)
            stream = stock.git(repository.path, "fast-export", "--signed-tags=strip", "refs/heads/exported")
            stock.git(other, "fast-import", "--quiet", stdin=stream)
            assert "sha256:" + stock.text(other, "rev-parse", "refs/heads/exported^{tree}") == expected

    def test_the_repositories_are_sound(self, books: Books) -> None:
        books.baseline()
        for repository in (books.repository, books.captured):
            stock.git(repository.path, "fsck", "--strict")


class TestFind:
    def test_every_way_to_name_one(self, books: Books) -> None:
        books.baseline(b"one")
        second = books.baseline(b"two")
        s = second.statement
        digits = s.fingerprint.removeprefix("sha256:")
        for target in (
            "2", "baseline/2", "02", s.fingerprint, digits, digits[:8], f"sha256:{digits[:8]}",
            s.desired_fingerprint, s.desired_fingerprint.removeprefix("sha256:")[:8],
        ):  # fmt: skip
            assert books.baselines.find(target) == second, target

    @pytest.mark.parametrize(
        "target",
        ["", "0", "3", "baseline/3", "baseline/", "abc", "²", "٢", "9" * 30, "9" * 64, "main", "sha256:", "-1"],
    )
    def test_what_names_none(self, books: Books, target: str) -> None:
        books.baseline()
        with pytest.raises(NotFoundError) as refused:
            books.baselines.find(target)
        assert refused.value.exit == 15

    def test_a_prefix_is_at_least_eight_digits(self, books: Books) -> None:
        digits = books.baseline().statement.fingerprint.removeprefix("sha256:")
        with pytest.raises(NotFoundError):
            books.baselines.find("sha256:" + digits[:7])

    def test_a_prefix_of_two_is_refused(self, books: Books) -> None:
        books.baseline()
        again = books.baseline()
        with pytest.raises(NotFoundError, match="more than one"):
            books.baselines.find(again.statement.fingerprint)

    def test_a_prefix_of_digits_alone_is_no_number(self, books: Books) -> None:
        for count in range(300):
            desired = fingerprint_of(books.repository, f"{count}".encode())
            if desired.removeprefix("sha256:")[:8].isdigit():
                break
        made = books.baseline(f"{count}".encode())
        assert made.statement.desired_fingerprint == desired
        assert books.baselines.find(desired.removeprefix("sha256:")[:8]) == made

    @given(st.text(max_size=12))
    @settings(max_examples=60)
    def test_no_text_breaks_it(self, shared: Books, target: str) -> None:
        if not shared.baselines.all():
            shared.baseline()
        try:
            assert shared.baselines.find(target).statement.number == int(target.removeprefix("baseline/"))
        except NotFoundError:
            return


def fingerprint_of(repository: Repository, content: bytes) -> str:
    """Return the fingerprint of the one file that a baseline of this content has on main."""
    entry = stock.Entry(REGULAR, blob_id(content))
    paths, cache = {"config/a": entry}, fingerprint.DigestCache()
    return fingerprint.of_changed(repository, EMPTY_TREE, paths, cache, lambda _: content)


class TestForgery:
    """What somebody who can write into repo.git, but has no key, may try."""

    @pytest.fixture(autouse=True)
    def _made(self, books: Books) -> None:
        books.baseline(b"one")

    @pytest.mark.parametrize(("key", "problem"), [(None, "exactly one"), (OTHER, "another key")])
    def test_a_new_one_unsigned_or_by_another_key(self, books: Books, key: SigningKey | None, problem: str) -> None:
        statement = replace(statement_in(books, 1), tag="baseline/2", number=2)
        books.tag(forged(statement, key), 2)
        found = books.baselines.get(2)
        assert not found.usable
        assert any(problem in one for one in found.problems)
        assert any("not the one that was accepted" in one for one in found.problems)
        assert set(found.problems) <= set(books.baselines.verify(2))

    @pytest.mark.parametrize("key", [None, OTHER])
    def test_one_in_place_of_an_accepted_one(self, books: Books, key: SigningKey | None) -> None:
        books.tag(forged(replace(statement_in(books, 1), evidence={}), key), 1)
        found = only(books.baselines.all())
        assert not found.valid
        assert len(found.problems) == 2

    def test_a_changed_statement_under_the_old_signature(self, books: Books) -> None:
        content = stock.git(books.repository.path, "cat-file", "tag", "baseline/1")
        books.tag(content.replace(b"HEALTHY", b"DEGRADED"), 1)
        assert any("does not fit" in one for one in books.baselines.get(1).problems)

    def test_a_tag_that_the_guard_signed_but_never_accepted(self, books: Books) -> None:
        statement = replace(statement_in(books, 1), evidence={"stolen": True})
        books.tag(forged(statement, KEY), 1)
        assert books.baselines.get(1).problems == ("the tag is not the one that was accepted under this number",)

    def test_a_number_moved_to_an_older_signed_one(self, books: Books) -> None:
        books.baseline(b"two")
        books.ref(BASELINE_TAGS + "2", books.baselines.get(1).tag_object)
        second = books.baselines.get(2)
        assert not second.usable
        assert any("lies under the name baseline/2" in one for one in second.problems)
        assert books.baselines.get(1).usable

    def test_an_old_one_under_a_new_number(self, books: Books) -> None:
        books.ref(BASELINE_TAGS + "9", books.baselines.get(1).tag_object)
        assert not books.baselines.get(9).usable
        assert books.baseline(b"two").statement.number == 10

    def test_the_tag_object_of_another_name(self, books: Books) -> None:
        statement = statement_in(books, 1)
        books.tag(forged(statement, KEY, name="baseline/7"), 1)
        assert "the tag object names another tag or commit than its statement" in books.baselines.get(1).problems

    def test_the_tag_object_of_another_commit(self, books: Books) -> None:
        statement = statement_in(books, 1)
        books.tag(forged(statement, KEY, target=books.commit({"f": b"evil"})), 1)
        assert "the tag object names another tag or commit than its statement" in books.baselines.get(1).problems

    def test_one_of_another_repository(self, books: Books) -> None:
        books.open(books.root / "guard.db", "repository-2")
        found = books.baselines.get(1)
        assert not found.usable
        assert any("is for repository repository-1" in one for one in found.problems)

    def test_one_that_another_guard_accepted(self, books: Books) -> None:
        books.open(books.root / "other.db")
        assert books.baselines.get(1).problems == ("the tag is not the one that was accepted under this number",)

    @pytest.mark.parametrize("message", ["", "no statement", "{}", '{"number": NaN}', "[" * 50_000])
    def test_a_tag_without_a_statement(self, books: Books, message: str) -> None:
        unsigned = raw_tag("baseline/1", str(books.repository.ref(MAIN)), message, AT)
        books.tag(unsigned, 1)
        books.tag(unsigned, 2)
        found = only(books.baselines.all())
        assert found.problems == ("the tag was replaced by something that is no baseline",)
        assert books.baselines.verify(1)
        with pytest.raises(NotFoundError):
            books.baselines.get(2)

    def test_a_ref_that_names_a_commit(self, books: Books) -> None:
        books.ref(BASELINE_TAGS + "1", str(books.repository.ref(MAIN)))
        assert not only(books.baselines.all()).valid

    @pytest.mark.parametrize("name", ["007", "01", "²", "٣", "9" * 25, "x", "1/2", "-1"])
    def test_names_that_are_no_number_do_not_count(self, books: Books, name: str) -> None:
        tag = books.baselines.get(1).tag_object
        if name == "1/2":
            stock.git(books.repository.path, "update-ref", "-d", BASELINE_TAGS + "1")
        books.ref(BASELINE_TAGS + name, tag)
        assert len(books.baselines.all()) == (name != "1/2")
        assert books.baselines.highest() == 1

    @given(st.binary(max_size=60))
    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_bytes_a_tag_has(self, books: Books, tail: bytes) -> None:
        good = stock.git(books.repository.path, "cat-file", "tag", "baseline/1")
        before = books.baselines.get(1).tag_object
        for content in (tail, good[: len(good) // 2] + tail, good + b"x" + tail):
            books.ref(BASELINE_TAGS + "1", stock.literally(books.repository.path, "tag", content))
            assert not only(books.baselines.all()).valid
        books.ref(BASELINE_TAGS + "1", before)
        assert only(books.baselines.all()).valid
