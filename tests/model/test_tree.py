from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from drifts import drift
from stateguard.model.tree import (
    EXECUTABLE,
    REGULAR,
    SYMLINK,
    Changes,
    Drift,
    DriftKind,
    Entry,
    Nested,
    Overlay,
    Stage,
    below,
    compare,
    parents,
    stage_of,
    summary,
)

MAPS = st.dictionaries(
    st.sampled_from(["a", "b", "c/d", "c/e", "f"]),
    st.builds(Entry, st.sampled_from([REGULAR, EXECUTABLE, SYMLINK]), st.sampled_from(["1", "2"])),
)


def test_changes_are_named() -> None:
    before = {"a": Entry(REGULAR, "1"), "b": Entry(REGULAR, "1"), "c": Entry(REGULAR, "1")}
    after = {"b": Entry(REGULAR, "1"), "c": Entry(EXECUTABLE, "1"), "d": Entry(REGULAR, "1")}
    found = compare(before, after)
    assert found == Changes(added=("d",), changed=("c",), removed=("a",))
    assert found.paths == ("a", "c", "d")
    assert found
    assert not compare(after, after)


@given(MAPS, MAPS)
def test_doing_the_changes_gives_the_other_tree(before: dict[str, Entry], after: dict[str, Entry]) -> None:
    found = compare(before, after)
    made = {path: entry for path, entry in before.items() if path not in found.removed}
    made |= {path: after[path] for path in (*found.added, *found.changed)}
    assert made == after
    assert bool(found) is (before != after)
    back = compare(after, before)
    assert (back.added, back.changed, back.removed) == (found.removed, found.changed, found.added)
    assert found.reversed() == back


@given(MAPS, MAPS)
def test_drift_is_what_is_desired_and_not_so(desired: dict[str, Entry], observed: dict[str, Entry]) -> None:
    found = drift(desired, observed)
    assert [d.path for d in found] == sorted(p for p in desired if observed.get(p) != desired[p])
    assert drift(desired, desired) == ()
    for one in found:
        assert (one.kind is DriftKind.REMOVED) is (one.path not in observed)


def test_kinds_of_drift() -> None:
    desired = {"a": Entry(REGULAR, "1"), "b": Entry(REGULAR, "1"), "c": Entry(REGULAR, "1"), "d": Entry(REGULAR, "1")}
    observed = {
        "b": Entry(EXECUTABLE, "1"),
        "c": Entry(SYMLINK, "1"),
        "d": Entry(EXECUTABLE, "2"),
        "x": Entry(REGULAR, "1"),
    }
    assert drift(desired, observed) == (
        Drift("a", DriftKind.REMOVED),
        Drift("b", DriftKind.MODE),
        Drift("c", DriftKind.CHANGED),
        Drift("d", DriftKind.CHANGED),
    )


@pytest.mark.parametrize(
    ("path", "conversation", "stage"),
    [
        ("agents/a/agent.yaml", False, Stage.SPECIFICATIONS),
        ("agents", False, Stage.SPECIFICATIONS),
        ("agents2/x", False, Stage.CONFIGURATION),
        ("bin/a.py", False, Stage.CONFIGURATION),
        ("agents/a/memory.jsonl", True, Stage.CONVERSATIONS),
    ],
)
def test_stages_of_paths(path: str, conversation: bool, stage: int) -> None:
    assert stage_of(path, conversation=conversation) == stage


def test_parents_come_nearest_first() -> None:
    assert parents("a/b/c") == ("a/b", "a")
    assert parents("a") == ()


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], "no file"),
        (["a"], "1 file"),
        (["a/b"], "1 file in a"),
        (["a/b/c", "a/b/d"], "2 files in a/b"),
        (["a/b/c", "a/d/c", "a/b/e"], "3 files in a"),
        (["a/b/c", "b/b/c"], "2 files"),
        (["a/x/c/1", "a/y/c/2"], "2 files in a"),
        (["a/b/c", "a/d"], "2 files in a"),
        (["a/b", "c"], "2 files"),
    ],
)
def test_summaries(paths: list[str], expected: str) -> None:
    assert summary(paths) == expected


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join), min_size=1))
def test_the_place_of_a_summary_holds_every_path(paths: list[str]) -> None:
    words = summary(paths)
    place = words.partition(" in ")[2]
    assert all(path.startswith(f"{place}/") for path in paths) if place else words.startswith(str(len(paths)))


class Directories(Nested):
    """A map of its own that says what lies below a path by itself."""

    def __init__(self, paths: dict[str, Entry]) -> None:
        self.paths = paths

    def __getitem__(self, path: str) -> Entry:
        return self.paths[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def below(self, path: str) -> Iterator[tuple[str, Entry]]:
        return ((p, e) for p, e in sorted(self.items()) if p == path or p.startswith(f"{path}/"))


@given(MAPS, st.sampled_from(["a", "c", "c/d", "elsewhere"]))
def test_what_lies_below_is_the_same_however_a_map_knows_it(paths: dict[str, Entry], place: str) -> None:
    assert set(below(paths, place)) == set(below(Directories(paths), place))
    assert all(path == place or path.startswith(place + "/") for path in below(paths, place))


ENTRIES = (Entry(REGULAR, "1"), Entry(REGULAR, "2"))


@given(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(ENTRIES)),
    st.dictionaries(st.sampled_from("abcd"), st.none() | st.sampled_from(ENTRIES)),
)
def test_an_overlay_is_the_map_with_its_changes(base: dict[str, Entry], changes: dict[str, Entry | None]) -> None:
    whole = base | changes
    expected = {path: entry for path, entry in whole.items() if entry is not None}
    overlay = Overlay(base, changes, "r")
    assert dict(overlay) == expected
    assert len(overlay) == len(expected)
    assert {path: overlay.get(path) for path in "abcd"} == {path: expected.get(path) for path in "abcd"}
    assert all(base.get(path) != entry for path, entry in overlay.changes.items())
