from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stateguard.errors import NotFoundError
from stateguard.host.home import MARKER, Home, find_home


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATEGUARD_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")


def make(root: Path) -> Path:
    (root / "repo.git").mkdir(parents=True)
    (root / "guard.yaml").write_text("")
    return root


def test_its_directories_are_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o755)
    home.create()
    home.create()
    for directory in (home.root, home.keys, home.trust, home.run, home.logs, home.logs / "agents"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_it_exists_when_it_has_settings_and_a_repository(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with pytest.raises(NotFoundError, match="is no guard home") as refused:
        home.require()
    assert "init" in refused.value.next_step
    make(home.root)
    assert home.require() is home


def test_the_option_comes_first_then_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATEGUARD_HOME", "/from/variable")
    assert find_home("/from/option", tmp_path).root == Path("/from/option")
    assert find_home(None, tmp_path).root == Path("/from/variable")


def test_a_relative_option_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_home("demo").root == tmp_path / "demo"


def test_a_marker_is_searched_for_upwards(tmp_path: Path) -> None:
    (tmp_path / "live" / "agents").mkdir(parents=True)
    (tmp_path / "live" / MARKER).write_text("../home\n")
    found = find_home(None, tmp_path / "live" / "agents").root
    assert found.resolve() == tmp_path / "home"
    (tmp_path / "live" / MARKER).write_text("/elsewhere\n")
    assert find_home(None, tmp_path / "live").root == Path("/elsewhere")


def test_inside_a_home_that_home_is_meant(tmp_path: Path) -> None:
    root = make(tmp_path / "home")
    assert find_home(None, root).root == root
    assert find_home(None, root / "repo.git").root == root


def test_else_it_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_home(None, tmp_path).root == Path("/state/stateguard")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert find_home(None, tmp_path).root == Path.home() / ".local/state/stateguard"
