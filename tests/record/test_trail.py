"""What the audit chain says of trust: nothing is laundered, restored or counted that admins had no say in."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from gpghome import GpgHome, gpg_home
from record.setting import IDENTITY, OTHER, Books
from record.test_changes import NOW, PEOPLE, changes, one, propose, put, restored, sign, trail, two, with_person
from stateguard import faults
from stateguard.config.trust import trust_document
from stateguard.errors import NotFoundError, RefusedError, TrustError
from stateguard.host.database import Database
from stateguard.model.baseline import Signer
from stateguard.model.identity import AUDIT
from stateguard.model.moment import parse_rfc3339
from stateguard.model.trust import GPG, Key, Role, Trust
from stateguard.record.audit import Audit, Entry
from stateguard.record.people import digest_of
from stateguard.record.signed import Signed
from stateguard.trust.change import to_sign
from stateguard.trust.people import added, locked, removed, save
from stateguard.trust.ssh import TRUST_NAMESPACE

__all__ = ["one", "two"]
EVERYTHING = list(Role)


def mallory(books: Books, before: Trust, version: int) -> Trust:
    return replace(with_person(books, before, "eve", *EVERYTHING), version=version)


def forge(books: Books, after: Trust, *signed: Signed) -> None:
    """Put a document in force as whoever has the guard's key can: entry, files and database fit together."""
    books.people.change(books.people.trust(), after, "person:ann", {"action": "add"}, signed)


def slip(books: Books) -> Trust:
    """Put eve into document and database at the same version, as the guard's user can; no entry says it."""
    before = books.people.trust()
    after = mallory(books, before, before.version)
    save(books.root / "trust", after)
    digest = digest_of((books.root / "trust" / "trust.yaml").read_bytes())
    with sqlite3.connect(books.root / "guard.db") as connection:
        connection.execute("UPDATE trust_document SET digest=?", (digest,))
    assert books.people.trust() == after, "it counts for the time being"
    return after


class TestFollowed:
    def test_a_version_written_again_as_another_document_is_found(self, one: Books) -> None:
        """It is judged by the one in force, not by the one before, in which nobody was an admin."""
        forge(one, mallory(one, Trust(), 1))
        said = trail(one).problems
        assert "version 1 does not follow version 1" in said
        assert any("is not signed by as many admins" in problem for problem in said)

    def test_nor_is_it_signed_by_an_admin_of_before(self, one: Books) -> None:
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.ADMIN)), "ann")
        sign(one, propose(one, removed(one.people.trust(), "ann", None, NOW)), "bob")
        again = replace(with_person(one, one.people.trust(), "eve", *EVERYTHING), version=3)
        text = PEOPLE["ann"].sign(to_sign(IDENTITY, trust_document(again)), TRUST_NAMESPACE)
        forge(one, again, Signed(Signer("ann", PEOPLE["ann"].public.fingerprint), text))
        assert any("not signed by as many admins" in problem for problem in trail(one).problems)

    @given(st.lists(st.integers(0, 2), min_size=1, max_size=3))
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    def test_signed_entries_of_before_brought_again_are_not_followed(self, shared: Books, places: list[int]) -> None:
        """Each was signed for its version; whatever is played again, admins have not agreed to what comes of it."""
        books = shared
        now = books.people.trust()
        if now.version < 3:
            put(books, with_person(books, now, "ann", Role.ADMIN))
            for name in ("bob", "cyd"):
                sign(books, propose(books, with_person(books, books.people.trust(), name, Role.PUSH)), "ann")
        kept = [e["body"] for e in books.audit.newest_first() if e["kind"] == "trust"][::-1][:3]
        books.audit.append([Entry("trust", "guard", kept[place]) for place in places])
        found = trail(books)
        assert found.agreed is not None
        assert found.agreed.version == 3
        assert found.last == found.agreed or found.standing
        assert found.standing or places == [2] * len(places)

    def test_a_change_cut_short_is_brought_to_its_end_before_another(self, one: Books) -> None:
        before = one.people.trust()
        faults.arm("audit.appended:1:cut")
        with pytest.raises(faults.Cut):
            put(one, locked(before, "bob", "", NOW))
        faults.arm(None)
        assert one.people.trust() == before
        with pytest.raises(RefusedError, match="cut short between writing version 2 down") as refused:
            put(one, locked(before, "cyd", "", NOW))
        assert "trust restore" in refused.value.next_step
        assert [lock.name for lock in restored(one).locked] == ["bob"]
        put(one, locked(one.people.trust(), "cyd", "", NOW))
        assert trail(one).problems == []

    def test_an_old_home_says_what_could_not_be_followed(self, books: Books) -> None:
        """Its entries hold no documents; the first that is held is taken as it is, and what comes then is followed."""
        before = replace(with_person(books, Trust(), "ann", Role.ADMIN), version=3)
        save(books.root / "trust", before)
        digest = digest_of((books.root / "trust" / "trust.yaml").read_bytes())
        books.audit.append([Entry("trust", "person:x", {"action": "add", "version": 3, "document": digest})])
        found = trail(books).as_json()
        untold = found["unfollowed"]
        assert (found["valid"], found["changes"]) == (True, 0)
        assert isinstance(untold, dict)
        assert (untold["changes"], untold["version"]) == (1, 3)
        with pytest.raises(NotFoundError):
            restored(books)
        sign(books, propose(books, with_person(books, before, "bob", Role.PUSH)), "ann")
        found = trail(books).as_json()
        assert (found["valid"], found["changes"], found["unfollowed"]) == (True, 1, untold)
        books.audit.append([Entry("trust", "person:x", {"action": "add", "version": 5, "document": digest})])
        assert "version 5: the entry holds no document, though entries before it do" in trail(books).problems

    def test_an_old_home_with_another_document_than_its_chain_names(self, books: Books) -> None:
        books.audit.append([Entry("trust", "person:x", {"action": "add", "version": 3, "document": "0" * 64})])
        save(books.root / "trust", replace(with_person(books, Trust(), "eve", Role.ADMIN), version=3))
        assert any("not what the chain says" in problem for problem in trail(books).problems)

    def test_a_document_that_no_entry_is_about(self, books: Books) -> None:
        save(books.root / "trust", replace(with_person(books, Trust(), "eve", Role.ADMIN), version=3))
        assert trail(books).problems == ["version 3 is in force, and the chain holds no change of trust"]

    @pytest.mark.parametrize(
        "body",
        [{}, {"version": "1"}, {"version": 1, "text": 3}, {"version": 2, "text": "["}, {"version": 2, "signatures": 3}],
    )
    def test_an_entry_that_is_no_change_is_told(self, one: Books, body: dict[str, object]) -> None:
        one.audit.append([Entry("trust", "guard", body)])
        assert trail(one).problems


class TestLaundering:
    def test_what_was_slipped_in_is_not_signed_along(self, one: Books) -> None:
        slip(one)
        with pytest.raises(TrustError, match="not what the chain says version 1 is") as refused:
            propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH))
        assert "trust verify" in refused.value.next_step
        assert "trust restore" in refused.value.next_step
        with pytest.raises(TrustError):
            changes(one).base()
        assert restored(one).find("eve") is None
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH)), "ann")
        assert trail(one).problems == []

    def test_nor_between_saying_a_change_and_signing_it(self, two: Books) -> None:
        proposal = propose(two, with_person(two, two.people.trust(), "eve", Role.PUSH))
        sign(two, proposal, "ann")
        slip(two)
        entries = two.audit.length()
        with pytest.raises(TrustError, match="not what the chain says"):
            sign(two, proposal, "bob")
        assert two.audit.length() == entries

    def test_nor_with_an_entry_that_no_admin_signed(self, one: Books) -> None:
        """The guard's key writes one; whoever signs next is not made to sign it too."""
        forge(one, mallory(one, one.people.trust(), 2))
        with pytest.raises(TrustError, match="version 2, by person:ann, is not signed by as many admins as it takes"):
            propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH))

    def test_what_came_by_force_is_shown_to_whoever_signs_next(self, one: Books) -> None:
        put(one, with_person(one, one.people.trust(), "eve", Role.ADMIN), force=True)
        propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH))
        base = changes(one).base()
        assert (base.version, "eve" in base.text) == (1, False)
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH)), "ann")
        assert (changes(one).base().version, "eve" in changes(one).base().text) == (3, True)


class TestRestored:
    def test_not_out_of_an_entry_that_the_guard_did_not_sign(self, one: Books) -> None:
        """Whoever may write the repository can put one there, without the guard's key."""
        right, text = one.people.trust(), changes(one).base().text
        stranger = Audit(one.repository, Database(one.root / "other.db"), OTHER.sign)
        bad = text.replace('"ann"', '"mallory"')
        stranger.append([Entry("trust", "guard", {"version": 1, "text": bad, "document": digest_of(bad.encode())})])
        (one.root / "trust" / "trust.yaml").unlink()
        with pytest.raises(TrustError, match="was not put back: ") as refused:
            restored(one)
        assert "mirror" in refused.value.next_step
        assert "--force, which is on record" in refused.value.next_step
        assert one.people.problem()
        found = restored(one, force=True)
        assert found == replace(right, version=2) == one.people.trust()
        body = next(one.audit.newest_first())["body"]
        assert (body["action"], body["restored"], body["without_admins"]) == ("restore", 1, True)
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH)), "ann")
        assert one.people.trust().find("bob") is not None
        assert any("in a commit that is not the guard's" in problem for problem in trail(one).problems)

    def test_not_what_admins_had_to_sign_and_did_not(self, one: Books) -> None:
        right = one.people.trust()
        forge(one, mallory(one, right, 2))
        with pytest.raises(TrustError, match="not signed by as many admins"):
            restored(one)
        assert one.people.trust().find("eve") is not None
        found = restored(one, force=True)
        assert found == replace(right, version=3) == one.people.trust()
        assert one.people.without_admins() == "person:x"
        assert [x["version"] for x in trail(one).without_admins] == [3]
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH)), "ann")
        assert one.people.without_admins() == ""

    def test_never_below_what_was_in_force(self, one: Books) -> None:
        begun = one.repository.ref(AUDIT)
        assert begun is not None
        for name in ("bob", "cyd"):
            sign(one, propose(one, with_person(one, one.people.trust(), name, Role.PUSH)), "ann")
        one.ref(AUDIT, begun)
        with pytest.raises(TrustError, match="cut or replaced"):
            restored(one)
        one.database.execute("DELETE FROM audit_head")
        with pytest.raises(TrustError, match="ends with version 1, but 3 was in force") as refused:
            restored(one)
        assert "mirror" in refused.value.next_step
        assert one.people.trust().version == 3
        assert restored(one, force=True).version == 4
        assert one.people.trust().find("cyd") is None
        assert trail(one).problems == []
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH)), "ann")

    def test_with_a_new_database_what_the_chain_ends_with(self, one: Books) -> None:
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH)), "ann")
        right = one.people.trust()
        (one.root / "trust" / "trust.yaml").unlink()
        one.open(one.root / "new.db")
        assert restored(one) == right == one.people.trust()

    def test_by_force_there_may_be_nothing_either(self, books: Books) -> None:
        with pytest.raises(NotFoundError):
            restored(books, force=True)


class TestNotice:
    def test_whoever_came_by_force_does_not_end_it(self, one: Books) -> None:
        put(one, with_person(one, one.people.trust(), "eve", Role.ADMIN), force=True)
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH), "eve"), "eve")
        assert one.people.without_admins() == "person:x"
        put(one, locked(one.people.trust(), "cyd", "", NOW))
        (one.root / "trust" / "trust.yaml").unlink()
        restored(one)
        assert one.people.without_admins() == "person:x", "putting it back does not end it either"
        assert (changes(one).base().version, trail(one).problems) == (1, [])
        sign(one, propose(one, removed(one.people.trust(), "eve", None, NOW)), "ann")
        assert one.people.without_admins() == ""
        assert (changes(one).base().version, trail(one).owed) == (5, "")

    def test_a_change_by_force_that_was_not_written_down_leaves_none(self, one: Books) -> None:
        before = one.people.trust()
        faults.arm("audit.append:1:cut")
        with pytest.raises(faults.Cut):
            put(one, with_person(one, before, "eve", Role.ADMIN), force=True)
        faults.arm(None)
        assert (one.people.trust(), one.people.without_admins()) == (before, "")
        put(one, locked(before, "bob", "", NOW))
        assert (one.people.without_admins(), trail(one).problems) == ("", [])

    @pytest.mark.parametrize("passage", [6, 7, 8])
    def test_one_that_was_stays_though_the_guard_is_cut_short(self, one: Books, passage: int) -> None:
        before = one.people.trust()
        faults.arm(f"database.execute:{passage}:cut")
        try:
            put(one, with_person(one, before, "eve", Role.ADMIN), force=True)
        except faults.Cut:
            pass
        finally:
            faults.arm(None)
        assert trail(one).highest == 2, "it was written down"
        if one.people.trust() == before:
            restored(one)
        put(one, locked(one.people.trust(), "bob", "", NOW))
        assert one.people.without_admins() == trail(one).owed == "person:x"

    def test_nor_fewer_admins_than_it_took(self, two: Books) -> None:
        fewer = replace(two.people.trust().thresholds, admin=1)
        before = two.people.trust()
        put(two, replace(before, version=before.version + 1, thresholds=fewer), force=True)
        sign(two, propose(two, with_person(two, two.people.trust(), "eve", Role.PUSH)), "ann")
        assert two.people.without_admins() == "person:x", "two had to sign by the last document that admins signed"
        assert (trail(two).owed, trail(two).problems) == ("person:x", [])


class TestOpenPgp:
    MADE = "20260701T100000"
    THEN = parse_rfc3339("2026-07-01T10:00:00Z")

    def admin(self, books: Books, home: GpgHome, expires: str) -> str:
        key = home.make("gil", at=self.MADE, expires=expires)
        pinned = Key(GPG, key, home.export(key).decode(), NOW)
        put(books, added(Trust(), books.root / "trust", "gil", pinned, [Role.ADMIN]))
        return key

    def signed(self, home: GpgHome, key: str, after: Trust) -> Signed:
        payload = to_sign(IDENTITY, trust_document(after))
        return Signed(Signer("gil", key), home.sign(key, payload, "--faked-system-time", f"{self.MADE}!"))

    def proofs(self, books: Books, key: str, signed: Signed, after: Trust) -> list[bool]:
        """Say whether the signature holds for an entry just before the key was made, as it were, and for one after."""
        payload, before = to_sign(IDENTITY, trust_document(after)), books.people.trust()
        prove = books.people.prove_at
        at = (self.THEN - 60, self.THEN + 3 * 86400)
        return [not prove(before, payload, signed.armored, key, TRUST_NAMESPACE, t).problems for t in at]

    def test_a_key_that_had_expired_by_then_does_not_count(self, books: Books) -> None:
        with gpg_home() as home:
            key = self.admin(books, home, "1d")
            after = with_person(books, books.people.trust(), "eve", Role.ADMIN)
            signed = self.signed(home, key, after)
        assert self.proofs(books, key, signed, after) == [True, False]
        forge(books, after, signed)
        assert "version 2, signed by gil: the key has expired" in trail(books).problems
        assert "version 2, by person:ann, is not signed by as many admins as it takes" in trail(books).problems

    def test_nor_one_that_was_revoked_by_then(self, books: Books) -> None:
        with gpg_home() as home:
            key = self.admin(books, home, "0")
            after = with_person(books, books.people.trust(), "eve", Role.ADMIN)
            signed = self.signed(home, key, after)
            assert self.proofs(books, key, signed, after) == [True, True]
            home.revoke(key)  # by the certificate that was made with the key: so it says since when
            revoked = home.export(key)
        (books.root / "trust" / f"{key}.asc").write_bytes(revoked)
        assert self.proofs(books, key, signed, after) == [True, False]
        forge(books, after, signed)
        (books.root / "trust" / f"{key}.asc").write_bytes(revoked)
        assert "version 2, signed by gil: the key was revoked by its owner" in trail(books).problems
