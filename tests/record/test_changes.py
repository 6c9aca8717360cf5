"""Changes of trust that admins sign, what is on record of each, and documents that were changed past the guard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from gpghome import gpg_home
from record.setting import IDENTITY, Books
from stateguard import faults
from stateguard.errors import ApprovalNeededError, NotFoundError, RefusedError, StateguardError, TrustError
from stateguard.model.trust import Role, Trust
from stateguard.record.changes import Changes, Proposal
from stateguard.record.people import digest_of
from stateguard.record.trail import Trail, follow
from stateguard.trust.change import document_in, to_sign
from stateguard.trust.people import added, gpg_key, locked, removed, rotated, ssh_key, unlocked, with_threshold
from stateguard.trust.roles import decided_by
from stateguard.trust.ssh import TRUST_NAMESPACE, SigningKey

NOW = "2026-07-01T10:00:00.000Z"
PEOPLE = {name: SigningKey.generate() for name in ("ann", "bob", "cyd", "eve")}


def changes(books: Books) -> Changes:
    return Changes(books.people, books.database, books.audit, IDENTITY)


def with_person(books: Books, before: Trust, name: str, *roles: Role) -> Trust:
    return added(before, books.root / "trust", name, ssh_key(PEOPLE[name].public.line, NOW), roles)


def put(books: Books, after: Trust, *, force: bool = False) -> Trust:
    return changes(books).change(books.people.trust(), after, "person:x", {"action": "test"}, force=force)


def propose(books: Books, after: Trust, by: str = "ann") -> Proposal:
    return changes(books).propose(books.people.trust(), after, {"action": "test"}, PEOPLE[by].public.fingerprint)


def sign(books: Books, proposal: Proposal, by: str) -> Proposal | Trust:
    return changes(books).submit(proposal.payload, PEOPLE[by].sign(proposal.payload, TRUST_NAMESPACE), f"person:{by}")


def restored(books: Books, *, force: bool = False) -> Trust:
    return changes(books).restore("person:x", force=force)


def trail(books: Books) -> Trail:
    return follow(books.audit, books.people, IDENTITY)


@pytest.fixture
def one(books: Books) -> Books:
    """Give books in which ann is the one admin."""
    put(books, with_person(books, books.people.trust(), "ann", Role.ADMIN))
    return books


@pytest.fixture
def two(one: Books) -> Books:
    """Give books in which two of ann, bob and cyd must sign a change."""
    for name in ("bob", "cyd"):
        sign(one, propose(one, with_person(one, one.people.trust(), name, Role.ADMIN)), "ann")
    sign(one, propose(one, with_threshold(one.people.trust(), Role.ADMIN, 2)), "ann")
    return one


class TestWhoDecides:
    def test_without_an_admin_whoever_commands_the_guard(self, books: Books) -> None:
        after = put(books, with_person(books, books.people.trust(), "bob", Role.PUSH, Role.BASELINE))
        put(books, with_person(books, after, "ann", Role.ADMIN))
        assert books.people.trust().version == 2
        assert books.people.without_admins() == ""
        assert trail(books).as_json() == {
            "valid": True, "changes": 2, "unfollowed": None, "without_admins": [], "problems": [],
        }  # fmt: skip

    def test_with_one_nothing_changes_without_a_signature(self, one: Books) -> None:
        before, entries = one.people.trust(), one.audit.length()
        for after in (
            with_person(one, before, "bob", Role.PUSH),
            with_person(one, before, "bob", Role.ADMIN),
            removed(before, "ann", None, NOW),
            rotated(before, one.root / "trust", "ann", ssh_key(PEOPLE["bob"].public.line, NOW), None),
            added(before, one.root / "trust", "ann", None, [Role.PUSH]),
        ):
            with pytest.raises(ApprovalNeededError, match="1 signature of ann") as refused:
                put(one, after)
            assert "--sign KEY" in refused.value.next_step
        assert (one.people.trust(), one.audit.length()) == (before, entries)

    def test_a_lock_waits_for_nobody_and_its_end_does(self, one: Books) -> None:
        after = put(one, locked(one.people.trust(), "bob", "laptop lost", NOW))
        put(one, locked(after, "bob", "and the phone", NOW))
        with pytest.raises(ApprovalNeededError):
            put(one, unlocked(one.people.trust(), "bob"))
        sign(one, propose(one, unlocked(one.people.trust(), "bob")), "ann")
        assert one.people.trust().locked == ()
        assert trail(one).problems == []

    def test_locking_the_only_admin_does_not_give_the_decision_away(self, one: Books) -> None:
        put(one, locked(one.people.trust(), "ann", "", NOW))
        with pytest.raises(ApprovalNeededError):
            put(one, with_person(one, one.people.trust(), "bob", Role.ADMIN))
        with pytest.raises(TrustError, match="ann is locked"):
            propose(one, unlocked(one.people.trust(), "ann"))

    def test_by_force_it_is_on_record_until_admins_sign_the_next(self, one: Books) -> None:
        after = put(one, with_person(one, one.people.trust(), "eve", Role.ADMIN), force=True)
        assert one.people.without_admins() == "person:x"
        assert next(one.audit.newest_first())["body"]["without_admins"] is True
        put(one, locked(after, "bob", "", NOW))
        assert one.people.without_admins() == "person:x", "a lock, which nobody signs, does not hide it"
        found = trail(one)
        assert (found.problems, [x["version"] for x in found.without_admins]) == ([], [2])
        sign(one, propose(one, removed(one.people.trust(), "eve", None, NOW)), "ann")
        assert one.people.without_admins() == ""

    def test_as_many_admins_stay_as_a_change_takes(self, two: Books) -> None:
        fewer = removed(removed(two.people.trust(), "bob", None, NOW), "cyd", None, NOW)
        for act in (lambda: propose(two, fewer), lambda: put(two, fewer, force=True)):
            with pytest.raises(RefusedError, match="leave 1 admin, and a change of trust takes 2"):
                act()


class TestSigned:
    def test_one_of_one(self, one: Books) -> None:
        before = one.people.trust()
        after = with_person(one, before, "bob", Role.PUSH)
        proposal = propose(one, after)
        assert one.people.trust() == before
        assert changes(one).pending() is None, "nobody has signed it"
        assert sign(one, proposal, "ann") == after == one.people.trust()
        body = next(one.audit.newest_first())["body"]
        assert body["document"] == digest_of((one.root / "trust" / "trust.yaml").read_bytes())
        assert body["text"] == document_in(proposal.payload)
        assert [(s["name"], s["key"]) for s in body["signatures"]] == [("ann", PEOPLE["ann"].public.fingerprint)]
        assert trail(one).as_json()["valid"]
        assert one.problems() == ()

    def test_two_of_three_and_a_restart_between(self, two: Books) -> None:
        before = two.people.trust()
        after = with_person(two, before, "eve", Role.PUSH)
        first = sign(two, propose(two, after), "ann")
        assert isinstance(first, Proposal)
        assert ([s.name for s in first.signers], first.needed) == (["ann"], 2)
        two.open(two.root / "guard.db")
        waiting = changes(two).pending()
        assert waiting == first
        assert two.people.trust() == before
        with pytest.raises(RefusedError, match="ann has signed this change already"):
            sign(two, first, "ann")
        with pytest.raises(RefusedError, match="is signed by ann and waits"):
            propose(two, removed(before, "cyd", None, NOW), "bob")
        assert sign(two, first, "cyd") == after == two.people.trust()
        assert changes(two).pending() is None
        found = trail(two)
        assert (found.problems, found.without_admins) == ([], [])

    def test_what_does_not_count(self, two: Books) -> None:
        put(two, with_person(two, two.people.trust(), "eve", Role.PUSH, Role.BASELINE), force=True)
        with pytest.raises(TrustError, match="eve has not the role admin"):
            propose(two, with_person(two, two.people.trust(), "eve", Role.ADMIN), "eve")
        proposal = propose(two, with_person(two, two.people.trust(), "eve", Role.ADMIN))
        other = to_sign("another home", document_in(proposal.payload))
        ann = PEOPLE["ann"]
        for text in (
            "", ann.sign(proposal.payload), ann.sign(other, TRUST_NAMESPACE), ann.sign(b"x", TRUST_NAMESPACE),
            SigningKey.generate().sign(proposal.payload, TRUST_NAMESPACE),
            PEOPLE["eve"].sign(proposal.payload, TRUST_NAMESPACE),
        ):  # fmt: skip
            with pytest.raises(TrustError):
                changes(two).submit(proposal.payload, text, "person:x")
        with pytest.raises(RefusedError, match="not the change that was prepared"):
            changes(two).submit(other, ann.sign(other, TRUST_NAMESPACE), "person:x")
        assert changes(two).pending() is None

    def test_a_signature_is_for_one_change_alone(self, two: Books) -> None:
        """A change that was signed and not made is not made later, when the document is another."""
        proposal = propose(two, with_person(two, two.people.trust(), "eve", Role.ADMIN))
        sign(two, proposal, "ann")
        put(two, locked(two.people.trust(), "eve", "", NOW))
        assert changes(two).pending() is None
        with pytest.raises(RefusedError, match="trust was changed meanwhile"):
            sign(two, proposal, "bob")
        again = propose(two, with_person(two, two.people.trust(), "eve", Role.ADMIN), "bob")
        for signature in (PEOPLE["ann"].sign(proposal.payload, TRUST_NAMESPACE),):
            with pytest.raises(TrustError, match="does not fit"):
                changes(two).submit(again.payload, signature, "person:x")

    @pytest.mark.parametrize("how", ["locked", "removed"])
    def test_an_admin_who_is_gone_by_now_does_not_count(self, two: Books, how: str) -> None:
        proposal = propose(two, with_person(two, two.people.trust(), "eve", Role.PUSH))
        assert isinstance(sign(two, proposal, "ann"), Proposal)
        now = two.people.trust()
        put(two, {"locked": locked(now, "ann", "", NOW), "removed": removed(now, "ann", None, NOW)}[how], force=True)
        with pytest.raises(RefusedError):
            sign(two, proposal, "bob")

    def test_it_can_be_given_up(self, two: Books) -> None:
        with pytest.raises(NotFoundError):
            changes(two).drop("person:ann")
        sign(two, propose(two, with_person(two, two.people.trust(), "eve", Role.PUSH)), "ann")
        changes(two).drop("person:ann")
        assert changes(two).pending() is None
        assert next(two.audit.newest_first())["body"]["dropped"]

    def test_an_admin_with_gpg(self, books: Books) -> None:
        with gpg_home() as home:
            key = gpg_key(home.export(home.make("gil")), NOW)
            put(books, added(Trust(), books.root / "trust", "gil", key, [Role.ADMIN]))
            after = with_person(books, books.people.trust(), "ann", Role.PUSH)
            proposal = changes(books).propose(books.people.trust(), after, {}, key.fingerprint)
            changes(books).submit(proposal.payload, home.sign(key.fingerprint, proposal.payload), "person:gil")
        assert books.people.trust() == after
        assert trail(books).as_json()["valid"]

    @pytest.mark.parametrize("point", ["audit.append", "audit.appended", "database.execute", "files.write"])
    @pytest.mark.parametrize("passage", [1, 2, 3])
    def test_cut_anywhere_it_can_be_gone_on_with(self, two: Books, point: str, passage: int) -> None:
        before = two.people.trust()
        after = with_person(two, before, "eve", Role.PUSH)
        proposal = propose(two, after)
        sign(two, proposal, "ann")
        faults.arm(f"{point}:{passage}:cut")
        try:
            sign(two, proposal, "bob")
        except faults.Cut:
            pass
        finally:
            faults.arm(None)
        two.open(two.root / "guard.db")
        assert two.people.trust() in (before, after)
        if two.people.trust() == before:
            sign(two, proposal, "bob")
        sign(two, second := propose(two, removed(two.people.trust(), "eve", None, NOW)), "ann")
        sign(two, second, "cyd")
        assert two.people.trust().find("eve") is None
        assert trail(two).problems == []
        assert two.problems() == ()


class TestPastTheGuard:
    def test_an_edit_by_hand_counts_for_nothing_and_is_put_back(self, one: Books) -> None:
        path = one.root / "trust" / "trust.yaml"
        right, kept = one.people.trust(), path.read_bytes()
        for edited in (kept.replace(b"roles: [admin]", b"roles: [push, baseline, approve, admin]"),
                       kept.replace(b"version: 1", b"version: 2"), kept + b"# a remark\n"):  # fmt: skip
            path.write_bytes(edited)
            with pytest.raises(TrustError, match="was changed past the guard") as refused:
                one.people.trust()
            assert "trust restore" in refused.value.next_step
            assert "changed past the guard" in one.people.problem()
            assert not trail(one).as_json()["valid"]
            assert restored(one) == right == one.people.trust()
            assert path.read_bytes() == kept
            assert one.people.problem() == ""

    def test_one_that_is_gone_or_nonsense_is_put_back(self, one: Books) -> None:
        path = one.root / "trust" / "trust.yaml"
        kept = path.read_bytes()
        path.unlink()
        assert one.people.problem()
        restored(one)
        path.write_text("nonsense: [\n")
        assert one.people.problem()
        restored(one)
        assert path.read_bytes() == kept
        assert one.people.problem() == ""

    def test_there_may_be_nothing_to_put_back(self, books: Books) -> None:
        with pytest.raises(NotFoundError):
            restored(books)

    def test_a_home_of_an_earlier_stateguard_goes_on(self, one: Books) -> None:
        one.database.execute("DELETE FROM trust_document")
        assert one.people.problem() == ""
        put(one, locked(one.people.trust(), "bob", "", NOW))
        assert one.people.problem() == ""

    def test_what_was_put_in_force_past_admins_is_found_in_the_chain(self, one: Books) -> None:
        """Whoever has the guard's key can write an entry; that admins signed it they cannot say."""
        before = one.people.trust()
        one.people.change(before, with_person(one, before, "eve", Role.ADMIN), "guard", {"action": "add"})
        assert trail(one).problems == ["version 2, by guard, is not signed by as many admins as it takes"]

    @pytest.mark.parametrize("version", [1, 4])
    def test_a_version_that_does_not_follow_is_found(self, one: Books, version: int) -> None:
        """Beginning anew from before there was an admin would need nobody's signature."""
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH)), "ann")
        before = one.people.trust()
        other = replace(with_person(one, Trust(), "eve", Role.ADMIN), version=version)
        one.people.change(before, other, "guard", {"action": "add"})
        assert f"version {version} does not follow version 2" in trail(one).problems

    def test_a_signature_out_of_another_entry_is_found(self, one: Books) -> None:
        sign(one, propose(one, with_person(one, one.people.trust(), "bob", Role.PUSH)), "ann")
        taken = next(one.audit.newest_first())["body"]["signatures"]
        before = one.people.trust()
        body = {"action": "add", "signatures": taken}
        one.people.change(before, with_person(one, before, "eve", Role.ADMIN), "guard", body)
        assert any("not signed by as many admins" in problem for problem in trail(one).problems)


_acts = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "lock", "unlock", "threshold"]),
        st.sampled_from(list(PEOPLE)),
        st.sets(st.sampled_from(list(PEOPLE))),
        st.sets(st.sampled_from(list(Role))),
        st.integers(1, 3),
    ),
    max_size=6,
)


@given(_acts)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_is_in_force_that_too_few_admins_signed(shared: Books, acts: list[tuple[object, ...]]) -> None:
    """Whatever is tried by whomever: a document is in force if nobody had to sign it, or enough distinct admins did."""
    books = shared
    changes(books).change(books.people.trust(), replace(Trust(), version=books.people.trust().version + 1), "guard",
                          {}, force=True)  # fmt: skip
    for what, name, signers, roles, k in acts:
        before = books.people.trust()
        try:
            after = _after(books, before, str(what), str(name), roles, k)  # type: ignore[arg-type]
            able = {n for n in signers if (p := before.find(n)) and Role.ADMIN in p.roles and not before.lock_of(n)}  # type: ignore[attr-defined]
            _try(books, before, after, sorted(able))
        except StateguardError:
            assert books.people.trust() == before
            continue
        if books.people.trust() != before:
            assert len(able) >= decided_by(before, after)


def _after(books: Books, before: Trust, what: str, name: str, roles: set[Role], k: int) -> Trust:
    if what == "add":
        return with_person(books, before, name, *roles)
    if what == "remove":
        return removed(before, name, None, NOW)
    if what == "lock":
        return locked(before, name, "", NOW)
    return unlocked(before, name) if what == "unlock" else with_threshold(before, Role.ADMIN, k)


def _try(books: Books, before: Trust, after: Trust, signers: list[str]) -> None:
    if not decided_by(before, after) or not signers:
        changes(books).change(before, after, "person:x", {}, force=False)
        return
    proposal = propose(books, after, signers[0])
    for name in signers:
        if isinstance(sign(books, proposal, name), Trust):
            return
    changes(books).drop("person:x")


def test_what_is_signed_is_a_change_and_nothing_else() -> None:
    assert document_in(to_sign("id", "apiVersion: x\n\nrest\n")) == "apiVersion: x\n\nrest\n"
    assert to_sign("one home", "x") != to_sign("another", "x")
    head = b"stateguard trust id"
    for payload in (b"", b"tree 1\n\nx", head + b"\nmore\n\nx", head, head + b"\n\n\xff"):
        with pytest.raises(TrustError):
            document_in(payload)
