from __future__ import annotations

from hypothesis import given, strategies as st

from stateguard.model.ceiling import Ceiling, beyond

sizes = st.dictionaries(st.sampled_from([f"c/{letter}" for letter in "abcdefgh"]), st.integers(0, 50))
ceilings = st.builds(Ceiling, st.integers(0, 50), st.integers(0, 200), st.integers(1, 8))


@given(sizes, ceilings)
def test_what_is_left_fits_and_nothing_that_fits_was_left_out(found: dict[str, int], ceiling: Ceiling) -> None:
    over = {one.path for one in beyond(found, ceiling, "c")}
    kept = {path: size for path, size in found.items() if path not in over}
    assert over <= set(found)
    assert all(size <= ceiling.file_bytes for size in kept.values())
    assert sum(kept.values()) <= ceiling.total_bytes
    assert len(kept) <= ceiling.files
    largest_first = sorted(
        (path for path in over if found[path] <= ceiling.file_bytes), key=lambda path: (found[path], path)
    )
    if largest_first:
        one_more = kept | {largest_first[0]: found[largest_first[0]]}
        assert sum(one_more.values()) > ceiling.total_bytes or len(one_more) > ceiling.files
        assert max(kept.values(), default=0) <= found[largest_first[0]]


@given(sizes, ceilings)
def test_the_same_files_give_the_same_answer(found: dict[str, int], ceiling: Ceiling) -> None:
    backwards = dict(reversed(found.items()))
    assert beyond(found, ceiling, "c") == beyond(backwards, ceiling, "c")


def test_each_says_which_ceiling() -> None:
    found = {"c/a": 9, "c/b": 3, "c/d": 3, "c/e": 1}
    assert [one.text() for one in beyond(found, Ceiling(8, 100, 100), "c")] == [
        "c/a: 9 bytes, more than max_file_size 8 of section c"
    ]
    total = "the section c holds more than its max_total_size 6, and the largest files are left out first"
    assert [one.text() for one in beyond(found, Ceiling(8, 6, 100), "c")][1:] == [f"c/d: {total}"]
    assert "max_files 2" in beyond(found, Ceiling(8, 100, 2), "c")[1].why
