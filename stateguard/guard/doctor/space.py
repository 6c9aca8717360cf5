"""Space on the disks, and the reserve."""

from __future__ import annotations

from collections.abc import Iterator

from stateguard.guard.doctor.finding import Finding, Mending, Subject, note, ok, problem, warning
from stateguard.host.home import Home
from stateguard.host.space import Space, keep_reserve, reserve_gone, reserved_bytes, space_at
from stateguard.model.size import MIB
from stateguard.state.upkeep import extent, occupied_bytes
from stateguard.text.words import size

_LEAST_BYTES, _ENOUGH_BYTES = 100 * MIB, 1024 * MIB
_MANY_LOOSE, _MANY_PACKS = 20_000, 1000
_LEAST_INODES, _ENOUGH_INODES = 1000, 20000


def space(subject: Subject) -> Iterator[Finding]:
    """Look how much is left where the home and the live directory lie."""
    if subject.home is None:
        return
    seen: set[int] = set()
    for place in (subject.home.root, subject.live):
        if place is None or not place.is_dir():
            continue
        left = space_at(place)
        if left.device not in seen:
            seen.add(left.device)
            yield judge(str(place), left)


def judge(place: str, left: Space) -> Finding:
    """Judge the space that is left in one place."""
    message = f"{size(left.free_bytes)} of {size(left.total_bytes)} free at {place}"
    counted = left.total_inodes > 0
    if left.free_bytes < _LEAST_BYTES or (counted and left.free_inodes < _LEAST_INODES):
        inodes = f", {left.free_inodes} inodes" if counted else ""
        return problem("space", f"{message}{inodes}: pushes and rollbacks may fail", f"df -h {place}; df -i {place}")
    if left.free_bytes < _ENOUGH_BYTES or (counted and left.free_inodes < _ENOUGH_INODES):
        return warning("space", f"{message}: it will not last", f"df -h {place}; df -i {place}")
    return ok("space", message)


def reserve(subject: Subject) -> Iterator[Finding]:
    """Look whether as much is set aside as guard.yaml says."""
    if subject.home is None or subject.settings is None:
        return
    wanted, path = subject.settings.reserve_bytes, subject.home.reserve
    held = reserved_bytes(path)
    if wanted == 0:
        mend = f"set reserve: 64MiB in {subject.home.settings}"
        yield note("reserve", "no disk is set aside; a full one can keep a rollback from being written down", mend)
    elif held >= wanted:
        yield ok("reserve", f"{size(held)} of disk are set aside")
    else:
        message = f"{reserve_gone(path, wanted)}; a running guard sets it aside when there is room"
        yield warning("reserve", message, "stateguard doctor --fix", _setting_aside(subject.home, wanted))


def _setting_aside(home: Home, wanted: int) -> Mending:
    return lambda: keep_reserve(home.reserve, wanted)


def growth(subject: Subject) -> Iterator[Finding]:
    """Look how large the repositories are and in how many pieces they lie."""
    if subject.home is None:
        return
    for path in (subject.home.repository, subject.home.captured):
        if not (path / "objects").is_dir():
            continue  # another check says so
        found = extent(path)
        message = f"{path.name}: {size(occupied_bytes(path))} in {found.packs} packs and {found.loose} loose objects"
        if found.loose > _MANY_LOOSE or found.packs > _MANY_PACKS:
            mend = "let a guard run, which puts them together; its log says if it cannot"
            yield warning("growth", f"{message}: that makes git slow", mend)
        else:
            yield ok("growth", message)
