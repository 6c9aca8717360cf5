"""Who owns a live directory: a file in it names the guard home, and a second guard refuses."""

from __future__ import annotations

import json
from pathlib import Path

from stateguard.errors import LockHeldError, StorageError
from stateguard.host import files

NAME = ".stateguard.lock"


def claim(live: Path, identity: str, home: Path) -> None:
    """Write ourselves into a live directory, unless another guard home that still exists stands there.

    ``identity`` is the id of our guard home.

    Raises:
        LockHeldError: another guard owns it.
        StorageError: it cannot be written.
    """
    path = live / NAME
    owner, where = owner_of(live)
    if owner == identity and where == str(home):
        return
    elsewhere = Path(where, "guard.yaml").is_file() and not (home.exists() and Path(where).samefile(home))
    # Of a home that was copied with the live directory in it, the copy has its own; else two guards would share one.
    own = owner == identity and live.resolve().is_relative_to(home.resolve())
    if owner and elsewhere and not own:
        message = f"the live directory {live} belongs to the guard home {where}"
        raise LockHeldError(message, next_step=f"use that home, or remove {path} if that guard is gone for good")
    try:
        files.replace(path, json.dumps({"owner": identity, "home": str(home)}).encode() + b"\n", 0o644)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise StorageError(message) from error


def release(live: Path, identity: str, home: Path) -> None:
    """Take the lock out of a live directory, if it is that of this guard home and not of a copy of it.

    Raises:
        OSError: it cannot be removed.
    """
    owner, where = owner_of(live)
    if owner == identity and (where == str(home) or (Path(where).exists() and Path(where).samefile(home))):
        (live / NAME).unlink(missing_ok=True)


def owner_of(live: Path) -> tuple[str, str]:
    """Return the id and the path of the guard home that stands in a live directory; empty if none does."""
    try:
        document = json.loads((live / NAME).read_bytes())
        return str(document["owner"]), str(document["home"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""
