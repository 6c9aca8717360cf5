"""What an agent finds in its directory when it starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver
from tiny import ALPHA, FILES, write_tiny

AGENT = "bin/agent.sh"
LOOKS = 'ls -A config > "logs/$1.seen"\nexec sleep'


@pytest.fixture
def looking(tmp_path: Path) -> Iterator[Driver]:
    source = write_tiny(tmp_path / "source")
    (source / AGENT).write_text(FILES[AGENT].replace("exec sleep", LOOKS))
    driver = Driver(tmp_path, source)
    try:
        yield driver.init("--no-baseline").start()
    finally:
        driver.close()


def test_it_never_finds_two_versions_of_a_file(looking: Driver) -> None:
    replaced = [ALPHA, *(f"config/{number}.conf" for number in range(30))]
    for text in ("mode = first\n", "mode = second\n"):
        for path in replaced:
            looking.edit(path, text)
        looking.commit(text)
        assert looking.push().returncode == 0
        looking.settled()
    seen = (looking.live / "logs/alpha.seen").read_text().split()
    there = [path.removeprefix("config/") for path in (*replaced, "config/beta.conf", "config/shared.yaml")]
    assert sorted(seen) == sorted(there)
