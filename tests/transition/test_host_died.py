"""The host dies in the midst of a transition: its agents are gone too, and what goes on has to bring them back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stateguard import faults
from transition.journeys import JOURNEYS, check
from transition.setting import Setting, kill_agents


@pytest.mark.parametrize(
    "point",
    [
        "live.put:1",
        "stage.start:1",
        "stage.channels:1",
        "stage.validate:1",
        "journal.begun:8",
        "stage.record:1",
        "journal.close:1",
    ],
)
@pytest.mark.parametrize("kind", sorted(JOURNEYS))
def test_what_was_interrupted_goes_on_with_agents_that_are_started_again(
    kind: str, point: str, copies: Callable[[], Setting]
) -> None:
    journey = JOURNEYS[kind](copies())
    faults.arm(f"{point}:cut")
    with pytest.raises(faults.Cut):
        journey.begin()
    faults.arm(None)
    identity = journey.setting.guard.identity
    journey.setting.end()
    kill_agents(identity)
    journey.setting.restart()
    assert check(journey) == ("old" if kind == "failing" else "new")
