import pytest
from hypothesis import given, strategies as st

from stateguard.text.words import count, joined, seconds, size


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (18, "18 s"),
        (119, "119 s"),
        (120, "2 m"),
        (130, "2 m 10 s"),
        (900, "15 m"),
        (3600, "1 h"),
        (7500, "2 h 5 m"),
        (86400, "1 d"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(value: float, expected: str) -> None:
    assert seconds(value) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(17, "17 B"), (1229, "1.2 KiB"), (5 * 1024**2, "5.0 MiB"), (3650722201, "3.4 GiB"), (2 * 1024**4, "2.0 TiB")],
)
def test_sizes(number: int, expected: str) -> None:
    assert size(number) == expected


def test_counts() -> None:
    assert count(1, "file") == "1 file"
    assert count(3, "file") == "3 files"
    assert count(2, "entry", "entries") == "2 entries"
    assert count(1, "entry", "entries") == "1 entry"


def test_lists() -> None:
    assert joined([]) == ""
    assert joined(("a",)) == "a"
    assert joined(["a", "b"]) == "a and b"
    assert joined(["a", "b", "c"]) == "a, b and c"


@given(st.floats(0, 1e9), st.integers(0, 10**18))
def test_any_number_is_short(value: float, number: int) -> None:
    assert len(seconds(value)) <= 16
    assert len(size(number)) <= 16
