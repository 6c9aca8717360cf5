"""How signatures are counted: one a person, and never one that does not qualify."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stateguard.errors import TrustError
from stateguard.model.moment import parse_rfc3339
from stateguard.model.trust import Key, Lock, Person, Role, Thresholds, Trust
from stateguard.trust.roles import decided_by, qualified, quorum, short_of

AT = "2026-07-01T10:00:00.000Z"
NOW, PAST, FUTURE = parse_rfc3339(AT), AT, "2026-07-01T10:00:00.001Z"
"""A key has expired when its time has come."""
NAMES = ("ann", "bob", "cyd", "dan")
KEYS = [f"key{n}" for n in range(8)]
"""Two of each person; the last two may be anybody's, or nobody's."""


def key(name: str, expires: str = "") -> Key:
    return Key("ssh-ed25519", name, f"line of {name}", AT, expires)


@st.composite
def trusts(draw: st.DrawFn) -> Trust:
    """Return a document: who has which keys and roles, which expired, and who is locked."""
    owners: dict[str, list[Key]] = {}
    for one in KEYS:
        owner = draw(st.sampled_from([*NAMES, ""]))
        if owner:
            owners.setdefault(owner, []).append(key(one, draw(st.sampled_from(["", PAST, FUTURE]))))
    people = [
        Person(name, tuple(draw(st.sets(st.sampled_from(list(Role))))), tuple(keys)) for name, keys in owners.items()
    ]
    locked = draw(st.sets(st.sampled_from(NAMES)))
    return Trust(1, tuple(people), locked=tuple(Lock(name, "", AT) for name in sorted(locked)))


keys = st.lists(st.sampled_from([*KEYS, "a stranger's"]), max_size=10)
roles = st.sampled_from(list(Role))
numbers = st.integers(1, 5)


def persons(trust: Trust, role: Role, given_keys: list[str]) -> set[str]:
    """Count in another way: who of the document qualifies and has a key among these."""
    locked = {lock.name for lock in trust.locked}
    able = [p for p in trust.people if role in p.roles and p.name not in locked]
    return {p.name for p in able for k in p.keys if k.fingerprint in given_keys and k.expires_at != PAST}


@given(trusts(), roles, keys, numbers)
def test_never_reached_by_fewer_persons_than_it_takes(trust: Trust, role: Role, signed: list[str], k: int) -> None:
    found = quorum(trust, role, signed, k, NOW)
    able = persons(trust, role, signed)
    assert found.reached == (len(able) >= k)
    owners = [trust.owner(signed[place]) for place in found.counted]
    assert [o.name for o in owners if o] == list(dict.fromkeys(o.name for o in owners if o))
    assert {o.name for o in owners if o} == able


@given(trusts(), roles, keys, keys, numbers)
def test_another_signature_never_takes_one_away(
    trust: Trust, role: Role, signed: list[str], more: list[str], k: int
) -> None:
    before, after = quorum(trust, role, signed, k, NOW), quorum(trust, role, signed + more, k, NOW)
    assert after.counted[: len(before.counted)] == before.counted
    assert after.reached or not before.reached


@given(trusts(), roles, keys, numbers, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(trust: Trust, role: Role, signed: list[str], k: int, dice: object) -> None:
    mixed = list(signed)
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    assert len(quorum(trust, role, mixed, k, NOW).counted) == len(quorum(trust, role, signed, k, NOW).counted)


@given(trusts(), roles, keys, numbers)
def test_more_persons_needed_is_never_easier(trust: Trust, role: Role, signed: list[str], k: int) -> None:
    assert quorum(trust, role, signed, k, NOW).reached or not quorum(trust, role, signed, k + 1, NOW).reached


def test_nothing_is_decided_by_nobody() -> None:
    for needed in (0, -1):
        with pytest.raises(ValueError, match="somebody"):
            quorum(Trust(), Role.BASELINE, [], needed, NOW)


def test_two_keys_of_one_person_are_one_signature() -> None:
    trust = Trust(
        1, (Person("ann", (Role.BASELINE,), (key("a"), key("b"))), Person("bob", (Role.BASELINE,), (key("c"),)))
    )
    assert not quorum(trust, Role.BASELINE, ["a", "b", "a"], 2, NOW).reached
    assert quorum(trust, Role.BASELINE, ["a", "b", "c"], 2, NOW).counted == (0, 2)


def test_whoever_does_not_qualify_is_told_why() -> None:
    trust = Trust(1, (Person("ann", (Role.PUSH,), (key("a"),)), Person("bob", (Role.BASELINE,), (key("b"),))),
                  locked=(Lock("bob", "left", AT),))  # fmt: skip
    for one, says, hint in (
        ("a", "ann has not the role baseline", "trust add ann --role push --role baseline"),
        ("b", f"bob is locked since {AT}: left", "trust unlock bob"),
        ("c", "trusted as nobody's", "trust add NAME"),
    ):
        with pytest.raises(TrustError, match=says) as refused:
            qualified(trust, Role.BASELINE, one, NOW)
        assert hint in refused.value.next_step
    assert qualified(trust, Role.PUSH, "a", NOW).name == "ann"


def test_a_key_counts_until_its_time_has_come() -> None:
    trust = Trust(1, (Person("ann", (Role.BASELINE,), (key("a", PAST), key("b", FUTURE))),))
    with pytest.raises(TrustError, match=f"ann's key a expired at {PAST}") as refused:
        qualified(trust, Role.BASELINE, "a", NOW)
    assert refused.value.next_step == "stateguard trust rotate ann --ssh NEW.pub --key a"
    assert qualified(trust, Role.BASELINE, "b", NOW).name == "ann"
    assert qualified(trust, Role.BASELINE, "a", NOW - 1).name == "ann"
    assert [k.fingerprint for _, k in trust.expiring(NOW)] == ["a"]
    assert [k.fingerprint for _, k in trust.expiring(NOW + 1)] == ["a", "b"]


@given(trusts(), trusts(), numbers)
def test_admins_decide_what_whoever_commands_the_guard_does_not(one: Trust, other: Trust, k: int) -> None:
    before, after = replace(one, thresholds=Thresholds(admin=k)), replace(other, version=2)
    admins = any(Role.ADMIN in person.roles for person in before.people)
    same_but_locks = replace(after, version=1, locked=()) == replace(before, locked=())
    kept = set(before.locked) <= set(after.locked)
    assert decided_by(before, after) == (0 if not admins or (same_but_locks and kept) else k)


@given(trusts(), st.sampled_from(NAMES), numbers)
def test_a_lock_waits_for_nobody_and_its_end_for_admins(trust: Trust, name: str, k: int) -> None:
    before = replace(trust, locked=(), thresholds=Thresholds(admin=k))
    locked = replace(before, version=2, locked=(Lock(name, "", AT),))
    assert decided_by(before, locked) == 0
    admins = any(Role.ADMIN in person.roles for person in before.people)
    assert decided_by(locked, replace(before, version=3)) == (k if admins else 0)


@given(trusts(), numbers, numbers)
def test_it_is_said_when_too_few_can_sign(trust: Trust, baseline: int, admin: int) -> None:
    trust = replace(trust, thresholds=Thresholds(baseline, admin))
    found = " ".join(short_of(trust, NOW))
    for role, needed in ((Role.BASELINE, baseline), (Role.ADMIN, admin)):
        able = len(persons(trust, role, KEYS))
        named = any(role in person.roles for person in trust.people)
        assert (f"can sign as {role}" in found) == (needed > max(able, 1) or (named and able == 0))


@given(trusts())
def test_where_nothing_is_said_enough_signatures_can_be_had(trust: Trust) -> None:
    trust = replace(trust, thresholds=Thresholds(2, 2))
    if not short_of(trust, NOW):
        for one in (Role.BASELINE, Role.ADMIN):
            assert quorum(trust, one, KEYS, 2, NOW).reached
