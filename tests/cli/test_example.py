"""``stateguard example`` and the places where ``stateguard demo`` does not play."""

from pathlib import Path

from driving import Driver, git, sh


def test_the_example_is_copied_valid_and_broken_on_purpose(tmp_path: Path) -> None:
    driver, copy = Driver(tmp_path), tmp_path / "copy"
    document = driver.ask("example", copy)
    assert len(set(document["ports"])) == 6
    assert driver.ask("validate", copy)["valid"]
    for name in document["scenarios"]:
        place = tmp_path / name
        driver.must("example", place)
        sh("git", "init", "-q", place)
        sh("git", "add", "-A", cwd=place)
        told = driver.ask("example", place, "--scenario", name)
        assert git(place, "diff", "--name-only").splitlines() == told["changed"]
        assert driver.ask("validate", place)["valid"], "a scenario is valid: only the running system shows its fault"
        driver.refused("example", place, "--scenario", name, status=1)
    driver.refused("example", copy, status=1)
    driver.refused("example", copy, "--scenario", "nothing", status=15)


def test_the_demo_leaves_a_directory_of_somebody_else_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine\n")
    error = Driver(tmp_path).refused("demo", tmp_path, status=1)
    assert "is not empty" in error["message"]
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
