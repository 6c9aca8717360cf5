import pytest

from stateguard.detect.facts import Facts
from stateguard.detect.failure import TELLING, conditions
from stateguard.model.condition import Severity
from stateguard.model.mirror import MirrorSeen, MirrorState


def facts(*seen: MirrorSeen) -> Facts:
    return Facts({}, {}, (), mirrors=seen)


@pytest.mark.parametrize(
    ("state", "since", "expected"),
    [
        (MirrorState.IN_SYNC, 1e6, None),
        (MirrorState.BEHIND, 899.9, None),
        (MirrorState.BEHIND, 900.0, "MIRROR_BEHIND"),
        (MirrorState.DIVERGED, 0.0, "MIRROR_DIVERGED"),
        (MirrorState.TAMPERED, 0.0, "MIRROR_TAMPERED"),
    ],
)
def test_a_mirror_that_is_not_in_sync_is_told_and_never_acted_on(
    state: MirrorState, since: float, expected: str | None
) -> None:
    found = conditions(facts(MirrorSeen("far", state, "connection refused", since, 900.0)))
    assert [(c.type, c.component, c.severity) for c in found] == ([(expected, "far", Severity.LOW)] if expected else [])
    assert all(c.type in TELLING and "connection refused" in c.message for c in found)


def test_each_mirror_is_a_condition_of_its_own() -> None:
    found = conditions(facts(*(MirrorSeen(name, MirrorState.DIVERGED, "", 0.0, 900.0) for name in ("a", "b"))))
    assert [c.component for c in found] == ["a", "b"]
