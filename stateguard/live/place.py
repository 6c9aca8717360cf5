"""Which path of the live directory a person means."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def meant(live: Path, text: str, cwd: str, known: Callable[[str], bool]) -> str | None:
    """Return the path below the live directory that a text typed in ``cwd`` means; None if it lies outside.

    An absolute path is that path. Another one is looked for where the person stands, if that is in the live directory,
    and then below the live directory itself; ``known`` says whether there is such a path. Links on the way are
    followed, the last name is not. An empty text stands for the live directory itself.
    """
    if not text or "\0" in text:
        return None
    top, here = os.path.realpath(live), os.path.realpath(cwd or "/")
    inside = here == top or here.startswith(top.rstrip("/") + "/")
    starts = [here, top] if inside and not os.path.isabs(text) else [top]
    tries = [_below(top, os.path.join(start, text)) for start in starts]
    places = [path for path in tries if path is not None]
    return next((path for path in places if known(path)), places[0] if places else None)


def _below(top: str, path: str) -> str | None:
    clean = os.path.normpath(path)
    if os.path.realpath(clean) == top:
        return ""
    whole = os.path.join(os.path.realpath(os.path.dirname(clean)), os.path.basename(clean))
    return os.path.relpath(whole, top) if whole.startswith(top.rstrip("/") + "/") else None
