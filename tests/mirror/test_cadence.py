from hypothesis import given, strategies as st

from stateguard.mirror.cadence import (
    Pace,
    backoff,
    breaker,
    check_due_seconds,
    failed,
    held_up,
    patience,
    succeeded,
    wait_seconds,
)
from stateguard.model.mirror import Breaker, MirrorSpec
from stateguard.model.moment import Moment

SPEC = MirrorSpec("a", "/x", deadline_seconds=10.0, breaker_failures=3, breaker_pause_seconds=100.0)
NOW = Moment(1000.0, 50.0, "boot")
CHANCE = st.floats(0, 1)


def after(failures: int, chance: float = 1.0) -> Pace:
    pace = Pace()
    for _ in range(failures):
        pace = failed(pace, SPEC, NOW, chance, timed_out=False)
    return pace


@given(st.integers(1, 10_000), CHANCE)
def test_back_off_is_anything_up_to_a_limit_that_doubles(failures: int, chance: float) -> None:
    limit = min(60.0, 2.0 ** min(failures - 1, 30))
    assert 0 <= backoff(failures, chance) <= limit
    assert backoff(failures, 1.0) == limit
    assert backoff(failures, 0.0) == 0


def test_the_breaker_opens_after_its_failures_and_then_lets_one_try_through() -> None:
    assert breaker(Pace(), SPEC, NOW) is Breaker.CLOSED
    assert breaker(after(2), SPEC, NOW) is Breaker.CLOSED
    opened = after(3)
    assert breaker(opened, SPEC, NOW) is Breaker.OPEN
    assert breaker(opened, SPEC, NOW.plus(99)) is Breaker.OPEN
    assert breaker(opened, SPEC, NOW.plus(100)) is Breaker.HALF_OPEN
    again = failed(opened, SPEC, NOW.plus(100), 1.0, timed_out=False)
    assert breaker(again, SPEC, NOW.plus(299)) is Breaker.OPEN
    assert breaker(again, SPEC, NOW.plus(300)) is Breaker.HALF_OPEN
    assert breaker(succeeded(NOW, 60), SPEC, NOW) is Breaker.CLOSED


@given(st.integers(3, 10_000), CHANCE)
def test_an_open_breaker_lasts_half_to_all_of_a_bounded_pause(failures: int, chance: float) -> None:
    pace = failed(Pace(failures=failures - 1), SPEC, NOW, chance, timed_out=False)
    longest = min(900.0, 100.0 * 2.0 ** min(failures - 3, 30))
    assert longest / 2 <= wait_seconds(pace, NOW) <= longest


def test_a_mirror_that_did_not_fail_never_waits() -> None:
    assert wait_seconds(Pace(), NOW) == 0
    assert wait_seconds(succeeded(NOW, 900), NOW) == 0
    assert wait_seconds(held_up(after(2), NOW, 900), NOW) == 0


def test_it_is_looked_at_again_after_its_check_period() -> None:
    assert check_due_seconds(Pace(), NOW) == 0
    assert check_due_seconds(succeeded(NOW, 900), NOW.plus(899)) == 1
    assert check_due_seconds(held_up(Pace(), NOW, 900), NOW.plus(900)) == 0


def test_patience_doubles_with_each_time_out_in_a_row_and_is_bounded() -> None:
    assert [patience(SPEC, n) for n in (0, 1, 2, 30)] == [10, 20, 40, 3600]
    slow = failed(failed(Pace(), SPEC, NOW, 0, timed_out=True), SPEC, NOW, 0, timed_out=True)
    assert (slow.failures, slow.timeouts) == (2, 2)
    assert failed(slow, SPEC, NOW, 0, timed_out=False).timeouts == 0


@given(st.integers(0, 5000))
def test_patience_is_never_less_than_the_deadline(timeouts: int) -> None:
    assert patience(MirrorSpec("a", "/x", deadline_seconds=7200.0), timeouts) == 7200.0


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    pace = after(3)
    set_back = Moment(NOW.wall_seconds - 86400, NOW.boot_seconds + 100, "boot")
    assert wait_seconds(pace, set_back) == 0
