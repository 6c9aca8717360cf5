"""Drift as a look at everything finds it, beside which the quick ways are held."""

from __future__ import annotations

from stateguard.model.tree import Drift, PathMap, drift_at


def drift(desired: PathMap, observed: PathMap) -> tuple[Drift, ...]:
    """Return the desired paths that the live directory holds otherwise, sorted by path."""
    found = (drift_at(path, desired[path], observed.get(path)) for path in sorted(desired))
    return tuple(one for one in found if one is not None)
