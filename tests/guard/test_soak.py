"""A state that has soaked becomes a baseline."""

from pathlib import Path

from driving import Driver, git
from tiny import ALPHA, GOOD, write_tiny


def test_a_state_that_has_soaked_is_signed(tmp_path: Path) -> None:
    driver = Driver(tmp_path, write_tiny(tmp_path / "source", confirm="2s", soak="1s"))
    try:
        driver.init("--no-baseline").start()
        assert driver.ask("baseline", "list")["baselines"] == []
        driver.edit(ALPHA, GOOD + "# soak\n")
        driver.commit("Change")
        assert driver.push("-o", "wait=confirmed").returncode == 0
        status = driver.wait(lambda s: s["baseline"])
        baseline = driver.ask("baseline", "list")["baselines"][0]
        assert status["baseline"]["number"] == baseline["number"] == 1
        assert baseline["revision"] == driver.main == git(driver.repository, "rev-parse", "baseline/1^{commit}")
        assert baseline["valid"]
        assert driver.ask("baseline", "verify")["valid"]
        assert driver.newest(kind="baseline")["outcome"] == "succeeded"
    finally:
        driver.close()
