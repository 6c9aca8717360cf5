"""Moments that survive a restart, and durations as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_LONGEST_SECONDS = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, in seconds: the wall clock, the boot clock, and which boot that was.

    Within one boot the boot clock decides, so a wall clock that is set back or forward moves no due time;
    across boots only the wall clock is left.
    """

    wall_seconds: float
    boot_seconds: float
    boot_id: str

    def since(self, earlier: Moment) -> float:
        """Return the seconds from an earlier moment to this one, never negative."""
        if self.boot_id == earlier.boot_id:
            return max(0.0, self.boot_seconds - earlier.boot_seconds)
        return max(0.0, self.wall_seconds - earlier.wall_seconds)

    def plus(self, seconds: float) -> Moment:
        """Return the moment that lies so many seconds later."""
        return Moment(self.wall_seconds + seconds, self.boot_seconds + seconds, self.boot_id)

    def reached(self, due: Moment) -> bool:
        """Say whether a due moment has come."""
        if self.boot_id == due.boot_id:
            return self.boot_seconds >= due.boot_seconds
        return self.wall_seconds >= due.wall_seconds

    def rfc3339(self) -> str:
        """Return the wall clock as RFC 3339 UTC with milliseconds."""
        return rfc3339(self.wall_seconds)


def rfc3339(wall_seconds: float) -> str:
    """Return a Unix time in seconds as RFC 3339 UTC with milliseconds."""
    whole = datetime.fromtimestamp(wall_seconds, UTC)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> float:
    """Return the Unix time in seconds of an RFC 3339 text (a date alone means its midnight, UTC).

    Raises:
        ValueError: the text is no such time.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse_duration(value: object) -> float:
    """Return the seconds of ``30``, ``"30"``, ``"30s"``, ``"15m"``, ``"2h"`` or ``"1h30m"``.

    Raises:
        ValueError: it is none of these, or negative, or longer than ten years.
    """
    seconds: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if 0 <= value <= _LONGEST_SECONDS else None
    elif isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        seconds = float(value)
    elif isinstance(value, str) and (parts := _PART.findall(value)) and "".join(n + u for n, u in parts) == value:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds is None or not 0 <= seconds <= _LONGEST_SECONDS:
        msg = f"{value!r} is no duration; write 30, 30s, 15m, 2h or 1h30m"
        raise ValueError(msg)
    return seconds
