"""Approved baselines: prepared by the guard, signed by people, and stock git agrees."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import authenticator
from gpghome import ED25519, RSA3072, SUBKEY, GpgHome, gpg_home
from record.setting import AT, KEY, OTHER, Books
from state import stock
from stateguard import faults
from stateguard.errors import RefusedError, StaleBaselineError, StateguardError, TrustError
from stateguard.model.baseline import Baseline, Grade
from stateguard.model.identity import BASELINE_TAGS, MAIN
from stateguard.model.tree import REGULAR
from stateguard.model.trust import Key, Role
from stateguard.record.approval import Approvals
from stateguard.record.baseline import Draft
from stateguard.state.tags import raw_tag, read_tag
from stateguard.trust.people import added, gpg_key, removed, ssh_key
from stateguard.trust.statement import canonical

NOW = "2026-07-01T10:00:00.000Z"
ANN = ssh_key(OTHER.public.line, NOW)


@pytest.fixture(scope="module")
def person() -> Iterator[GpgHome]:
    with gpg_home() as made:
        yield made


def trusting(books: Books, key: Key = ANN, name: str = "ann", roles: tuple[Role, ...] = (Role.BASELINE,)) -> None:
    before = books.people.trust()
    books.people.change(before, added(before, books.root / "trust", name, key, roles), "guard", {})


def approvals(books: Books) -> Approvals:
    return Approvals(books.baselines, books.people, books.database, books.audit)


def live(books: Books) -> str:
    """Return the commit that counts as live: the head of main."""
    return books.repository.ref(MAIN) or ""


def prepared(books: Books, content: bytes = b"one") -> Draft:
    revision = books.commit({"config/a": content})
    paths = stock.put(books.captured, {"config/a": (REGULAR, content)})
    return approvals(books).prepare(revision, paths, {"health": "HEALTHY"})


def approved(books: Books, sign: Callable[[bytes], str] = OTHER.sign, content: bytes = b"one") -> Baseline:
    draft = approvals(books).prepared(prepared(books, content).unsigned, live(books))
    made = approvals(books).submit(draft, sign(draft.unsigned), "person:ann")
    assert isinstance(made, Baseline)
    return made


class TestAccepted:
    def test_it_is_approved_and_says_by_whom(self, books: Books) -> None:
        trusting(books)
        made = approved(books)
        assert (made.statement.grade, made.signer, made.key) == (Grade.APPROVED, "ann", ANN.fingerprint)
        assert (made.valid, made.usable, made.warnings) == (True, True, ())
        assert books.baselines.verify(1) == ()
        body = next(books.audit.newest_first())["body"]
        assert (body["grade"], body["signer"], body["key"]) == ("approved", "ann", ANN.fingerprint)
        document = made.as_json()
        assert (document["grade"], document["signer"], document["warnings"]) == ("approved", "ann", [])
        assert books.database.rows("SELECT * FROM baseline_draft") == []

    def test_both_grades_share_one_sequence(self, books: Books) -> None:
        trusting(books)
        grades = [
            books.baseline(b"1").statement, approved(books, content=b"2").statement, books.baseline(b"3").statement
        ]  # fmt: skip
        assert [(s.number, str(s.grade)) for s in grades] == [(1, "confirmed"), (2, "approved"), (3, "confirmed")]
        assert grades[2].previous_fingerprint == grades[1].fingerprint
        assert [b.signer for b in books.baselines.all()] == ["guard@stateguard", "ann", "guard@stateguard"]
        assert all(b.valid for b in books.baselines.all())

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_stock_git_and_ssh_keygen_agree(self, books: Books, tmp_path: Path, kind: str) -> None:
        options = ["-b", "3072"] if kind == "rsa" else []
        subprocess.run(["ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-f", tmp_path / "id"], check=True)
        trusting(books, ssh_key((tmp_path / "id.pub").read_text(), NOW))

        def sign(content: bytes) -> str:
            command = ["ssh-keygen", "-Y", "sign", "-q", "-n", "git", "-f", tmp_path / "id"]
            return subprocess.run(command, input=content, capture_output=True, check=True).stdout.decode()

        made = approved(books, sign)
        assert made.valid
        signers = f"gpg.ssh.allowedSignersFile={books.root / 'trust' / 'allowed_signers'}"
        stock.git(books.repository.path, "-c", "gpg.format=ssh", "-c", signers, "verify-tag", "baseline/1")
        stock.git(books.repository.path, "fsck", "--strict")
        (tmp_path / "sig").write_text(read_tag(books.repository, made.tag_object).signature or "")
        check = ["ssh-keygen", "-Y", "check-novalidate", "-n", "git", "-s", tmp_path / "sig"]
        content = read_tag(books.repository, made.tag_object).signed
        assert subprocess.run(check, input=content, capture_output=True, check=False).returncode == 0
        assert subprocess.run(check, input=content + b"x", capture_output=True, check=False).returncode != 0

    @pytest.mark.parametrize("kind", [authenticator.ED25519, authenticator.ECDSA_P256])
    def test_stock_git_agrees_on_a_key_in_hardware(self, books: Books, kind: str) -> None:
        device = authenticator.Device(kind)
        trusting(books, ssh_key(device.line, NOW))
        assert approved(books, device.sign).usable
        signers = f"gpg.ssh.allowedSignersFile={books.root / 'trust' / 'allowed_signers'}"
        stock.git(books.repository.path, "-c", "gpg.format=ssh", "-c", signers, "verify-tag", "baseline/1")
        with pytest.raises(TrustError, match="nobody touched"):
            approved(books, lambda content: device.sign(content, flags=0), b"two")

    @pytest.mark.parametrize(("kind", "more"), [(ED25519, ""), (RSA3072, ""), (ED25519, SUBKEY)])
    def test_stock_git_and_gpg_agree(self, books: Books, person: GpgHome, kind: str, more: str) -> None:
        key = gpg_key(person.export(person.make("ann", kind, more=more)), NOW)
        trusting(books, key)
        made = approved(books, lambda content: person.sign(key.fingerprint, content))
        assert (made.valid, made.key) == (True, key.fingerprint)
        home = {"GNUPGHOME": str(person.path)}
        stock.git(books.repository.path, "verify-tag", "baseline/1", extra=home)
        stock.git(books.repository.path, "fsck", "--strict")
        tag = read_tag(books.repository, made.tag_object)
        assert person.verifies(tag.signed, tag.signature or "")
        # a stranger who has the armored key from trust/ can check it too
        with gpg_home() as other:
            assert stock_fails(books, other)
            other.run("--import", str(books.root / "trust" / f"{key.fingerprint}.asc"))
            stock.git(books.repository.path, "verify-tag", "baseline/1", extra={"GNUPGHOME": str(other.path)})

    def test_a_removed_key_is_a_warning_for_it_and_the_end_of_new_ones(self, books: Books) -> None:
        trusting(books)
        approved(books)
        before = books.people.trust()
        books.people.change(before, removed(before, "ann", None, NOW), "guard", {})
        assert books.baselines.verify(1) == ()
        found = books.baselines.get(1)
        assert (found.valid, found.usable, len(found.warnings)) == (True, True, 1)
        with pytest.raises(TrustError, match="removed"):
            approved(books, content=b"two")
        assert books.baselines.highest() == 1

    def test_a_key_that_expires_later_is_a_warning(self, books: Books, person: GpgHome) -> None:
        key = gpg_key(person.export(person.make("eve", at="20200101T000000")), NOW)
        trusting(books, key)
        assert approved(books, lambda content: person.sign(key.fingerprint, content)).warnings == ()
        # Its owner lets it expire, dated back so that nothing has to wait.
        person.run("--faked-system-time", "20200201T000000!", "--quick-set-expire", key.fingerprint, "1d")
        file = books.root / "trust" / f"{key.fingerprint}.asc"
        file.write_bytes(person.export(key.fingerprint))
        assert books.baselines.verify(1) == ()
        found = books.baselines.get(1)
        assert (found.usable, found.warnings) == (True, ("the key has expired",))
        draft = prepared(books, b"two")
        text = person.sign(key.fingerprint, draft.unsigned, "--faked-system-time", "20200201T010000!")
        with pytest.raises(TrustError, match="the key has expired"):
            approvals(books).submit(draft, text, "person:eve")
        file.unlink()
        assert books.baselines.verify(1) == ()
        assert "is not at hand" in books.baselines.get(1).warnings[0]


def stock_fails(books: Books, home: GpgHome) -> bool:
    command = ["git", "--git-dir", str(books.repository.path), "verify-tag", "baseline/1"]
    environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(home.path)}
    return subprocess.run(command, capture_output=True, env=environment, check=False).returncode != 0


class TestRefused:
    def unchanged(self, books: Books, draft: Draft, text: str, problem: str) -> None:
        highest = books.baselines.highest()
        with pytest.raises(TrustError, match=problem):
            approvals(books).submit(draft, text, "person:ann")
        assert books.baselines.highest() == highest
        assert books.repository.ref(BASELINE_TAGS + str(draft.statement.number)) is None

    def test_signatures_that_do_not_count(self, books: Books, person: GpgHome) -> None:
        trusting(books)
        pinned, loose = (gpg_key(person.export(person.make(n)), NOW) for n in ("bob", "cyd"))
        trusting(books, pinned, "bob")
        draft = prepared(books)
        content = draft.unsigned
        self.unchanged(books, draft, "", "unsigned|does not hold")
        self.unchanged(books, draft, "junk", "does not hold")
        self.unchanged(books, draft, KEY.sign(content), "unknown key")
        self.unchanged(books, draft, OTHER.sign(content, "stateguard"), "namespace")
        self.unchanged(books, draft, OTHER.sign(content + b"x"), "does not fit")
        self.unchanged(books, draft, OTHER.sign(content) * 2, "exactly one")
        self.unchanged(books, draft, person.sign(loose.fingerprint, content), "unknown key")
        self.unchanged(books, draft, person.sign(pinned.fingerprint, content) * 2, "exactly one")
        self.unchanged(books, draft, person.sign(pinned.fingerprint, content + b"x"), "does not fit")
        both = person.sign(pinned.fingerprint, content) + OTHER.sign(content)
        self.unchanged(books, draft, both, "exactly one")

    def test_a_key_that_its_owner_revoked(self, books: Books, person: GpgHome) -> None:
        draft = prepared(books)
        gone = person.make("fay")
        text = person.sign(gone, draft.unsigned)
        person.revoke(gone)
        trusting(books, Key("gpg", gone, person.export(gone).decode(), NOW), "fay")
        self.unchanged(books, draft, text, "the key was revoked by its owner .by fay.")

    @pytest.mark.parametrize("roles", [(), (Role.PUSH,), (Role.PUSH, Role.APPROVE, Role.ADMIN)])
    def test_a_person_without_the_role(self, books: Books, roles: tuple[Role, ...]) -> None:
        trusting(books, roles=roles)
        draft = prepared(books)
        self.unchanged(books, draft, OTHER.sign(draft.unsigned), "not the role baseline")
        with pytest.raises(TrustError, match="not the role") as refused:
            approvals(books).signer(ANN.fingerprint)
        assert refused.value.next_step.endswith("--role baseline")

    def test_nobodys_key_is_told_before_anybody_signs(self, books: Books) -> None:
        for fingerprint in (ANN.fingerprint, KEY.public.fingerprint, ""):
            with pytest.raises(TrustError, match="nobody's"):
                approvals(books).signer(fingerprint)

    def test_bytes_that_were_not_prepared(self, books: Books) -> None:
        trusting(books)
        draft = prepared(books)
        forged = replace(draft.statement, desired_fingerprint="sha256:" + "0" * 64)
        other = raw_tag(forged.tag, forged.revision, canonical(forged), AT)
        for unsigned in (other, draft.unsigned + b"x", draft.unsigned[:-1], b""):
            with pytest.raises(RefusedError, match="not the bytes"):
                approvals(books).prepared(unsigned, live(books))
        again = prepared(books, b"two")
        with pytest.raises(RefusedError, match="not the bytes"):
            approvals(books).prepared(draft.unsigned, live(books))
        assert approvals(books).prepared(again.unsigned, live(books)) == again

    def test_a_number_that_was_overtaken(self, books: Books) -> None:
        trusting(books)
        draft = prepared(books)
        books.baseline(b"meanwhile")
        with pytest.raises(StaleBaselineError, match="by now baseline 1 was signed"):
            approvals(books).prepared(draft.unsigned, live(books))
        with pytest.raises(StaleBaselineError):
            approvals(books).submit(draft, OTHER.sign(draft.unsigned), "person:ann")
        assert books.baselines.get(1).statement.grade is Grade.CONFIRMED
        assert books.baselines.verify(1) == ()

    @pytest.mark.parametrize("point", ["baseline.signed", "audit.append", "audit.appended"])
    def test_cut_anywhere_the_next_one_is_sound(self, books: Books, point: str) -> None:
        trusting(books)
        faults.arm(f"{point}:1:cut" if point == "baseline.signed" else f"{point}:2:cut")
        try:
            draft = prepared(books)
            books.note("something")
            approvals(books).submit(draft, OTHER.sign(draft.unsigned), "person:ann")
        except faults.Cut:
            pass
        finally:
            faults.arm(None)
        books.open(books.root / "guard.db")
        made = approved(books, content=b"two")
        assert all(b.valid for b in books.baselines.all())
        assert books.baselines.verify(made.statement.number) == ()
        assert books.problems() == ()


class TestForgery:
    """What somebody who can write into repo.git may try with approved baselines."""

    def test_a_tag_that_a_trusted_person_signed_but_the_guard_never_accepted(self, books: Books) -> None:
        trusting(books)
        approved(books)
        statement = replace(books.baselines.get(1).statement, tag="baseline/2", number=2)
        unsigned = raw_tag("baseline/2", statement.revision, canonical(statement), AT)
        books.tag(unsigned + OTHER.sign(unsigned).encode(), 2)
        found = books.baselines.get(2)
        assert not found.usable
        assert found.signer == ""

    def test_a_confirmed_one_relabelled_as_approved(self, books: Books) -> None:
        statement = replace(books.baseline().statement, grade=Grade.APPROVED)
        unsigned = raw_tag("baseline/1", statement.revision, canonical(statement), AT)
        books.tag(unsigned + KEY.sign(unsigned).encode(), 1)
        assert not books.baselines.get(1).valid

    def test_an_approved_one_replaced_by_one_of_the_guards(self, books: Books) -> None:
        trusting(books)
        statement = replace(approved(books).statement, grade=Grade.CONFIRMED)
        unsigned = raw_tag("baseline/1", statement.revision, canonical(statement), AT)
        books.tag(unsigned + KEY.sign(unsigned).encode(), 1)
        assert books.baselines.get(1).problems == ("the tag is not the one that was accepted under this number",)

    @pytest.mark.parametrize("by", ["ssh", "gpg"])
    def test_a_flipped_bit_anywhere(self, books: Books, person: GpgHome, by: str) -> None:
        if by == "ssh":
            trusting(books)
            made = approved(books)
        else:
            key = gpg_key(person.export(person.make("gus")), NOW)
            trusting(books, key)
            made = approved(books, lambda content: person.sign(key.fingerprint, content))
        content = stock.git(books.repository.path, "cat-file", "tag", "baseline/1")

        @given(st.integers(0, len(content) - 1), st.integers(0, 7))
        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        def flipped(position: int, bit: int) -> None:
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            books.tag(bytes(changed), 1)
            try:
                assert not books.baselines.get(1).valid
            except StateguardError:
                return
            finally:
                books.ref(BASELINE_TAGS + "1", made.tag_object)

        flipped()
        assert books.baselines.get(1).valid
