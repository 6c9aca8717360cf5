"""The folders that ship beside the package: ``hooks``, ``templates``, ``example-state``."""

from __future__ import annotations

from pathlib import Path

from stateguard.errors import NotFoundError

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(name: str, package: Path = _PACKAGE) -> Path:
    """Return the folder of that name: from the wheel, else from the checkout that the package lies in.

    Raises:
        NotFoundError: it is in neither place.
    """
    places = (package / "_shipped" / name, package.parent / name)
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        message = f"{name} is neither at {places[0]} nor at {places[1]}"
        raise NotFoundError(message, next_step="install stateguard again")
    return found
