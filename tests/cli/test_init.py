"""Making a guard home."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver, processes_in
from tiny import ALPHA, GOOD, write_tiny


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path, write_tiny(tmp_path / "source", confirm="2s"))
    try:
        yield driver
    finally:
        driver.close()


def test_a_home_is_made_with_its_first_baseline(fresh: Driver) -> None:
    document = fresh.ask("init", "--from", fresh.source or "", "--live", fresh.live, "--probe-runs", "0")
    assert document["baseline"] == 1
    baseline = fresh.ask("baseline", "list")["baselines"][0]
    assert baseline["revision"] == document["revision"] == fresh.main
    assert baseline["valid"]
    pids = {n: a["pid"] for n, a in fresh.agents().items()}
    assert sorted(processes_in(fresh.live)) == sorted(pids.values())
    fresh.start()
    assert {n: a["pid"] for n, a in fresh.agents().items()} == pids
    for private in ("keys", "trust", "run"):
        assert (fresh.home / private).stat().st_mode & 0o077 == 0
    assert (fresh.home / "keys/guard").stat().st_mode & 0o177 == 0
    assert fresh.refused("init", "--from", fresh.source or "", status=1)["message"].endswith("is a guard home already")


def test_without_a_baseline_nothing_is_watched(fresh: Driver) -> None:
    document = fresh.ask(
        "init", "--from", fresh.source or "", "--live", fresh.live, "--no-baseline", "--probe-runs", "0"
    )
    assert document["baseline"] is None
    assert fresh.ask("baseline", "list")["baselines"] == []
    assert len(fresh.agents()) == 2


def test_an_invalid_state_is_refused_with_lines_and_no_home_is_left(fresh: Driver) -> None:
    source = fresh.source
    assert source
    (source / "agents/alpha/agent.yaml").write_text("name: alpha\nnonsense: 1\n")
    (source / "config/bad.schema.json").write_text("{")
    done = fresh.run("init", "--from", source, "--live", fresh.live)
    assert done.returncode == 1
    assert "agents/alpha/agent.yaml:2" in done.stderr
    assert "Traceback" not in done.stderr
    fresh.refused("status", status=15)
    assert not (fresh.live / "agents").exists()
    write_tiny(source)
    (source / "config/bad.schema.json").unlink()
    fresh.init("--no-baseline")


def test_red_probes_are_1_and_the_home_can_be_used(fresh: Driver) -> None:
    source = fresh.source
    assert source
    (source / ALPHA).write_text("wrong\n")
    error = fresh.refused("init", "--from", source, "--live", fresh.live, status=1)
    assert "judge failed" in error["message"]
    assert error["changed"] == "the home was made and its agents were started"
    fresh.clone()
    fresh.start(health="")
    assert fresh.offer(ALPHA, GOOD).returncode == 0
    fresh.settled()
    assert (fresh.live / ALPHA).read_text() == GOOD


def test_a_live_directory_in_use_keeps_what_it_holds(fresh: Driver) -> None:
    fresh.live.mkdir()
    (fresh.live / "notes.txt").write_text("mine\n")
    (fresh.live / "conversations").mkdir()
    (fresh.live / "conversations/alpha.jsonl").write_text('{"id": "old"}\n')
    fresh.init("--no-baseline")
    assert (fresh.live / "notes.txt").read_text() == "mine\n"
    assert (fresh.live / "conversations/alpha.jsonl").read_text() == '{"id": "old"}\n'
    assert "notes.txt" in fresh.ask("diff", "main", "--live")["unmanaged"]
    assert fresh.status()["drift"] == []


def test_a_live_directory_that_holds_something_else_is_refused(fresh: Driver) -> None:
    (fresh.live / "config").mkdir(parents=True)
    (fresh.live / ALPHA).write_text("somebody's own\n")
    error = fresh.refused("init", "--from", fresh.source or "", "--live", fresh.live, status=1)
    assert f"{ALPHA} is in the way" in error["message"]
    assert f"init --from {fresh.live} --live {fresh.live}" in error["next"]
    assert [p.name for p in fresh.live.rglob("*") if p.is_file()] == ["alpha.conf"]
    fresh.refused("status", status=15)
    (fresh.live / ALPHA).write_text(GOOD)
    fresh.init("--no-baseline")


def test_a_state_without_agents(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "settings.txt").write_text("one\n")
    driver = Driver(tmp_path, source)
    try:
        driver.init().start()
        assert driver.status()["baseline"]["number"] == 1
        assert driver.offer("settings.txt", "two\n").returncode == 0
        assert (driver.live / "settings.txt").read_text() == "two\n"
        assert driver.ask("rollback", "-1", "--yes")["outcome"] == "succeeded"
        assert (driver.live / "settings.txt").read_text() == "one\n"
    finally:
        driver.close()


def test_an_empty_home_is_filled_by_the_first_push(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    try:
        driver.init().start()
        assert driver.agents() == {}
        write_tiny(driver.work)
        (driver.work / "conversations/alpha.jsonl").unlink()
        driver.commit("Two agents")
        done = driver.push()
        assert done.returncode == 0, done.stderr
        assert len(driver.agents()) == 2
        driver.settled()
    finally:
        driver.close()


def test_places_that_cannot_be(fresh: Driver) -> None:
    source = fresh.source
    assert source
    fresh.refused("init", "--from", fresh.root / "nowhere", status=15)
    fresh.refused("init", "--from", source, "--live", fresh.home, status=2)
    (fresh.root / "file").write_text("")
    fresh.refused("init", "--from", fresh.root / "file", status=15)
    assert not fresh.home.exists()
    driver = Driver(fresh.root, source)
    driver.home = fresh.root / "file"
    driver.refused("init", "--from", source, status=12)
