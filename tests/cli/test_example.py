"""``stateguard example`` and the places where ``stateguard demo`` does not play."""

import shutil
from pathlib import Path

from driving import Driver, git, sh


def test_the_example_is_copied_valid_and_broken_on_purpose(tmp_path: Path) -> None:
    driver, copy = Driver(tmp_path), tmp_path / "copy"
    document = driver.ask("example", copy)
    assert len(set(document["ports"])) == 6
    assert driver.ask("validate", copy)["valid"]
    for name in ("broken-channel", "invalid-configuration", "provider-down"):
        place = tmp_path / name
        shutil.copytree(copy, place)
        sh("git", "init", "-q", place)
        sh("git", "add", "-A", cwd=place)
        told = driver.ask("example", place, "--scenario", name)
        changed = [line[3:] for line in git(place, "status", "--porcelain").splitlines() if line[1] != " "]
        assert changed == told["changed"]
        valid = told["expected"]["reason"] != "invalid"
        assert driver.ask("validate", place, status=0 if valid else 1)["valid"] is valid
        driver.refused("example", place, "--scenario", name, status=1)
    driver.refused("example", copy, status=1)
    error = driver.refused("example", copy, "--scenario", "nothing", status=15)
    assert all(name in error["next"] for name in document["scenarios"])


def test_the_scenarios_are_listed_and_told(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    names = [s["name"] for s in driver.ask("example", "--list")["scenarios"]]
    text = driver.must("example", "--list")
    assert len(names) >= 12
    assert all(f"\n{name} " in text for name in names)
    driver.must("example", tmp_path / "copy")
    told = driver.must("example", tmp_path / "copy", "--scenario", "provider-down")
    assert "\nfirst:    start the provider" in told
    assert "\nthen:     stop the provider\n" in told
    assert "\nexpected: git push is accepted and stays" in told


def test_a_list_takes_nothing_and_a_copy_needs_a_directory(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    driver.refused("example", status=2)
    driver.refused("example", tmp_path / "copy", "--list", status=2)
    driver.refused("example", "--list", "--scenario", "slow", status=2)
    assert list(tmp_path.iterdir()) == []


def test_the_demo_leaves_a_directory_of_somebody_else_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine\n")
    error = Driver(tmp_path).refused("demo", tmp_path, status=1)
    assert "is not empty" in error["message"]
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
