"""Drift known from hints is the drift that a look at everything finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from drifts import drift
from helpers import eventually
from stateguard.config.sections import PathRules
from stateguard.live.lock import NAME
from stateguard.live.scan import Scanner
from stateguard.live.tracked import Tracked
from stateguard.live.watch import Watcher
from stateguard.model.policy import Policy
from stateguard.model.tree import REGULAR, Drift, Entry, blob_id

RULES = PathRules(Policy(sections=()))
PATHS = ["a", "b/c", "b/d", "b/e/f", "b-/g", "h"]


class Hand:
    """A watch that is told by hand what to say of itself."""

    run: int | None = 1

    def settled(self) -> int | None:
        return self.run

    def hold(self) -> None:
        """Nothing waits: what it says is said by hand."""


def entry(text: str) -> Entry:
    return Entry(REGULAR, blob_id(text.encode()))


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


STATES = st.dictionaries(st.sampled_from(PATHS), st.sampled_from("xy"), max_size=6)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_by_hints_and_by_everything_it_is_the_same(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("live")
    states = [{p: entry(t) for p, t in data.draw(STATES).items()} for _ in range(3)]

    def differing(one: str, other: str) -> list[str]:
        before, after = states[int(one)], states[int(other)]
        return [p for p in {*before, *after} if before.get(p) != after.get(p)]

    tracked, hand = Tracked(lambda: Scanner(root, RULES), differing), Hand()
    tracked.believe(hand)
    for _ in range(data.draw(st.integers(1, 6))):
        number = data.draw(st.integers(0, 2))
        touched = data.draw(st.dictionaries(st.sampled_from(PATHS), st.sampled_from(["x", "y", None]), max_size=3))
        for path, text in touched.items():
            if text is None:
                (root / path).unlink(missing_ok=True)
            else:
                write(root, path, text)
        hints = {path.rsplit("/", 1)[0] if data.draw(st.booleans()) else path for path in touched}
        tracked.touched(frozenset(hints))
        hand.run = data.draw(st.sampled_from([1, 1, 1, 2, None]))
        desired = states[number]
        assert tracked.drift(str(number), desired) == drift(desired, Scanner(root, RULES).observe(desired))
        assert tracked.trusted is (hand.run is not None)


class TestWatched:
    """With the watcher of the kernel's events."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "live"
        root.mkdir()
        (root / NAME).touch()
        for path in PATHS:
            write(root, path, "x")
        return root

    @pytest.fixture
    def tracked(self, root: Path) -> Iterator[Tracked]:
        tracked = Tracked(lambda: Scanner(root, RULES), lambda _one, _other: ())
        watcher = Watcher(root, RULES, tracked.touched)
        watcher.start()
        tracked.believe(watcher)
        yield tracked
        watcher.stop()

    def paths(self, tracked: Tracked) -> list[str]:
        return [one.path for one in tracked.drift("r", {path: entry("x") for path in PATHS})]

    def test_what_was_done_before_the_question_is_in_the_answer(self, root: Path, tracked: Tracked) -> None:
        eventually(lambda: self.paths(tracked) == [] and tracked.trusted)
        for number in range(30):
            write(root, "b/c", f"other {number}")
            assert self.paths(tracked) == ["b/c"]
            write(root, "b/c", "x")
            assert self.paths(tracked) == []

    def test_a_directory_that_goes_takes_everything_below_it(self, root: Path, tracked: Tracked) -> None:
        eventually(lambda: self.paths(tracked) == [] and tracked.trusted)
        (root / "b").rename(root.parent / "elsewhere")
        assert self.paths(tracked) == ["b/c", "b/d", "b/e/f"]
        (root.parent / "elsewhere").rename(root / "b")
        assert self.paths(tracked) == []
        write(root, "b/e/f", "other")
        assert self.paths(tracked) == ["b/e/f"]

    def test_without_the_lock_file_nothing_is_believed(self, root: Path, tracked: Tracked) -> None:
        (root / NAME).unlink()
        write(root, "h", "other")
        assert self.paths(tracked) == ["h"]
        assert not tracked.trusted


def test_a_drift_is_forgotten_with_its_path(tmp_path: Path) -> None:
    write(tmp_path, "a", "x")
    tracked = Tracked(lambda: Scanner(tmp_path, RULES), lambda _one, _other: ["a"])
    tracked.believe(Hand())
    assert [d.path for d in tracked.drift("0", {"a": entry("y")})] == ["a"]
    assert tracked.drift("1", {}) == ()
    found: tuple[Drift, ...] = tracked.drift("0", {"a": entry("y")})
    assert [d.path for d in found] == ["a"]
