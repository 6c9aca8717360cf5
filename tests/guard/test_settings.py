from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from stateguard.config.host import host_document
from stateguard.guard.settings import Settings
from stateguard.host.home import Home
from stateguard.model.policy import SHIPPED_ARMING, HostSettings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    write(home, 1.0)
    return home


def write(home: Home, cycle: float, changed_at: int | None = None) -> None:
    """Write the settings; ``changed_at`` is the time that their file then shows, in seconds."""
    home.settings.write_text(host_document(HostSettings("live", SHIPPED_ARMING, cycle)), encoding="utf-8")
    if changed_at is not None:
        os.utime(home.settings, (changed_at, changed_at))


def test_a_change_is_seen_at_once_though_the_file_looks_as_before(home: Home) -> None:
    settings = Settings(home)
    for cycle in (2.0, 3.0, 4.0, 5.0, 2.0) * 20:
        write(home, cycle)
        assert settings.now().cycle_seconds == cycle


def test_a_change_is_seen_though_it_claims_to_be_as_old(home: Home) -> None:
    write(home, 1.0, changed_at=1_000_000_000)
    settings = Settings(home)
    for cycle in (2.0, 3.0, 2.0):
        assert settings.now() == settings.now()
        write(home, cycle, changed_at=1_000_000_000)
        assert settings.now().cycle_seconds == cycle


def test_one_that_is_not_valid_leaves_the_last_in_force(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(home)
    with caplog.at_level(logging.WARNING):
        home.settings.write_text("live: [", encoding="utf-8")
        for _ in range(3):
            assert settings.now().cycle_seconds == 1.0
            assert settings.problem
    assert len(caplog.records) == 1, "told once"
    write(home, 2.0)
    assert (settings.now().cycle_seconds, settings.problem) == (2.0, "")


def test_one_that_is_gone_leaves_the_last_in_force(home: Home) -> None:
    settings = Settings(home)
    home.settings.unlink()
    assert settings.now().cycle_seconds == 1.0
    assert "cannot be read" in settings.problem
    write(home, 2.0)
    assert (settings.now().cycle_seconds, settings.problem) == (2.0, "")
