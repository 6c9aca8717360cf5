"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

MIB = 1024 * 1024

_UNITS = {
    "": 1, "B": 1,
    "K": 1024, "KiB": 1024, "kB": 1000, "KB": 1000,
    "M": MIB, "MiB": MIB, "MB": 1000**2,
    "G": 1024 * MIB, "GiB": 1024 * MIB, "GB": 1000**3,
}  # fmt: skip
_SIZE = re.compile(r"(\d{1,16}) ?([A-Za-z]{0,3})")
_LARGEST_BYTES = 1 << 50


def parse_size(value: object) -> int:
    """Return the bytes of ``1024``, ``"64MiB"``, ``"64M"`` or ``"1 GB"``.

    Raises:
        ValueError: it is none of these, negative, or more than a pebibyte.
    """
    size: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value)) and match[2] in _UNITS:
        size = int(match[1]) * _UNITS[match[2]]
    if size is None or not 0 <= size <= _LARGEST_BYTES:
        msg = f"{value!r} is no size; write 1048576, 64MiB or 1GiB"
        raise ValueError(msg)
    return size


def written_size(size: int) -> str:
    """Return a size as :func:`parse_size` reads it back."""
    return f"{size // MIB}MiB" if size and size % MIB == 0 else str(size)
