"""Every scenario of the example ends as its own file says: real agents, a real guard, a real push."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driving import Driver, git
from stateguard.demo.example import copy_example, play, scenario, scenarios


def test_three_scenarios_break_the_example_in_different_ways() -> None:
    told = [scenario(name) for name in scenarios()]
    assert len(told) >= 3
    assert {(t["expect"]["push"], t["expect"]["later"]) for t in told} == {
        ("rejected", "none"),
        ("accepted", "rollback"),
    }


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("example")
    copy_example(root / "source")
    state = root / "source" / "stateguard.yaml"
    text = state.read_text(encoding="utf-8").replace("confirm_window: 10s", "confirm_window: 20s")
    state.write_text(text.replace("soak: 15m", "soak: 5m"), encoding="utf-8")
    driver = Driver(root, root / "source")
    try:
        yield driver.init("--no-baseline").start()
    finally:
        driver.close()


@pytest.mark.parametrize("name", scenarios())
def test_a_scenario_ends_as_its_file_says(example: Driver, name: str) -> None:
    expect: dict[str, Any] = scenario(name)["expect"]
    example.settled()
    example.sync()
    before, incidents = example.main, example.ask("incident", "list")["incidents"]
    good = {change["path"]: (example.live / change["path"]).read_text() for change in scenario(name)["change"]}
    play(example.work, name)
    example.commit(name)
    pushed = example.push()

    assert pushed.returncode == (1 if expect["push"] == "rejected" else 0), pushed.stderr
    if expect["push"] == "rejected":
        assert f"({expect['reason']}: rolled back, incident " in pushed.stderr
        assert expect["says"] in pushed.stderr
    if expect["later"] == "rollback":
        example.wait(lambda s: s["revision"] not in (before, example.head))
    example.settled()

    if expect["main"] == "unmoved":
        assert example.main == before
    else:
        assert git(example.repository, "rev-parse", "main~1") == example.head
        assert git(example.repository, "diff", "--stat", before, "main") == ""
    assert {path: (example.live / path).read_text() for path in good} == good
    opened = example.ask("incident", "list")["incidents"][: -len(incidents) or None]
    assert [i["state"] for i in opened] == ["RESOLVED"]
    report = git(example.repository, "show", f"refs/heads/incidents:incidents/{opened[0]['id']:04}.md")
    assert expect["says"] in report


def test_the_copy_of_the_example_leaves_nothing_of_a_port_behind(tmp_path: Path) -> None:
    ports = copy_example(tmp_path / "copy")
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((tmp_path / "copy").rglob("*.yaml")))
    assert len(set(ports)) == 6
    assert not any(str(port) in text for port in range(9101, 9107))
