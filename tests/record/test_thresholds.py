"""Baselines that take several persons: pending until the last signature, and counted again whenever they are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from record.setting import AT, KEY, Books
from record.test_approval import NOW, approvals, live, prepared
from state import stock
from stateguard import faults
from stateguard.errors import NotFoundError, RefusedError, StaleBaselineError, TrustError
from stateguard.mirror.plan import Kind, goes_out, kind_of
from stateguard.model.baseline import Baseline, Grade
from stateguard.model.identity import BASELINE_TAGS, COSIGNED
from stateguard.model.trust import Role, Trust
from stateguard.record.approval import Pending
from stateguard.record.baseline import Draft
from stateguard.state.repository import Repository
from stateguard.state.tags import raw_tag
from stateguard.trust.people import added, locked, removed, ssh_key, with_threshold
from stateguard.trust.ssh import SigningKey
from stateguard.trust.statement import canonical

PEOPLE = {name: SigningKey.generate() for name in ("ann", "bob", "cyd")}
SECOND = SigningKey.generate()
"""Another key of ann's."""


@pytest.fixture
def two(books: Books) -> Books:
    """Give books in which a baseline takes two of ann, bob and cyd."""
    for name, key in [*PEOPLE.items(), ("ann", SECOND)]:
        before = books.people.trust()
        after = added(before, books.root / "trust", name, ssh_key(key.public.line, NOW), [Role.BASELINE])
        books.people.change(before, after, "guard", {})
    threshold(books, 2)
    return books


def expired(trust: Trust, name: str) -> Trust:
    """Return the trust as it is when the keys of a person have expired."""
    people = [
        replace(p, keys=tuple(replace(k, expires_at=NOW) for k in p.keys)) if p.name == name else p
        for p in trust.people
    ]
    return replace(trust, version=trust.version + 1, people=tuple(people))


def threshold(books: Books, persons: int) -> None:
    before = books.people.trust()
    books.people.change(before, with_threshold(before, Role.BASELINE, persons), "guard", {})


def sign(books: Books, draft: Draft, key: SigningKey) -> Baseline | Pending:
    offered = approvals(books).prepared(draft.unsigned, live(books))
    return approvals(books).submit(offered, key.sign(draft.unsigned), "person:x")


def both(books: Books, content: bytes = b"one") -> Baseline:
    draft = prepared(books, content)
    assert isinstance(sign(books, draft, PEOPLE["ann"]), Pending)
    made = sign(books, draft, PEOPLE["bob"])
    assert isinstance(made, Baseline)
    return made


class TestPending:
    def test_the_first_signature_is_kept_and_the_second_accepts(self, two: Books) -> None:
        draft = prepared(two)
        first = sign(two, draft, PEOPLE["ann"])
        assert isinstance(first, Pending)
        assert (first.names, first.needed) == ("ann", 2)
        assert two.repository.ref(BASELINE_TAGS + "1") is None
        assert two.baselines.all() == []
        assert two.baselines.usable() is None
        entry = next(two.audit.newest_first())
        assert (entry["kind"], entry["body"]["signer"], entry["body"]["signatures"]) == ("signature", "ann", 1)
        two.open(two.root / "guard.db")
        assert approvals(two).pending(live(two)) == first, "it survives a restart"
        assert approvals(two).waiting(1, live(two)).draft == draft
        made = sign(two, draft, PEOPLE["bob"])
        assert isinstance(made, Baseline)
        assert (made.usable, made.signer, made.statement.threshold) == (True, "ann, bob", 2)
        assert made.as_json()["signers"] == [
            {"name": name, "key": PEOPLE[name].public.fingerprint} for name in ("ann", "bob")
        ]
        body = next(two.audit.newest_first())["body"]
        assert (body["signer"], [c["name"] for c in body["cosigners"]]) == ("ann", ["bob"])
        assert approvals(two).pending(live(two)) is None
        assert two.baselines.verify(1) == ()
        assert two.problems() == ()

    def test_a_person_counts_once_whatever_their_keys(self, two: Books) -> None:
        draft = prepared(two)
        sign(two, draft, PEOPLE["ann"])
        for key in (PEOPLE["ann"], SECOND):
            with pytest.raises(RefusedError, match="ann has signed baseline 1 already"):
                sign(two, draft, key)
        assert two.baselines.all() == []

    def test_what_does_not_hold_is_no_second_signature(self, two: Books) -> None:
        draft = prepared(two)
        sign(two, draft, PEOPLE["ann"])
        offered = approvals(two).prepared(draft.unsigned, live(two))
        for text in ("", PEOPLE["bob"].sign(draft.unsigned + b"x"), PEOPLE["bob"].sign(draft.unsigned, "other"),
                     SigningKey.generate().sign(draft.unsigned), KEY.sign(draft.unsigned)):  # fmt: skip
            with pytest.raises(TrustError):
                approvals(two).submit(offered, text, "person:x")
        assert two.baselines.highest() == 0

    @pytest.mark.parametrize("how", ["removed", "locked", "role", "expired"])
    def test_whoever_lost_their_right_meanwhile_counts_no_more(self, two: Books, how: str) -> None:
        draft = prepared(two)
        sign(two, draft, PEOPLE["ann"])
        before = two.people.trust()
        after = {
            "removed": removed(before, "ann", None, NOW),
            "locked": locked(before, "ann", "", NOW),
            "role": added(before, two.root / "trust", "ann", None, [Role.PUSH]),
            "expired": expired(before, "ann"),
        }[how]
        two.people.change(before, after, "guard", {})
        assert approvals(two).pending(live(two)) is None
        second = sign(two, draft, PEOPLE["bob"])
        assert isinstance(second, Pending)
        assert second.names == "bob"
        made = sign(two, draft, PEOPLE["cyd"])
        assert isinstance(made, Baseline)
        assert made.signer == "bob, cyd"

    def test_a_threshold_that_rises_meanwhile_holds_and_one_that_falls_does_not(self, two: Books) -> None:
        draft = prepared(two)
        sign(two, draft, PEOPLE["ann"])
        threshold(two, 3)
        assert isinstance(sign(two, draft, PEOPLE["bob"]), Pending)
        threshold(two, 1)
        made = sign(two, draft, PEOPLE["cyd"])
        assert isinstance(made, Baseline)
        other = prepared(two, b"two")
        assert isinstance(sign(two, other, PEOPLE["ann"]), Baseline)
        assert [b.statement.threshold for b in two.baselines.all()] == [1, 2]

    def test_a_change_meanwhile_ends_it(self, two: Books) -> None:
        draft = prepared(two)
        sign(two, draft, PEOPLE["ann"])
        two.commit({"config/a": b"meanwhile"})
        assert approvals(two).pending(live(two)) is None
        with pytest.raises(RefusedError, match="the live state is another by now"):
            sign(two, draft, PEOPLE["bob"])
        with pytest.raises(NotFoundError):
            approvals(two).waiting(1, live(two))

    def test_while_nobodys_signature_counts_nothing_waits_and_baselines_are_read(self, two: Books) -> None:
        both(two, b"zero")
        draft = prepared(two)
        sign(two, draft, PEOPLE["ann"])
        path = two.root / "trust" / "trust.yaml"
        kept = path.read_bytes()
        path.write_bytes(kept.replace(b"baseline: 2", b"baseline: 1"))
        assert approvals(two).pending(live(two)) is None
        assert [b.usable for b in two.baselines.all()] == [True]
        with pytest.raises(TrustError, match="changed past the guard"):
            sign(two, draft, PEOPLE["bob"])
        path.write_bytes(kept)
        assert isinstance(sign(two, draft, PEOPLE["bob"]), Baseline)

    def test_a_number_that_is_taken_ends_it(self, two: Books) -> None:
        draft = prepared(two)
        sign(two, draft, PEOPLE["ann"])
        two.baseline(b"meanwhile")
        assert approvals(two).pending(draft.statement.revision) is None
        with pytest.raises(StaleBaselineError):
            approvals(two).prepared(draft.unsigned, draft.statement.revision)

    def test_one_that_waits_is_not_replaced_unless_it_is_given_up(self, two: Books) -> None:
        sign(two, prepared(two), PEOPLE["ann"])
        paths = stock.put(two.captured, {})
        with pytest.raises(RefusedError, match="signed by ann, and waits") as refused:
            approvals(two).prepare(live(two), paths, {})
        assert "baseline sign 1" in refused.value.next_step
        pending = approvals(two).waiting(1, live(two))
        approvals(two).give_up(pending, "person:ann", "a mistake")
        assert approvals(two).pending(live(two)) is None
        entry = next(two.audit.newest_first())
        assert (entry["kind"], entry["body"]["pending"]) == ("revoke", True)
        with pytest.raises(RefusedError, match="not the bytes"):
            sign(two, pending.draft, PEOPLE["bob"])
        assert approvals(two).prepare(live(two), paths, {}).statement.number == 1

    @pytest.mark.parametrize("point", ["audit.append", "audit.appended", "baseline.signed", "database.execute"])
    @pytest.mark.parametrize("passage", [1, 2, 3, 4])
    def test_cut_anywhere_it_is_pending_or_accepted_or_done_again(self, two: Books, point: str, passage: int) -> None:
        draft = prepared(two)
        faults.arm(f"{point}:{passage}:cut")
        try:
            for name in ("ann", "bob"):
                sign(two, draft, PEOPLE[name])
        except faults.Cut:
            pass
        finally:
            faults.arm(None)
        two.open(two.root / "guard.db")
        waiting = approvals(two).pending(live(two))
        accepted = [b for b in two.baselines.all() if b.usable]
        assert [b.signer for b in accepted] in ([], ["ann, bob"])
        assert waiting is None or (waiting.names, accepted) == ("ann", [])
        if waiting is not None:
            assert isinstance(sign(two, draft, PEOPLE["bob"]), Baseline)
        assert both(two, b"two").usable
        assert all(b.valid for b in two.baselines.all())
        assert two.problems() == ()


class TestCountedAgain:
    def test_stock_git_verifies_every_signature(self, two: Books) -> None:
        both(two)
        signers = f"gpg.ssh.allowedSignersFile={two.root / 'trust' / 'allowed_signers'}"
        words = ("-c", "gpg.format=ssh", "-c", signers, "verify-tag", "--raw")
        for name in ("baseline/1", f"{COSIGNED}1/2"):
            stock.git(two.repository.path, *words, name)
        stock.git(two.repository.path, "fsck", "--strict")
        contents = [stock.git(two.repository.path, "cat-file", "tag", n) for n in ("baseline/1", f"{COSIGNED}1/2")]
        assert len({content.partition(b"-----BEGIN")[0] for content in contents}) == 1
        assert b'"threshold": 2' in contents[0]

    def test_a_missing_signature_is_noticed_and_it_is_gone_back_to_no_more(self, two: Books) -> None:
        both(two)
        (two.repository.path / COSIGNED / "1" / "2").unlink()
        found = two.baselines.get(1)
        assert not found.usable
        assert two.baselines.usable() is None
        assert "1 of the 2 signatures that it takes hold" in found.problems

    @pytest.mark.parametrize("what", ["the tag itself", "by another", "other bytes", "unsigned"])
    def test_another_in_its_place_is_noticed(self, two: Books, what: str) -> None:
        made = both(two)
        unsigned = raw_tag("baseline/1", made.statement.revision, canonical(made.statement), AT)
        other = replace(made.statement, threshold=1)
        content = {
            "the tag itself": stock.git(two.repository.path, "cat-file", "tag", "baseline/1"),
            "by another": unsigned + PEOPLE["cyd"].sign(unsigned).encode(),
            "other bytes": (bytes_ := raw_tag("baseline/1", other.revision, canonical(other), AT))
            + PEOPLE["bob"].sign(bytes_).encode(),
            "unsigned": unsigned,
        }[what]
        two.ref(f"{COSIGNED}1/2", two.repository.write(ObjectType.TAG, content))
        assert not two.baselines.get(1).usable

    def test_a_mirror_without_one_of_them_does_not_hold(self, two: Books, tmp_path: Path) -> None:
        both(two)
        copy = Repository(tmp_path / "copy.git")
        stock.git(two.repository.path, "clone", "-q", "--mirror", str(two.repository.path), str(copy.path))
        (found,) = two.baselines.elsewhere(copy, copy).all()
        assert found.usable
        stock.git(copy.path, "update-ref", "-d", f"{COSIGNED}1/2")
        (found,) = two.baselines.elsewhere(copy, copy).all()
        assert not found.valid
        assert (kind_of(f"{COSIGNED}1/2"), goes_out(f"{COSIGNED}1/2")) == (Kind.FIXED, True)

    def test_keys_that_go_later_are_warnings(self, two: Books) -> None:
        both(two)
        for name in ("ann", "bob"):
            before = two.people.trust()
            two.people.change(before, removed(before, name, None, NOW), "guard", {})
        assert two.baselines.verify(1) == ()
        found = two.baselines.get(1)
        assert (found.usable, len(found.warnings)) == (True, 2)
        threshold(two, 1)
        assert two.baselines.get(1).usable

    def test_keys_that_expire_later_change_nothing(self, two: Books) -> None:
        both(two)
        before = two.people.trust()
        two.people.change(before, expired(before, "ann"), "guard", {})
        found = two.baselines.get(1)
        assert (found.usable, found.warnings) == (True, ())
        with pytest.raises(TrustError, match=r"ann's key .* expired at"):
            sign(two, prepared(two, b"two"), PEOPLE["ann"])

    def test_a_statement_that_takes_fewer_is_not_what_was_signed(self, two: Books) -> None:
        """Whoever has one key cannot say that one was enough."""
        statement = replace(both(two).statement, threshold=1)
        unsigned = raw_tag("baseline/1", statement.revision, canonical(statement), AT)
        two.tag(unsigned + PEOPLE["ann"].sign(unsigned).encode(), 1)
        assert not two.baselines.get(1).valid

    def test_a_confirmed_one_stays_the_guards_alone(self, two: Books) -> None:
        made = two.baseline()
        assert (made.statement.grade, made.usable, made.signer) == (Grade.CONFIRMED, True, "guard@stateguard")
        assert "threshold" not in canonical(made.statement)
