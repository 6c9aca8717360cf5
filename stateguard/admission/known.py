"""What directories hold, remembered by object id: what has an id is the same everywhere and for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Row = tuple[bytes, int, str]
"""One entry of a directory: name, mode and object id."""

Key = tuple[str, str]
"""A kind of directory and an object id: what is to be noted depends on both."""

_MOST = 1 << 17


@dataclass(frozen=True, slots=True)
class Summary:
    """How much is in a directory and below it, and where in it are the files that every judgement reads.

    ``paths`` counts files and directories, ``holds`` says whether there is any file. ``noted`` are files in the
    directory itself, ``below`` are names and object ids of the directories in it that hold more of them,
    ``empty`` the object ids of those in it that hold no file at all.
    """

    paths: int
    holds: bool
    noted: tuple[Row, ...]
    below: tuple[tuple[bytes, str], ...]
    empty: frozenset[str]


class Known:
    """Summaries of the trees that were judged lately; may be used from several threads.

    That a directory is known does not say that a repository has it: whoever judges reads what is new to it.
    """

    def __init__(self, most: int = _MOST) -> None:
        """Keep so many at most: more than a tree has directories, or nothing is gained for that tree."""
        self._most = most
        self._kept: dict[Key, Summary] = {}

    def get(self, key: Key) -> Summary | None:
        """Return a summary that was kept, or None."""
        return self._kept.get(key)

    def keep(self, summaries: Mapping[Key, Summary]) -> None:
        """Remember summaries; if they are too many with those from before, those are forgotten."""
        if len(summaries) > self._most:
            return
        if len(self._kept) + sum(key not in self._kept for key in summaries) > self._most:
            self._kept = {}
        self._kept.update(summaries)
