"""The pusher's whole process group killed at some moment: the outcome is the guard's, and nothing hangs."""

import signal
from collections.abc import Iterator

import pytest

from driving import DEADLINE_SECONDS, Driver, git, hook_runs, kill_group
from helpers import eventually
from tiny import ALPHA, GOOD


@pytest.fixture
def faulty(tiny: Driver) -> Iterator[Driver]:
    yield tiny
    tiny.stop()
    tiny.start()


def finished(driver: Driver) -> None:
    """Check that main is live, all is well and no operation is without an outcome."""
    driver.settled()
    assert driver.ask("recover")["reason"] == "nothing was interrupted"
    assert driver.ask("audit", "verify")["valid"]


def test_killed_before_it_was_admitted(tiny: Driver) -> None:
    """The guard stands still, so the hook waits for its verdict when it dies."""
    before = tiny.main
    assert tiny.daemon is not None
    tiny.daemon.send_signal(signal.SIGSTOP)
    tiny.edit(ALPHA, GOOD + "# early\n")
    tiny.commit("Change")
    push = tiny.begin_push()
    eventually(lambda: hook_runs(push, "pre-receive"), DEADLINE_SECONDS)
    kill_group(push)
    tiny.proceed()
    finished(tiny)
    assert tiny.main == before
    assert tiny.push().returncode == 0
    finished(tiny)


@pytest.mark.parametrize("point", ["stage.start:1", "journal.closed:1"])
def test_killed_while_its_change_is_tried(faulty: Driver, point: str) -> None:
    faulty.stop()
    faulty.start(fault=f"{point}:pause")
    faulty.edit(ALPHA, GOOD + f"# {point}\n")
    faulty.commit("Change")
    push = faulty.begin_push("-o", "reason=in a hurry")
    faulty.paused()
    kill_group(push)
    faulty.proceed()
    eventually(lambda: faulty.main == faulty.head, DEADLINE_SECONDS)
    finished(faulty)
    assert (faulty.live / ALPHA).read_text() == GOOD + f"# {point}\n"
    entry = faulty.newest(kind="apply")
    assert (entry["outcome"], entry["reason"]) == ("succeeded", "in a hurry")
    assert faulty.push().returncode == 0


def test_killed_while_its_change_is_taken_back(faulty: Driver) -> None:
    before = faulty.main
    faulty.stop()
    faulty.start(fault="stage.stop:2:pause")
    faulty.edit(ALPHA, "wrong and gone\n")
    faulty.commit("Break")
    push = faulty.begin_push()
    faulty.paused()
    kill_group(push)
    faulty.proceed()
    eventually(lambda: faulty.newest(kind="apply")["outcome"] == "failed", DEADLINE_SECONDS)
    finished(faulty)
    assert faulty.main == before
    assert faulty.newest(kind="rollback")["outcome"] == "succeeded"
    assert git(faulty.repository, "for-each-ref", "refs/stateguard/candidate") == ""


def test_guard_and_client_killed_together(faulty: Driver) -> None:
    before = faulty.main
    faulty.stop()
    faulty.start(fault="stage.configuration:1:pause")
    faulty.edit(ALPHA, GOOD + "# both\n")
    faulty.commit("Change")
    push = faulty.begin_push()
    faulty.paused()
    kill_group(push)
    faulty.kill()
    faulty.start()
    finished(faulty)
    assert faulty.main in (before, faulty.head)


def test_a_client_killed_after_the_answer_changes_nothing(tiny: Driver) -> None:
    tiny.edit(ALPHA, GOOD + "# after\n")
    tiny.commit("Change")
    push = tiny.begin_push()
    eventually(lambda: tiny.main == tiny.head, DEADLINE_SECONDS)
    kill_group(push)
    finished(tiny)
    assert tiny.main == tiny.head
