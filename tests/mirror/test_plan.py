from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stateguard.mirror.plan import (
    CAPTURED,
    History,
    Kind,
    Known,
    Move,
    Plan,
    Why,
    batches,
    captured_name,
    decide,
    either,
    goes_out,
    kind_of,
    missing,
)
from stateguard.model.identity import APPLIED, AUDIT, MAIN, ZERO

TAG, BRANCH, WITHDRAWN = "refs/tags/baseline/1", "refs/heads/topic", "refs/stateguard/withdrawn/7"
A, B, C, ALIEN = "a" * 40, "b" * 40, "c" * 40, "f" * 40

LINE = History(has=lambda one: one != ALIEN, continues=lambda old, new: old <= new != ALIEN)
"""Objects here are a line, A then B then C; the alien one is not here."""


def plan(
    ours: dict[str, str], theirs: dict[str, str], known: dict[str, Known] | None = None, history: History = LINE
) -> Plan:
    return decide(ours, theirs, known or {}, history)


def test_an_empty_mirror_gets_everything() -> None:
    ours = {MAIN: A, TAG: B, APPLIED: C}
    assert {(m.ref, m.old, m.new) for m in plan(ours, {}).moves} == {(r, ZERO, o) for r, o in ours.items()}


def test_a_mirror_in_sync_gets_nothing() -> None:
    ours = {MAIN: A, TAG: B}
    assert plan(ours, ours, {r: Known(o) for r, o in ours.items()}) == Plan(holds=ours)


@pytest.mark.parametrize(
    ("ref", "here", "there", "known", "expected"),
    [
        # What this guard put there last moves on, each kind of ref in its way.
        (MAIN, B, A, Known(A), Move(MAIN, A, B)),
        (APPLIED, A, C, Known(C), Move(APPLIED, C, A)),
        (BRANCH, A, C, Known(C), Move(BRANCH, C, A)),
        (BRANCH, ZERO, A, Known(A), Move(BRANCH, A, ZERO)),
        # What was sent may have arrived, or not.
        (MAIN, C, B, Known(A, frozenset({B})), Move(MAIN, B, C)),
        (MAIN, C, A, Known(A, frozenset({B})), Move(MAIN, A, C)),
        (MAIN, C, ZERO, Known(None, frozenset({A})), Move(MAIN, ZERO, C)),
        (BRANCH, C, ZERO, Known(A, frozenset({ZERO})), Move(BRANCH, ZERO, C)),
        # Nothing is known: what is here, or continues it, may be there.
        (MAIN, B, A, Known(), Move(MAIN, A, B)),
        (APPLIED, B, A, Known(), Move(APPLIED, A, B)),
        (MAIN, A, B, Known(), Why.REWRITTEN_HERE),
        (MAIN, A, ALIEN, Known(), Why.MOVED_THERE),
        (TAG, A, B, Known(), Why.MOVED_THERE),
        # Somebody else was there.
        (MAIN, B, ALIEN, Known(A), Why.MOVED_THERE),
        (MAIN, C, A, Known(B), Why.MOVED_THERE),
        (MAIN, C, B, Known(A), Why.MOVED_THERE),
        (MAIN, B, ZERO, Known(B), Why.DELETED_THERE),
        (TAG, ZERO, A, Known(), Why.ADDED_THERE),
        (CAPTURED + "x", ZERO, A, Known(), Why.ADDED_THERE),
        (BRANCH, ZERO, ALIEN, Known(A), Why.MOVED_THERE),
        # What is here has been damaged: the mirror keeps the better copy.
        (MAIN, A, B, Known(B), Why.REWRITTEN_HERE),
        (AUDIT, ZERO, A, Known(A), Why.LOST_HERE),
        (TAG, B, A, Known(A), Why.CHANGED_HERE),
        (WITHDRAWN, ZERO, A, Known(A), Why.LOST_HERE),
        # A person has seen it and said yes, to that and nothing else.
        (MAIN, B, ALIEN, Known(A, permitted=ALIEN), Move(MAIN, ALIEN, B)),
        (MAIN, B, C, Known(A, permitted=ALIEN), Why.MOVED_THERE),
        (MAIN, B, ZERO, Known(A, permitted=ZERO), Move(MAIN, ZERO, B)),
        (TAG, ZERO, ALIEN, Known(permitted=ALIEN), Move(TAG, ALIEN, ZERO)),
    ],
)
def test_each_ref_is_decided(ref: str, here: str, there: str, known: Known, expected: Move | Why) -> None:
    ours, theirs = ({ref: one} if one != ZERO else {} for one in (here, there))
    found = plan(ours, theirs, {ref: known})
    if isinstance(expected, Move):
        assert (found.moves, found.conflicts) == ((expected,), ())
    else:
        assert found.moves == ()
        assert [(c.ref, c.theirs, c.ours, c.why) for c in found.conflicts] == [(ref, there, here, expected)]


def test_refs_of_others_are_left_alone() -> None:
    found = plan({MAIN: A}, {MAIN: A, "refs/heads/theirs": ALIEN, "refs/pull/1/head": B}, {MAIN: Known(A)})
    assert found == Plan(holds={MAIN: A}, extra=("refs/heads/theirs", "refs/pull/1/head"))


def test_one_conflict_stops_everything() -> None:
    found = plan({MAIN: B, TAG: C}, {MAIN: ALIEN}, {MAIN: Known(A)})
    assert found.moves == ()
    assert [c.ref for c in found.conflicts] == [MAIN]


OBJECTS = st.sampled_from([A, B, C, ALIEN])
REFS = st.sampled_from([MAIN, AUDIT, APPLIED, TAG, BRANCH, WITHDRAWN, CAPTURED + "backups/1"])
MAPS = st.dictionaries(REFS, OBJECTS)
KNOWN = st.dictionaries(
    REFS, st.builds(Known, st.none() | OBJECTS, st.frozensets(OBJECTS | st.just(ZERO), max_size=2), st.none())
)


@given(MAPS, MAPS, KNOWN)
def test_nothing_is_overwritten_that_this_guard_did_not_put_there(
    ours: dict[str, str], theirs: dict[str, str], known: dict[str, Known]
) -> None:
    for move in plan(ours, theirs, known).moves:
        assert move.old == theirs.get(move.ref, ZERO)
        assert move.new == ours.get(move.ref, ZERO) != move.old
        of_ours = known.get(move.ref, Known())
        if move.old == ZERO:
            assert of_ours.held is None or ZERO in of_ours.sent
        elif of_ours == Known():
            assert move.old != ALIEN
        else:
            assert move.old in {of_ours.held, *of_ours.sent}


@given(MAPS, MAPS, KNOWN)
def test_history_and_tags_are_never_lost_on_a_mirror(
    ours: dict[str, str], theirs: dict[str, str], known: dict[str, Known]
) -> None:
    for move in plan(ours, theirs, known).moves:
        if kind_of(move.ref) is Kind.FIXED:
            assert move.old == ZERO
        if kind_of(move.ref) is Kind.GROWING:
            assert move.old == ZERO or (move.new != ZERO and LINE.continues(move.old, move.new))


@given(MAPS, MAPS, KNOWN)
def test_after_its_moves_a_mirror_is_in_sync(
    ours: dict[str, str], theirs: dict[str, str], known: dict[str, Known]
) -> None:
    found = plan(ours, theirs, known)
    if found.conflicts:
        return
    then = {r: o for r, o in {**theirs, **{m.ref: m.new for m in found.moves}}.items() if o != ZERO}
    assert {r: o for r, o in then.items() if r not in found.extra} == ours
    assert plan(ours, then, {r: Known(o) for r, o in ours.items()}).moves == ()


@given(MAPS, MAPS, KNOWN, st.data())
def test_an_interrupted_push_is_never_taken_for_somebody_else(
    ours: dict[str, str], theirs: dict[str, str], known: dict[str, Known], data: st.DataObject
) -> None:
    """Whatever part of a push arrived, the next look finds only what was sent, or what was there before."""
    sent = plan(ours, theirs, known)
    if sent.conflicts:
        return
    noted = {ref: replace(known.get(ref, Known()), held=held) for ref, held in sent.holds.items()}
    noted = {**known, **noted}
    for move in sent.moves:
        one = noted.get(move.ref, Known())
        noted[move.ref] = replace(one, sent=one.sent | {move.new})
    arrived = data.draw(st.sets(st.sampled_from(sent.moves))) if sent.moves else set()
    there = {r: o for r, o in {**theirs, **{m.ref: m.new for m in arrived}}.items() if o != ZERO}
    again = plan(ours, there, noted)
    assert again.conflicts == ()
    assert {m.ref for m in again.moves} == {m.ref for m in sent.moves if m not in arrived}


@given(MAPS, KNOWN)
def test_what_is_missing_is_what_is_moved_on_top_of_what_was_held(
    ours: dict[str, str], known: dict[str, Known]
) -> None:
    held = {r: k.held for r, k in known.items() if k.held is not None}
    found = plan(ours, held, known)
    lacks = set(missing(ours, known))
    assert {c.ref for c in found.conflicts} <= lacks
    assert found.conflicts or {m.ref for m in found.moves} == lacks


def test_what_another_process_sent_meanwhile_is_known() -> None:
    before, after = {MAIN: Known(A), TAG: Known(C)}, {MAIN: Known(B), TAG: Known(C), BRANCH: Known(A)}
    known = either(before, after)
    assert known[TAG] == Known(C)
    for there in (A, B):
        assert plan({MAIN: C}, {MAIN: there}, {MAIN: known[MAIN]}).conflicts == ()
    assert plan({BRANCH: A}, {}, {BRANCH: known[BRANCH]}).conflicts == ()


@given(st.lists(REFS, unique=True), st.integers(1, 3))
def test_batches_are_whole_and_end_with_main_and_audit(refs: list[str], most: int) -> None:
    moves = [Move(ref, ZERO, A) for ref in refs]
    parts = batches(moves, most)
    assert all(0 < len(part) <= most for part in parts)
    flat = [move for part in parts for move in part]
    assert sorted(flat, key=by_ref) == sorted(moves, key=by_ref)
    kinds = [kind_of(move.ref) is Kind.GROWING for move in flat]
    assert kinds == sorted(kinds)


def by_ref(move: Move) -> str:
    return move.ref


def test_what_goes_out() -> None:
    names: Iterable[str] = (MAIN, TAG, AUDIT, BRANCH, WITHDRAWN, "refs/remotes/upstream/main")
    assert all(map(goes_out, names))
    assert not goes_out("refs/stateguard/candidate/3")
    assert captured_name("refs/stateguard/backups/3") == "refs/captured/stateguard/backups/3"
