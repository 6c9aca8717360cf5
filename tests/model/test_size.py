from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from stateguard.model.size import parse_size, written_size


@pytest.mark.parametrize(
    ("text", "size"),
    [(0, 0), ("0", 0), (1024, 1024), ("64MiB", 64 << 20), ("64 MiB", 64 << 20), ("64M", 64 << 20), ("1GB", 10**9),
     ("10kB", 10_000), ("1KiB", 1024), ("7B", 7)],
)  # fmt: skip
def test_sizes_are_read(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", [-1, "-1", "", "MiB", "1.5GiB", "1TiB", "64 mib", True, None, 1.0, "9" * 16, 1 << 51])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


@given(st.integers(0, 1 << 50))
def test_what_is_written_is_read_back(size: int) -> None:
    assert parse_size(written_size(size)) == size
