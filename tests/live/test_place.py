"""Which path of the live directory a person means."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from stateguard.live.place import meant


@pytest.fixture
def live(tmp_path: Path) -> Path:
    place = tmp_path / "live"
    for path in ("config/a.conf", "config/config/b.conf", "a.conf"):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "door").symlink_to(place)
    (place / "out").symlink_to(tmp_path / "other")
    (place / "in").symlink_to("config")
    return place


@pytest.mark.parametrize(
    ("text", "cwd", "expected"),
    [
        ("config/a.conf", "", "config/a.conf"),
        ("config/a.conf", "other", "config/a.conf"),
        ("./config//a.conf/", "", "config/a.conf"),
        ("a.conf", "live/config", "config/a.conf"),
        ("a.conf", "live", "a.conf"),
        ("config/b.conf", "live/config", "config/config/b.conf"),
        ("config/a.conf", "live/config", "config/a.conf"),
        ("../a.conf", "live/config", "a.conf"),
        (".", "live/config", "config"),
        (".", "other", ""),
        (".", "live", ""),
        ("nowhere", "live/config", "config/nowhere"),
        ("{root}/live/config", "other", "config"),
        ("{root}/door/config", "other", "config"),
        ("{root}/door", "other", ""),
        ("in/a.conf", "", "config/a.conf"),
        ("in", "", "in"),
        ("out", "", "out"),
        ("out/x", "", None),
        ("..", "live", None),
        ("../other", "", None),
        ("{root}/other", "live", None),
        ("{root}/live-not", "live", None),
        ("/", "live", None),
        ("", "live", None),
        ("a\0b", "live", None),
    ],
)
def test_a_path_is_understood(live: Path, text: str, cwd: str, expected: str | None) -> None:
    root = str(live.parent)
    found = meant(live, text.replace("{root}", root), f"{root}/{cwd}" if cwd else "", lambda p: (live / p).exists())
    assert found == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "config", "out", "in", "a.conf", "", "~"]), max_size=6), st.booleans())
def test_nothing_outside_is_ever_meant(live: Path, parts: list[str], absolute: bool) -> None:
    text = "/".join(([str(live)] if absolute else []) + parts)
    found = meant(live, text, str(live / "config"), lambda p: (live / p).exists())
    if found is not None:
        place = live / found
        assert place.parent.resolve().joinpath(place.name).is_relative_to(live.parent)
        assert ".." not in found.split("/")
        assert place == live or place.parent.resolve().is_relative_to(live)
