"""Somebody else writes what a transition has written, where no agent and no probe takes time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stateguard import faults
from stateguard.guard.compose import read_identity
from transition.journeys import last
from transition.setting import Setting, copied, founded, kill_agents, small_system


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Setting]:
    """Yield a system whose agents have no probes, and take no notice of the file that changes."""
    files = {
        path: text[: text.index("probes:")] if path.endswith("agent.yaml") else text
        for path, text in small_system().items()
    }
    (tmp_path / "template").mkdir()
    home = founded(tmp_path / "template", files)
    setting = Setting(copied(home, tmp_path))
    setting.restart()
    yield setting
    faults.arm(None)
    setting.end()
    kill_agents(read_identity(home))


def test_what_was_written_while_the_guard_was_dead_is_seen(bare: Setting) -> None:
    shared = bare.guard.live / "config/shared.txt"
    before = shared.read_text()
    faults.arm("stage.start:1:cut")
    with pytest.raises(faults.Cut):
        bare.push(bare.commit({"config/shared.txt": "two\n"}))
    faults.arm(None)
    assert shared.read_text() == "two\n"
    shared.write_text("foreign\n")
    bare.restart()
    assert last(bare).outcome == "undone"
    assert "somebody else writes there" in last(bare).result["detail"]["message"]
    assert shared.read_text() == before


def test_without_anybody_else_it_succeeds(bare: Setting) -> None:
    assert bare.push(bare.commit({"config/shared.txt": "two\n"})).accepted
    assert (bare.guard.live / "config/shared.txt").read_text() == "two\n"
