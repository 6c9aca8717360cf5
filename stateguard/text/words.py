"""Durations, sizes and plurals as people read them."""

from __future__ import annotations

_MINUTE = 60
_HOUR = 3600
_DAY = 86400
_KIB = 1024


def seconds(value: float) -> str:
    """Return seconds in words: ``0.4 s``, ``18 s``, ``15 m``, ``2 h 5 m``."""
    if value < 10:  # noqa: PLR2004 - below ten seconds a digit more tells something
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    return _two(whole, _DAY, "d", _HOUR, "h")


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 file``, ``3 files``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def size(number: int) -> str:
    """Return bytes in words: ``17 B``, ``1.2 KiB``, ``3.4 GiB``."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIB:
            return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KIB
    return f"{value:.1f} TiB"


def joined(words: list[str] | tuple[str, ...]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    if len(words) <= 1:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
