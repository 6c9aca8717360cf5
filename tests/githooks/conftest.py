"""A tiny system under a running guard, one for each module; every test finds it well and the clone fresh."""

from collections.abc import Iterator

import pytest

from driving import Driver
from tiny import write_tiny


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("shared")
    driver = Driver(root, write_tiny(root / "source"))
    try:
        yield driver.init("--no-baseline").start()
    finally:
        driver.close()


@pytest.fixture
def tiny(shared: Driver) -> Driver:
    shared.settled()
    shared.sync()
    return shared
