"""What has left its agent's session is ended with it: no second version stays at work."""

from __future__ import annotations

import os
import subprocess

import pytest

from agents.setting import Setting, shell
from helpers import eventually
from stateguard.agents.ending import end, remains
from stateguard.agents.process import ProcessRuntime
from stateguard.host.process import ProcessIdentity, identify
from stateguard.model.agent import StopPolicy

WORKS = "echo $$ > stray.tmp; mv stray.tmp stray; while :; do sleep 600; done"
DIES = "until [ -e stray ]; do sleep 0.01; done; exit 1"  # not before it has left: the rest of a group dies with it
LEAVES = f"setsid sh -c 'trap {{trap}} TERM; {WORKS}' & {{then}}"


def stray(setting: Setting) -> int:
    """Return the process that has left, once it has said so."""
    eventually((setting.live / "stray").exists)
    pid = int((setting.live / "stray").read_text())
    assert os.getsid(pid) == pid
    return pid


@pytest.mark.parametrize("trap", ["exit", ":"], ids=["obeys", "ignores TERM"])
def test_a_process_that_left_its_agent_is_ended_with_it(runtime: ProcessRuntime, setting: Setting, trap: str) -> None:
    runtime.start(shell("a", LEAVES.format(trap=trap, then="wait"), grace_seconds=0.3), "r1")
    runtime.start(shell("b", "exec sleep 600"), "r1")
    pid = stray(setting)
    assert runtime.stop("a")
    assert identify(pid) is None
    assert runtime.statuses()["b"].pid, "what belongs to another agent stays"


def test_what_a_dead_agent_left_behind_is_ended_when_it_is_stopped(runtime: ProcessRuntime, setting: Setting) -> None:
    runtime.start(shell("a", LEAVES.format(trap="exit", then=DIES), grace_seconds=0.3), "r1")
    pid = stray(setting)
    eventually(lambda: runtime.statuses()["a"].exits)
    assert identify(pid)
    assert runtime.stop("a")
    assert identify(pid) is None


def test_a_stranger_that_got_the_number_of_a_dead_agent_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        try:
            identity = identify(stranger.pid)
            assert identity
            dead = ProcessIdentity(stranger.pid, identity.began_ticks - 1)
            assert not remains(dead)
            assert end(dead, StopPolicy(grace_period_seconds=0.1))
            assert identify(stranger.pid) == identity
        finally:
            stranger.kill()
