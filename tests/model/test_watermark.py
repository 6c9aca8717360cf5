from __future__ import annotations

from dataclasses import replace
from itertools import count, pairwise
from typing import Any

from hypothesis import given, strategies as st

from stateguard.model import watermark
from stateguard.model.tree import blob_id
from stateguard.model.watermark import Force, Mark, Turns

PATH = "conversations/a.jsonl"
A, B = Force("a" * 40, "sha256:a"), Force("b" * 40, "sha256:b")


class World:
    """A file to which lines are added, which is cut, replaced and marked; who wrote each line is known."""

    def __init__(self) -> None:
        self.numbers = count()
        self.lines: list[tuple[bytes, Force]] = []
        self.force = A
        self.marks: list[Mark] = []
        self.blobs: dict[str, bytes] = {}
        self.history: list[list[tuple[bytes, Force]]] = []

    @property
    def content(self) -> bytes:
        return b"".join(line for line, _ in self.lines)

    def write(self, number: int) -> None:
        self.lines += [(b"%d\n" % next(self.numbers), self.force) for _ in range(number)]

    def cut(self, number: int) -> None:
        del self.lines[number:]

    def replace(self, number: int) -> None:
        self.lines.clear()
        self.write(number)

    def put_back(self, which: int) -> None:
        """Make the file what it was at an earlier mark, as a rollback of conversations does."""
        if self.marks:
            content = self.blobs[self.marks[which % len(self.marks)].digest]
            known = {line: force for mark in self.history for line, force in mark}
            self.lines = [(line, known[line]) for line in content.splitlines(keepends=True)]

    def mark(self, operation: int | None = None) -> None:
        """Do what the watermarks of a capture do, with a list for the table."""
        content = self.content
        self.history.append(list(self.lines))
        fresh = watermark.first(PATH, content, self.force, "t", operation)
        self.blobs[fresh.digest] = content
        if self.marks and self.marks[-1].digest == fresh.digest:
            return
        ends = {mark.generation: mark for mark in self.marks}
        mark = watermark.placed(fresh, content, [*reversed(ends.values())], self.blobs.get)
        stretched = bool(self.marks) and watermark.stretches(self.marks[-1], mark)
        self.marks[len(self.marks) - stretched :] = [mark]


small = st.integers(0, 4)
deeds: Any = st.one_of(
    st.tuples(st.just("write"), small),
    st.tuples(st.just("cut"), small),
    st.tuples(st.just("replace"), small),
    st.tuples(st.just("put_back"), small),
    st.tuples(st.just("change"), small),
    st.tuples(st.just("mark"), small),
)


@given(st.lists(deeds, max_size=25))
def test_every_line_is_put_down_to_what_was_in_force(story: list[tuple[str, int]]) -> None:
    world = World()
    for what, number in story:
        if what == "change":
            world.mark(operation=number)  # a transition marks first, and everything that follows is under another
            world.force = B if world.force == A else A
        elif what == "mark":
            world.mark()
        else:
            if what in ("cut", "replace", "put_back"):
                world.mark()  # lines that nobody saw before they were cut away say nothing
            getattr(world, what)(number)
    world.mark()
    found = watermark.turns(world.marks)
    said = [turn.force for turn in found for _ in range(turn.from_line, turn.to_line + 1)]
    assert said == [force for _, force in world.lines]
    assert [t.from_line for t in found] == [1, *(t.to_line + 1 for t in found)][: len(found)]
    assert all(a.force != b.force for a, b in pairwise(found)), "neighbours differ"


@given(st.lists(deeds, max_size=25))
def test_any_marks_cover_each_generation_once(story: list[tuple[str, int]]) -> None:
    world = World()
    for what, number in story:
        if what == "change":
            world.force = B if world.force == A else A
        elif what == "mark":
            world.mark(operation=number or None)
        else:
            getattr(world, what)(number)
    for generation in {mark.generation for mark in world.marks}:
        found = watermark.turns(world.marks, generation)
        end = next(mark for mark in reversed(world.marks) if mark.generation == generation)
        covered = [line for turn in found for line in range(turn.from_line, turn.to_line + 1)]
        assert covered == list(range(1, (end.lines or 0) + 1))


@given(st.binary(max_size=30), st.binary(max_size=30), st.binary(max_size=30))
def test_shared_lines_are_whole_and_equal(start: bytes, one: bytes, other: bytes) -> None:
    a, b = start + one, start + other
    number = watermark.shared_lines(a, b)
    assert a.split(b"\n")[:number] == b.split(b"\n")[:number]
    rest_a, rest_b = a.split(b"\n")[number:], b.split(b"\n")[number:]
    assert len(rest_a) == 1 or len(rest_b) == 1 or rest_a[0] != rest_b[0]


class TestMarks:
    FIRST = watermark.first(PATH, b"1\n2\n", A, "t1", None)

    def test_the_first(self) -> None:
        assert (self.FIRST.lines, self.FIRST.length, self.FIRST.digest) == (2, 4, blob_id(b"1\n2\n"))
        assert watermark.turns([self.FIRST]) == (Turns(1, 1, 2, A, "t1", None),)
        assert watermark.turns([]) == ()

    def test_a_file_goes_on_only_with_the_same_beginning(self) -> None:
        assert watermark.goes_on(self.FIRST, b"1\n2\n3\n")
        assert watermark.goes_on(self.FIRST, b"1\n2\n")
        assert not watermark.goes_on(self.FIRST, b"1\n")
        assert not watermark.goes_on(self.FIRST, b"1\nX\n3\n")

    def test_a_database_has_no_lines_and_always_goes_on(self) -> None:
        mark = watermark.first("conversations/m.db", b"1\n", A, "t1", None)
        assert mark.lines is None
        assert watermark.goes_on(mark, b"")
        assert watermark.turns([mark]) == ()

    def test_marks_of_captures_stretch_and_those_of_transitions_stay(self) -> None:
        longer = b"1\n2\n3\n"
        plain = watermark.placed(watermark.first(PATH, longer, A, "t2", None), longer, [self.FIRST], {}.get)
        assert watermark.stretches(self.FIRST, plain)
        assert not watermark.stretches(self.FIRST, replace(plain, operation=3))
        assert not watermark.stretches(replace(self.FIRST, operation=3), plain)
        assert not watermark.stretches(self.FIRST, replace(plain, force=B))

    def test_what_nothing_of_ours_was_in_force_for_is_said_so(self) -> None:
        document = watermark.turns([replace(self.FIRST, force=Force("", ""))])[0].as_json()
        assert (document["revision"], document["fingerprint"]) == (None, None)

    def test_lines_under_the_same_are_one_turn_and_a_mark_without_lines_adds_none(self) -> None:
        marks = [self.FIRST]
        for number, content in enumerate((b"1\n2\n", b"1\n2\n3\n", b"1\n2\n3\n4\n")):
            force = B if number == 2 else A
            mark = watermark.first(PATH, content, force, f"t{number + 2}", number + 1)
            marks.append(watermark.placed(mark, content, marks, {}.get))
        assert watermark.turns(marks) == (Turns(1, 1, 3, A, "t3", 2), Turns(1, 4, 4, B, "t4", 3))
