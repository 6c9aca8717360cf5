"""Every scenario of the example ends as its own file says: real agents, a real guard, a real push."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Document, Driver, git
from stateguard.demo.example import copy_example, scenario, scenarios
from stateguard.demo.scenario import ExpectedIncident, Scenario

from .playing import Stage, write_example


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("example")
    driver = Driver(root, write_example(root / "source"))
    playing = Stage(driver)
    try:
        driver.init("--no-baseline").start()
        yield playing
    finally:
        playing.close()
        driver.close()


@pytest.mark.parametrize("name", scenarios())
def test_a_scenario_ends_as_its_file_says(stage: Stage, name: str) -> None:
    driver = stage.driver
    stage.ready()
    before, known = driver.main, driver.ask("incident", "list")["incidents"]
    live = {path: (driver.live / path).read_bytes() for path in tracked(driver)}
    told, pushed = stage.push(name)
    expect = told.expect

    assert pushed.returncode == (1 if expect.push == "rejected" else 0), pushed.stderr
    if expect.reason == "unhealthy":
        assert "(unhealthy: rolled back, incident " in pushed.stderr
    elif expect.reason == "invalid":
        assert "pre-receive hook declined" in pushed.stderr
    if expect.push == "rejected":
        assert all(words in pushed.stderr for words in expect.says), pushed.stderr

    stage.after(told)
    if expect.later == "rollback":
        driver.wait(lambda s: s["revision"] not in (before, driver.head) and not s["incidents"])
    elif expect.later == "told":
        driver.wait(lambda s: s["incidents"])

    status = driver.settled()
    assert {a["running"] for a in status["agents"]} == {status["revision"]}
    if expect.main == "moved":
        assert driver.main == driver.head
    else:
        assert {path: (driver.live / path).read_bytes() for path in live} == live
    if expect.main == "unmoved":
        assert driver.main == before
    if expect.main == "forward_commit":
        assert git(driver.repository, "rev-parse", "main~1") == driver.head
        assert git(driver.repository, "diff", "--stat", before, "main") == ""
    check_incident(driver, stage.opened(known), told)
    if expect.later == "told":
        stage.start_provider()
        driver.wait(lambda s: not s["incidents"])
        assert driver.main == driver.head


def tracked(driver: Driver) -> list[str]:
    """Return the desired paths: what main holds, but for what the running system owns."""
    paths = git(driver.repository, "ls-tree", "-r", "--name-only", "main").splitlines()
    return [path for path in paths if not path.startswith(("conversations/", "performance/"))]


def check_incident(driver: Driver, opened: list[Document], told: Scenario) -> None:
    """Demand one incident as the file describes it, with its report; or none."""
    expect = told.expect
    if expect.incident is None:
        assert opened == []
        return
    assert len(opened) == 1, [i["summary"] for i in opened]
    incident = opened[0]
    shown = ExpectedIncident(type=incident["type"], severity=incident["severity"], state=incident["state"])
    assert shown == expect.incident, incident["summary"]
    assert incident["decision"]["action"] == ("tell" if expect.later == "told" else "rollback")
    assert bool(incident["operations"]) == (expect.later != "told")
    report = git(driver.repository, "show", f"refs/heads/incidents:incidents/{incident['id']:04}.md")
    assert all(words in report for words in expect.says), report


def test_there_are_scenarios_of_every_kind() -> None:
    told = [scenario(name) for name in scenarios()]
    assert len(told) >= 12
    kinds = {(t.expect.push, t.expect.reason, t.expect.later) for t in told}
    assert kinds == {
        ("rejected", "invalid", "none"),
        ("rejected", "unhealthy", "none"),
        ("accepted", "", "rollback"),
        ("accepted", "", "told"),
    }


def test_the_copy_of_the_example_leaves_nothing_of_a_port_behind(tmp_path: Path) -> None:
    ports = copy_example(tmp_path / "copy")
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((tmp_path / "copy").rglob("*.yaml")))
    assert len(set(ports)) == 6
    assert not any(str(port) in text for port in range(9101, 9107))
