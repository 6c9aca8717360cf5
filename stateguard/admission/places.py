"""What lies where in a tree, looked up by walking down to it."""

from __future__ import annotations

from collections.abc import Collection

from stateguard.admission.names import MAX_PATH_BYTES, shown_path
from stateguard.admission.tree import Place, Reading
from stateguard.model.tree import DIRECTORY


class Places:
    """Answers what a tree holds; ``in`` asks for files alone."""

    def __init__(self, reading: Reading, noted: Collection[str]) -> None:
        """Answer from this tree; ``noted`` are the files in it that are judged by what they are called."""
        self._reading, self.noted = reading, noted
        self._names: dict[str, dict[bytes, tuple[int, str]]] = {}

    def __contains__(self, path: object) -> bool:
        """Say whether there is a file at a path."""
        found = self._find(path) if isinstance(path, str) else None
        return found is not None and not isinstance(found, Place)

    def file(self, path: str) -> tuple[int, str] | None:
        """Return mode and object id of the file at a path; None if there is none."""
        found = self._find(path)
        return None if isinstance(found, Place) else found

    def exists(self, path: str) -> bool:
        """Say whether there is a file, or a directory with one in it, at a path."""
        return self._find(path) is not None

    def directories(self, path: str) -> list[str]:
        """Return the names of the directories in a directory; none if there is no such directory."""
        found = self._find(path)
        listed = self._listed(found) if isinstance(found, Place) else {}
        return [shown_path(name) for name, (mode, _) in listed.items() if mode == DIRECTORY]

    def _find(self, path: str) -> Place | tuple[int, str] | None:
        """Return the directory, or mode and object id of the file, at a path; None if there is nothing."""
        raw = path.encode("utf-8", "surrogatepass")
        found: Place | tuple[int, str] | None = self._reading.root
        for name in raw.split(b"/") if len(raw) <= MAX_PATH_BYTES else (b"",):
            if not isinstance(found, Place):
                return None
            row = self._listed(found).get(name)
            found = found.below(name, row[1]) if row is not None and row[0] == DIRECTORY else row
        return found

    def _listed(self, place: Place) -> dict[bytes, tuple[int, str]]:
        known = self._names.get(place.id)
        if known is None:
            known = {name: (mode, child) for name, mode, child in self._reading.rows(place)}
            self._names[place.id] = known
        return known
