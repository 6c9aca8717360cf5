"""A sample of the trials that ``make faults`` runs by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.kind_kill import KIND as KILL
from faults.kinds import Outcome, Result, Trial
from faults.results import Results, scoreboard

DOUBLE = Trial("kill", "apply", ("journal.begun:4:kill", "*:9:kill"))


@pytest.mark.parametrize("trial", [DOUBLE, Trial("kill", "heal", ("live.put:2:kill",))])
def test_a_killed_guard_brings_back_a_whole_state(trial: Trial, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    result = KILL.run(trial, room)
    assert (result.outcome, result.detail, result.hit) == (Outcome.SURVIVED, "", True)


def test_a_trial_is_known_by_its_text() -> None:
    assert Trial.parse(DOUBLE.text) == DOUBLE
    with pytest.raises(ValueError, match="KIND/JOURNEY"):
        Trial.parse("kill/apply")


def test_results_are_gone_on_with_where_they_were_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    results = Results(file)
    results.add(Result(DOUBLE, Outcome.TORN, 0.5, "half"))
    with file.open("a") as stream:
        stream.write('{"kind": "kill", "jour')
    again = Results(file)
    assert again.all == results.all
    assert again.left([DOUBLE, DOUBLE]) == [DOUBLE]
    assert scoreboard(again.all) == [("kill", "1", "1", "0", "1", "0", "0", "0", "0")]
