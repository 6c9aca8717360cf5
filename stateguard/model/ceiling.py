"""How much of what the running system owns is kept (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stateguard.model.size import MIB, written_size


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a captured section may hold: bytes in one file, bytes in all, number of files."""

    file_bytes: int = 64 * MIB
    total_bytes: int = 1024 * MIB
    files: int = 10_000


SHIPPED_CEILING = Ceiling()


@dataclass(frozen=True, slots=True)
class Over:
    """A captured file that is not kept, and why."""

    path: str
    why: str

    def text(self) -> str:
        """Return it as one line."""
        return f"{self.path}: {self.why}"


def beyond(sizes: Mapping[str, int], ceiling: Ceiling, section: str) -> tuple[Over, ...]:
    """Return the files of a section that pass its ceilings, sorted by path.

    Beyond a ceiling of the whole section the largest files go first: so the fewest are lost.
    """
    over = {
        path: f"{size} bytes, more than max_file_size {written_size(ceiling.file_bytes)} of section {section}"
        for path, size in sizes.items()
        if size > ceiling.file_bytes
    }
    left = sorted((path for path in sizes if path not in over), key=lambda path: (sizes[path], path))
    total = sum(sizes[path] for path in left)
    while left and (total > ceiling.total_bytes or len(left) > ceiling.files):
        path = left.pop()
        much = total > ceiling.total_bytes
        limit = f"max_total_size {written_size(ceiling.total_bytes)}" if much else f"max_files {ceiling.files}"
        over[path] = f"the section {section} holds more than its {limit}, and the largest files are left out first"
        total -= sizes[path]
    return tuple(Over(path, why) for path, why in sorted(over.items()))
