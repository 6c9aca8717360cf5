"""The settings of one agent: ``config/<name>.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mealplan.flat import FlatError, number, read_flat

if TYPE_CHECKING:
    from pathlib import Path

_OPTIONAL = {
    "think_seconds": "0",
    "memory": "lines",
    "cache_by": "budget",
    "memory_limit_mb": "512",
    "trace_messages": "no",
}
_CHOICES = {"memory": ("lines", "sqlite"), "cache_by": ("budget", "conversation"), "trace_messages": ("no", "yes")}


@dataclass(frozen=True)
class Settings:
    """What the file of an agent says; what it leaves out is as ``_OPTIONAL`` has it."""

    quota: int
    timeout: float
    think_seconds: float
    memory: str
    cache_by: str
    memory_limit_mb: float
    trace: bool


def read_settings(path: Path) -> Settings:
    """Read a file of settings; raises FlatError, which names it, and OSError."""
    values = _OPTIONAL | read_flat(path)
    try:
        return Settings(
            quota=int(number(values, "request_quota")),
            timeout=number(values, "upstream_timeout_seconds"),
            think_seconds=number(values, "think_seconds"),
            memory=_choice(values, "memory"),
            cache_by=_choice(values, "cache_by"),
            memory_limit_mb=number(values, "memory_limit_mb"),
            trace=_choice(values, "trace_messages") == "yes",
        )
    except FlatError as error:
        message = f"{path}: {error}"
        raise FlatError(message) from error


def _choice(values: dict[str, str], key: str) -> str:
    if values[key] not in _CHOICES[key]:
        message = f"{key}: {values[key]!r} is none of {', '.join(_CHOICES[key])}"
        raise FlatError(message)
    return values[key]
