"""The files of the scenarios: every one is complete, fits the example, and is strict about what it may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from stateguard.config.problem import InvalidDocument
from stateguard.config.resources import shipped
from stateguard.demo.example import play, scenario, scenarios
from stateguard.demo.scenario import SCENARIO_FILE, Expected, Scenario, read_scenario
from stateguard.errors import NotFoundError, RefusedError

EXAMPLE = shipped("example-state")
GOOD = """\
name: one
summary: Something is wrong.
story: It fails.
change:
  - {path: config/limits.yaml, find: "days: 7", replace: "days: 8"}
expect: {push: rejected, reason: invalid, main: unmoved}
"""


@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_fits_the_example(name: str) -> None:
    told = scenario(name)
    assert told.name == name
    assert "\n" not in told.summary
    assert told.expect.says
    for change in told.change:
        path = EXAMPLE / change.path
        if change.find is None:
            assert not path.exists()
        else:
            assert path.read_text(encoding="utf-8").count(change.find) == 1


def test_every_directory_of_scenarios_is_listed_in_the_readme() -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert [name for name in scenarios() if f"| `{name}` |" not in readme] == []
    assert [d.name for d in (EXAMPLE / "scenarios").iterdir() if not (d / SCENARIO_FILE).is_file()] == []


def read(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / SCENARIO_FILE
    path.write_text(text, encoding="utf-8")
    return read_scenario(path)


def test_a_scenario_is_read_as_it_is_written(tmp_path: Path) -> None:
    told = read(tmp_path, GOOD)
    assert told.change[0].replace == "days: 8"
    assert told.expect == Expected(push="rejected", reason="invalid", main="unmoved")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("story: It fails.", "story: It fails.\ntale: It fails.", "unknown key"),
        ("summary: Something is wrong.\n", "", "summary is missing"),
        (", replace:", ", with:", "unknown key"),
        (', replace: "days: 8"', "", "find and replace, or add"),
        (', replace: "days: 8"', ', replace: "days: 8", add: "x"', "find and replace, or add"),
        ("path: config/limits.yaml", "path: ../limits.yaml", "relative path"),
        ("reason: invalid", "reason: unhealthy", "do not go together"),
        ("main: unmoved", "main: moved", "do not go together"),
        ("main: unmoved", "main: unmoved, later: rollback", "do not go together"),
        ("push: rejected, reason: invalid", "push: accepted", "do not go together"),
        ("push: rejected", "push: perhaps", "must be accepted or rejected"),
        ("main: unmoved", "main: unmoved, incident: {type: X, severity: 5}", "at most 4"),
        ("expect:", "after: [{say: hello, provider: stop}]\nexpect:", "needs say or provider"),
        ("expect:", "after: [{times: 3}]\nexpect:", "needs say or provider"),
    ],
)
def test_what_a_scenario_may_not_say(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(InvalidDocument, match=words):
        read(tmp_path, GOOD.replace(old, new, 1))


def test_a_name_that_is_none_gets_the_list() -> None:
    with pytest.raises(NotFoundError) as error:
        scenario("../bad-later")
    assert all(name in error.value.next_step for name in scenarios())


@pytest.mark.parametrize("name", ["bad-later", "provider-down"])
def test_what_is_no_copy_of_the_example_is_left_alone(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="not as the example has it"):
        play(tmp_path, name)
    assert list(tmp_path.iterdir()) == []
