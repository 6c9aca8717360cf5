"""Homes for the command line: a running guard for each module, and one without a daemon for whoever breaks it."""

from collections.abc import Iterator

import pytest

from driving import Driver
from tiny import ALPHA, GOOD, write_tiny


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Yield a guard with two baselines, a good push between them and a bad one after them."""
    root = tmp_path_factory.mktemp("shared")
    driver = Driver(root, write_tiny(root / "source"))
    try:
        driver.init("--no-baseline").start()
        driver.must("baseline", "create")
        assert driver.offer(ALPHA, GOOD + "# second\n").returncode == 0
        driver.must("baseline", "create")
        assert driver.offer(ALPHA, "wrong\n").returncode == 1
        yield driver
    finally:
        driver.close()


@pytest.fixture
def tiny(shared: Driver) -> Driver:
    shared.settled()
    shared.sync()
    return shared


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("unguarded")
    driver = Driver(root, write_tiny(root / "source"))
    try:
        driver.init("--no-baseline")
        driver.must("baseline", "create", "--force")
        yield driver
    finally:
        driver.close()


@pytest.fixture
def home(unguarded: Driver) -> Driver:
    """Return a home without a daemon, with baseline/1; who damages it mends it."""
    unguarded.sync()
    return unguarded
