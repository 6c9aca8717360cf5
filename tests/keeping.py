"""A guard home that was made and lived in before: two baselines, an incident, no guard, no agents running."""

from __future__ import annotations

import tarfile
from pathlib import Path

from driving import Driver
from stateguard.guard.upgrade import upgrade
from stateguard.host.home import Home

HOMES = Path(__file__).resolve().parent / "upgrade"


def unpacked(root: Path, name: str = "home-v1.tar.gz") -> Driver:
    """Return the home as it was packed, of whatever version it is."""
    with tarfile.open(HOMES / name) as archive:
        archive.extractall(root, filter="tar")
    return Driver(root)


def kept_home(root: Path) -> Driver:
    """Return the home in this version: making one anew costs a hundred times as much."""
    driver = unpacked(root)
    upgrade(Home(driver.home), lambda _: None)
    return driver
