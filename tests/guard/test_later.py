"""Trouble after a change was accepted, and what people do about the guard's freedom to act."""

import pytest

from driving import Driver, git
from tiny import ALPHA, GOOD


@pytest.fixture
def fused(tiny: Driver) -> Driver:
    """Yield a system whose last change fails as soon as somebody makes the file ``lit``."""
    assert tiny.offer(ALPHA, f"{GOOD}fuse\n# after {tiny.main}\n").returncode == 0
    return tiny


def light(driver: Driver) -> None:
    (driver.live / "lit").touch()


def test_a_change_that_fails_within_its_soak_is_taken_back_by_forward_commit(fused: Driver) -> None:
    culprit = fused.main
    light(fused)
    fused.wait(lambda s: s["main"] != culprit and not s["incidents"])
    fused.settled()
    (fused.live / "lit").unlink()
    assert git(fused.repository, "rev-parse", "main~1") == culprit
    assert "fuse" not in (fused.live / ALPHA).read_text()
    back = fused.newest(kind="rollback", outcome="succeeded")
    assert back["actor"] == "guard"
    incident = fused.ask("incident", "show", str(back["incident"]))
    assert incident["state"] == "RESOLVED"
    assert incident["decision"]["action"] == "rollback"
    assert back["operation"] in incident["operations"]
    assert f"incidents/{incident['id']:04}.md" in git(
        fused.repository, "ls-tree", "-r", "--name-only", "refs/heads/incidents"
    )


def test_what_is_armed_propose_waits_for_a_yes(tiny: Driver) -> None:
    tiny.must("arming", "set", "soak", "propose")
    try:
        assert tiny.offer(ALPHA, GOOD + "fuse two\n").returncode == 0
        light(tiny)
        status = tiny.wait(lambda s: s["incidents"])
        assert status["health"] == "UNHEALTHY"
        incident = tiny.ask("incident", "show", str(status["incidents"][0]))
        assert incident["decision"]["action"] == "propose"
        assert tiny.main == tiny.head
        assert tiny.ask("plan", "-1")["recommended"]
        assert "recommended" in tiny.must("plan")
        assert tiny.ask("rollback", "--yes", "--reason", "yes")["outcome"] == "succeeded"
        tiny.settled()
        assert git(tiny.repository, "rev-parse", "main~1") == tiny.head
    finally:
        (tiny.live / "lit").unlink(missing_ok=True)
        tiny.must("arming", "set", "soak", "act")


def test_a_failed_apply_that_is_armed_propose_stays_and_is_proposed(tiny: Driver) -> None:
    tiny.must("arming", "set", "apply", "propose")
    before = tiny.main
    try:
        assert tiny.offer(ALPHA, f"wrong, unseen\n# after {before}\n", "-o", "wait=none").returncode == 0
        status = tiny.wait(lambda s: s["incidents"] and s["revision"] == s["main"] != before and s["conditions"])
        assert status["health"] == "UNHEALTHY"
        assert (tiny.live / ALPHA).read_text().startswith("wrong, unseen")
        failed = tiny.newest(kind="apply")
        incident = tiny.ask("incident", "show", str(failed["incident"]))
        assert (incident["type"], incident["state"], failed["outcome"]) == ("FAILED_APPLY", "OPEN", "failed")
        assert (incident["decision"]["action"], incident["decision"]["trigger"]) == ("propose", "apply")
        entry = next(e for e in tiny.ask("arming", "ledger")["ledger"] if e["incident"] == incident["id"])
        assert entry["would"] == f"go back to the state before {tiny.main[:10]}"
        assert entry["would"] in tiny.must("arming", "ledger")
        assert tiny.ask("rollback", "-1", "--yes", "--reason", "as proposed")["outcome"] == "succeeded"
        tiny.settled()
    finally:
        tiny.must("arming", "set", "apply", "act")


def test_a_push_while_suspended_is_admitted_and_applied_after_resume(tiny: Driver) -> None:
    revision = tiny.status()["revision"]
    tiny.must("suspend", "--reason", "looking")
    try:
        done = tiny.offer(ALPHA, GOOD + "# suspended\n")
        assert done.returncode == 0
        assert "admitted, not applied: stateguard is suspended" in done.stderr
        status = tiny.status()
        assert status["suspended"]
        assert status["main"] == tiny.head == tiny.main
        assert status["revision"] == revision
        assert "suspended" not in (tiny.live / ALPHA).read_text()
        assert "(suspended)" in tiny.must("status")
    finally:
        tiny.must("resume")
    tiny.settled()
    assert (tiny.live / ALPHA).read_text() == GOOD + "# suspended\n"


def test_a_failure_while_suspended_only_enters_the_ledger(fused: Driver) -> None:
    fused.must("suspend")
    known = len(fused.ask("arming", "ledger")["ledger"])
    try:
        light(fused)
        fused.wait(lambda s: s["health"] == "UNHEALTHY" and s["incidents"])
        ledger = fused.ask("arming", "ledger")["ledger"]
        assert len(ledger) > known
        assert "suspended" in ledger[0]["reason"] or "suspended" in ledger[-1]["reason"]
        assert fused.main == fused.head == fused.status()["revision"]
    finally:
        (fused.live / "lit").unlink()
        fused.wait(lambda s: s["health"] == "HEALTHY")
        fused.must("resume")
    assert fused.main == fused.head


def test_a_suspension_can_have_an_end(tiny: Driver) -> None:
    tiny.must("suspend", "--for", "1s")
    assert tiny.status()["suspended"]
    tiny.wait(lambda s: not s["suspended"])


def test_a_commit_named_by_a_person_becomes_a_forward_commit(tiny: Driver) -> None:
    tiny.offer(ALPHA, GOOD + "# one\n")
    one = tiny.main
    tiny.offer(ALPHA, GOOD + "# two\n")
    document = tiny.ask("apply", one, "--reason", "one was nicer")
    assert document["outcome"] == "succeeded"
    assert git(tiny.repository, "rev-parse", "main^{tree}") == git(tiny.repository, "rev-parse", one + "^{tree}")
    assert git(tiny.repository, "rev-parse", "main~1") == tiny.head
    tiny.settled()


def test_a_rollback_that_does_not_help_is_undone(tiny: Driver) -> None:
    """Back to a state that fails now: the validation turns the rollback round, the working state stays."""
    assert tiny.offer(ALPHA, GOOD + "fuse three\n").returncode == 0
    assert tiny.offer(ALPHA, GOOD + "# free of it\n").returncode == 0
    light(tiny)
    try:
        document = tiny.ask("rollback", "-1", "--yes", status=1)
        assert document["outcome"] == "undone"
        assert tiny.main == tiny.head
        assert (tiny.live / ALPHA).read_text() == GOOD + "# free of it\n"
        tiny.settled()
    finally:
        (tiny.live / "lit").unlink()
