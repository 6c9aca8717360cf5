"""What is in the way of writes: every decision by example and by property."""

from __future__ import annotations

from hypothesis import given, strategies as st

from stateguard.model.ground import Ground, aside_name, cleared, in_the_way
from stateguard.model.transition import PathWrite
from stateguard.model.tree import OBSTACLE, REGULAR, Entry, parents

ONE, TWO = Entry(REGULAR, "1" * 40), Entry(REGULAR, "2" * 40)

paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
contents = st.sampled_from([None, ONE, TWO])
writes = st.builds(PathWrite, paths, st.just(3), st.sampled_from([None, ONE, TWO, OBSTACLE]), contents)
several = st.lists(writes, max_size=6, unique_by=lambda w: w.path)
places = st.frozensets(paths, max_size=5)


@given(several, places, places, st.dictionaries(paths, places, max_size=3))
def test_whatever_is_written_over_is_managed_or_named(
    todo: list[PathWrite], managed: frozenset[str], blocked: frozenset[str], directories: dict[str, frozenset[str]]
) -> None:
    ground = Ground(blocked, directories)
    named = in_the_way(todo, managed.__contains__, ground)
    assert list(named) == sorted(set(named))
    gone = {w.path for w in todo if w.after is None}
    for write in todo:
        if write.path in named:
            continue
        if write.before not in (None, OBSTACLE):
            assert write.path in managed, "a file would be lost"
        if write.before == OBSTACLE:
            assert write.path in directories, "nothing but a directory is ever made way for"
            assert write.after is None or directories[write.path] <= gone, "what lies in it would be lost"
        if write.after is not None:
            for above in parents(write.path):
                assert above not in blocked or above in named or (above in gone and above in managed)


@given(several, places)
def test_on_free_ground_nothing_is_in_the_way(todo: list[PathWrite], managed: frozenset[str]) -> None:
    free = [w for w in todo if w.before is None]
    assert in_the_way(free, managed.__contains__, Ground()) == ()


@given(several)
def test_what_could_not_be_kept_is_never_written_back(todo: list[PathWrite]) -> None:
    done = cleared(todo)
    assert all(w.before != OBSTACLE for w in done)
    assert all(w.before != w.after for w in done)
    assert {w.path for w in todo if w.before not in (OBSTACLE, w.after)} <= {w.path for w in done}


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255), st.data())
def test_a_name_aside_is_free_short_and_beside(name: str, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 10**9))
    first = aside_name(f"deep/{name}", number, lambda _: False)
    found = aside_name(f"deep/{name}", number, lambda other: other == first)
    assert found != first
    for other in (first, found):
        lead, _, last = other.rpartition("/")
        assert lead == "deep"
        assert last != name
        assert len(last.encode()) <= 255


def test_a_directory_gives_way_when_nothing_is_left_in_it() -> None:
    file = PathWrite("d", 3, OBSTACLE, ONE)
    below = PathWrite("d/x", 3, ONE, None)
    ground = Ground(directories={"d": frozenset({"d/x"})})
    assert in_the_way([file], lambda _: True, ground) == ("d",)
    assert in_the_way([file, below], lambda _: True, ground) == ()
    assert in_the_way([file, below], lambda _: False, ground) == ("d/x",)
