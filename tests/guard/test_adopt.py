"""An edit of the live directory by hand becomes a commit that people can pull."""

from pathlib import Path

from driving import Driver, git, sh
from tiny import ALPHA, GOOD, write_tiny

HELD = "agents/alpha/prompt.md"


def test_an_emergency_fix_becomes_legal_and_is_pulled(tiny: Driver) -> None:
    fixed = "Edited in the night.\n"
    (tiny.live / HELD).write_text(fixed)
    (tiny.live / "agents/alpha/new.md").write_text("new\n")
    pids, old = {n: a["pid"] for n, a in tiny.agents().items()}, tiny.main
    shown = tiny.ask("adopt", "--dry-run")
    assert shown == {"adopted": [{"path": HELD, "kind": "changed"}], "valid": True, "problems": []}
    assert tiny.main == old
    document = tiny.ask("adopt", "--reason", "outage")
    assert document["adopted"] == shown["adopted"]
    assert document["behind"] == ["alpha"]
    status = tiny.wait(lambda s: s["conditions"])
    assert status["drift"] == []
    assert status["revision"] == status["main"] == tiny.main == document["to"]
    assert status["soak"]["revision"] == tiny.main
    assert {a["name"]: a["running"] for a in status["agents"]} == {"alpha": old, "beta": tiny.main}
    assert [c["type"] for c in status["conditions"]] == ["MIXED_VERSIONS"]
    assert {n: a["pid"] for n, a in tiny.agents().items()} == pids
    entry = tiny.newest(kind="apply")
    assert entry["reason"] == "adopt 1 file in agents/alpha: outage"
    assert entry["actor"].startswith("person:")
    sh("git", "pull", "-q", "--ff-only", cwd=tiny.work)
    assert (tiny.work / HELD).read_text() == fixed
    assert not (tiny.work / "agents/alpha/new.md").exists()
    done = tiny.run("adopt", "agents/alpha/new.md", "--restart")
    assert done.returncode == 0, done.stderr
    assert "A agents/alpha/new.md" in done.stdout
    after = tiny.agents()
    assert after["alpha"]["pid"] != pids["alpha"]
    assert after["alpha"]["running"] == tiny.main
    assert "nothing has drifted" in tiny.refused("adopt", status=1)["message"]
    assert tiny.ask("audit", "verify")["valid"]
    tiny.settled()


def test_what_cannot_be_adopted_is_told_with_the_right_status(tiny: Driver) -> None:
    refs = tiny.refs()
    assert "does not lie in the live directory" in tiny.refused("adopt", "/etc/passwd", status=2)["message"]
    assert tiny.refused("adopt", "config/nothing", status=15)["code"] == "not-found"
    assert "the running system's own" in tiny.refused("adopt", "conversations", status=1)["message"]
    (tiny.live / "agents/beta/agent.yaml").write_text("name: beta\nnonsense: 1\n")
    assert "agents/beta/agent.yaml:2" in tiny.refused("adopt", status=1)["message"]
    shown = tiny.ask("adopt", "--dry-run", status=1)
    assert shown["problems"][0]["path"] == "agents/beta/agent.yaml"
    assert tiny.refs() == refs
    tiny.must("apply")


def test_the_glass_is_broken_while_no_guard_runs(tmp_path: Path) -> None:
    driver = Driver(tmp_path, write_tiny(tmp_path / "source"))
    try:
        driver.init("--no-baseline").start()
        driver.kill()
        (driver.live / ALPHA).write_text(GOOD + "# by hand\n")
        driver.must("suspend", "--reason", "broken glass")
        driver.start()
        assert driver.status()["drift"] == [{"path": ALPHA, "kind": "changed"}]
        driver.kill()
        old = driver.main
        document = driver.ask("adopt", "--reason", "the guard was dead")
        assert document["adopted"] == [{"path": ALPHA, "kind": "changed"}]
        assert git(driver.repository, "rev-parse", "main~1", "refs/stateguard/applied").split() == [old, driver.main]
        driver.must("resume")
        driver.start()
        assert (driver.live / ALPHA).read_text() == GOOD + "# by hand\n"
        assert driver.status()["drift"] == []
    finally:
        driver.close()
