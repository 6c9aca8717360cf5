"""A home without a daemon that each test may damage: a copy of one that was made once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver
from tiny import write_tiny


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("made")
    driver = Driver(root, write_tiny(root / "source"))
    try:
        driver.init("--no-baseline")
        driver.must("agent", "stop", "--all")
        yield driver
    finally:
        driver.close()


@pytest.fixture
def copied(made: Driver, tmp_path: Path) -> Driver:
    """Return a copy of that home with a live directory of its own."""
    driver = Driver(tmp_path)
    shutil.copytree(made.home, driver.home, symlinks=True)
    shutil.copytree(made.live, driver.live)
    settings = driver.home / "guard.yaml"
    settings.write_text(settings.read_text().replace(str(made.live), str(driver.live)))
    (driver.live / ".stateguard.lock").unlink()
    return driver
