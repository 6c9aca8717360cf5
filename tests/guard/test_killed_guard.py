"""The daemon killed with SIGKILL at many points: afterwards exactly the old or the new state, and no agent doubled."""

import subprocess
from pathlib import Path

import pytest

from driving import Driver, end_pushing, git, kill_group, processes_in
from tiny import ALPHA, GOOD, write_tiny

# A sample: `make faults` kills the daemon at hundreds of random moments, and the engine at every point.
PUSH_POINTS = ["journal.planned:1", "live.put:1", "stage.record:1", "journal.closed:1"]
FAILING_POINTS = ["stage.start:2", "stage.record:1"]
ROLLBACK_POINTS = ["live.put:1", "stage.record:1"]


def sound(driver: Driver) -> None:
    """Check that main is live, all is well, two agents run, the chain holds, and nothing is unfinished."""
    status = driver.settled()
    assert status["drift"] == []
    assert status["incidents"] == []
    pids = [a["pid"] for a in status["agents"]]
    assert sorted(processes_in(driver.live)) == sorted(pids)
    assert len(pids) == 2
    assert driver.ask("audit", "verify")["valid"]
    assert driver.ask("recover")["reason"] == "nothing was interrupted"
    assert (driver.live / ALPHA).read_text() == git(driver.repository, "show", f"main:{ALPHA}") + "\n"
    assert git(driver.repository, "rev-parse", "refs/stateguard/applied") == driver.main


def restart(driver: Driver, *, fault: str = "") -> None:
    driver.stop()
    driver.start(fault=fault)


@pytest.mark.parametrize("point", PUSH_POINTS)
def test_a_guard_killed_during_a_push_ends_with_the_old_or_the_new_state(tiny: Driver, point: str) -> None:
    before, new = tiny.main, GOOD + f"# {point}\n"
    restart(tiny, fault=f"{point}:kill")
    tiny.edit(ALPHA, new)
    tiny.commit("Change")
    push = tiny.begin_push()
    tiny.gone()
    tiny.start()
    status, said = end_pushing(push)
    sound(tiny)
    assert "the guard went away; waiting for it" in said
    assert tiny.main in (before, tiny.head), said
    assert (status == 0) == (tiny.main == tiny.head), said


@pytest.mark.parametrize("point", FAILING_POINTS)
def test_a_guard_killed_during_a_push_that_fails_ends_with_the_old_state(tiny: Driver, point: str) -> None:
    before = tiny.main
    restart(tiny, fault=f"{point}:kill")
    tiny.edit(ALPHA, f"wrong {point}\n")
    tiny.commit("Break")
    push = tiny.begin_push()
    tiny.gone()
    tiny.start(health="")
    status, said = end_pushing(push)
    sound(tiny)
    assert status == 1, said
    assert tiny.main == before


@pytest.mark.parametrize("point", ROLLBACK_POINTS)
def test_a_guard_killed_during_a_rollback_ends_with_the_old_or_the_new_state(tiny: Driver, point: str) -> None:
    old = (tiny.live / ALPHA).read_text()
    new = GOOD + f"# to be taken back {point}\n"
    assert tiny.offer(ALPHA, new).returncode == 0
    restart(tiny, fault=f"{point}:kill")
    person = subprocess.Popen(
        tiny.command("rollback", "-1", "--yes"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    tiny.gone()
    tiny.start()
    person.wait(60)
    sound(tiny)
    if not point.startswith("journal.opened"):
        assert (tiny.live / ALPHA).read_text() == old
        assert git(tiny.repository, "rev-parse", "main~1") == tiny.head


def test_a_guard_that_is_stopped_leaves_its_agents_to_the_next(tiny: Driver) -> None:
    before = {n: a["pid"] for n, a in tiny.agents().items()}
    restart(tiny)
    assert {n: a["pid"] for n, a in tiny.agents().items()} == before
    sound(tiny)


def test_what_was_interrupted_is_finished_by_the_next_command_without_a_daemon(tmp_path: Path) -> None:
    driver = Driver(tmp_path, write_tiny(tmp_path / "source"))
    try:
        driver.init("--no-baseline").start(fault="stage.configuration:1:kill")
        driver.edit(ALPHA, GOOD + "# new\n")
        driver.commit("Change")
        push = driver.begin_push()
        driver.gone()
        document = driver.ask("recover")
        assert document["outcome"] == "succeeded"
        assert document["kind"] == "apply"
        assert driver.main == driver.head
        assert (driver.live / ALPHA).read_text() == GOOD + "# new\n"
        kill_group(push)
        driver.start()
        sound(driver)
    finally:
        driver.close()
