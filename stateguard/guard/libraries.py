"""Libraries that read what strangers push: the least that is let near it, asked at every start."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pygit2

from stateguard.errors import RefusedError

Version = tuple[int, ...]

_NUMBERS = re.compile(r"\d+(?:\.\d+)+")
MEND = "python -m pip install --upgrade stateguard"
"""What brings the libraries that this version needs."""


@dataclass(frozen=True, slots=True)
class Library:
    """One library: how its version is read, the oldest that may be used, and what older ones let happen."""

    name: str
    read: Callable[[], str]
    floor: Version
    reason: str


LIBRARIES = (
    Library(
        "libgit2",
        lambda: pygit2.LIBGIT2_VERSION,
        (1, 7, 2),
        "a crafted path can overwrite memory (CVE-2024-24577)",
    ),
    Library(
        "dulwich",
        lambda: importlib.metadata.version("dulwich"),
        (1, 2, 12),
        "what a repository names can lead out of it (CVE-2026-114098 and others)",
    ),
)


def version_in(text: str) -> Version | None:
    """Return the first version that a text names, or None."""
    found = _NUMBERS.search(text)
    return tuple(int(part) for part in found[0].split(".")) if found else None


def refuse_holes(libraries: Iterable[Library] = LIBRARIES) -> None:
    """Let nothing that a stranger pushed be read by a library with known holes.

    Raises:
        RefusedError: one is too old, or does not say its version.
    """
    for library in libraries:
        said = library.read()
        version = version_in(said)
        if version is None or version < library.floor:
            floor = ".".join(map(str, library.floor))
            message = f"{library.name} {said[:40]} is older than {floor}: {library.reason}"
            raise RefusedError(message, next_step=MEND)
