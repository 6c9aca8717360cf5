"""A sample of each kind of attack; ``make hostile`` makes all of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hostile import plain
from hostile.__main__ import KINDS
from hostile.kinds import run
from hostile.trees import by_hand


@pytest.mark.parametrize("name", KINDS)
def test_each_comes_out_as_it_must(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    tally = run(kind, kind.sample, 7, tmp_path, lambda: None)
    assert tally.wrong == []
    assert tally.tried > 0


@pytest.mark.parametrize("what", plain.ROWS)
def test_plain_git_takes_some_of_it_and_not_all(what: str, tmp_path: Path) -> None:
    tried, taken = plain.ROWS[what][1](random.Random(what), 40, tmp_path)
    assert tried == 40
    assert 0 < taken < tried


def test_there_are_as_many_made_by_hand_as_promised() -> None:
    assert len(by_hand()) >= 300
