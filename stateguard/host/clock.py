"""The only clock."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from stateguard.model.moment import Moment, rfc3339


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


_BOOT = boot_id()


def moment() -> Moment:
    """Return this moment on both clocks."""
    return Moment(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), _BOOT)


def boot_seconds() -> float:
    """Return the seconds since boot, suspended time included; only ever grows."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def thread_seconds() -> float:
    """Return the CPU time that this thread has used, in seconds."""
    return time.thread_time()


def wall_seconds() -> float:
    """Return Unix time in seconds."""
    return time.time()


def now_text() -> str:
    """Return this moment as RFC 3339 UTC."""
    return rfc3339(time.time())


def utc_offset_minutes() -> int:
    """Return the offset of the local time zone, as git commits carry it."""
    offset = datetime.now().astimezone().utcoffset()
    return int(offset.total_seconds() // 60) if offset else 0
