import pytest
from hypothesis import given, strategies as st

from stateguard.model.moment import Moment, parse_duration, parse_rfc3339, rfc3339

EARLY = Moment(1000.0, 50.0, "a")


def test_within_a_boot_the_boot_clock_decides() -> None:
    set_back = Moment(10.0, 60.0, "a")
    assert set_back.since(EARLY) == 10.0
    assert EARLY.since(set_back) == 0.0
    assert set_back.reached(EARLY.plus(10.0))
    assert not set_back.reached(EARLY.plus(10.1))


def test_across_boots_the_wall_clock_is_left() -> None:
    rebooted = Moment(1100.0, 1.0, "b")
    assert rebooted.since(EARLY) == 100.0
    assert EARLY.since(rebooted) == 0.0
    assert rebooted.reached(EARLY.plus(100.0))
    assert not rebooted.reached(EARLY.plus(101.0))


def test_times_are_rfc_3339() -> None:
    assert Moment(0.5, 1.0, "a").rfc3339() == "1970-01-01T00:00:00.500Z"
    assert rfc3339(1736150400) == "2025-01-06T08:00:00.000Z"
    assert parse_rfc3339("2025-01-06T08:00:00Z") == 1736150400
    assert parse_rfc3339("2025-01-06T09:00:00+01:00") == 1736150400
    assert parse_rfc3339("2025-01-06") == 1736121600


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "12"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"[Ii]nvalid|must be"):
        parse_rfc3339(text)


@given(st.floats(0, 4e9))
def test_a_time_is_read_back_to_the_millisecond(wall: float) -> None:
    assert abs(parse_rfc3339(rfc3339(wall)) - wall) <= 0.001


@given(st.floats(0, 1e9), st.floats(0, 1e6), st.sampled_from(["a", "b"]))
def test_a_due_moment_is_reached_when_its_time_has_passed(boot: float, wait: float, other: str) -> None:
    now = Moment(boot, boot, "a")
    due = now.plus(wait)
    assert due.reached(due)
    assert now.reached(due) is (wait == 0 or boot + wait == boot)
    assert Moment(due.wall_seconds, due.boot_seconds, other).reached(due)
    assert due.since(now) >= 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (30, 30.0),
        (0.5, 0.5),
        (0, 0.0),
        ("30", 30.0),
        ("1.5", 1.5),
        ("30s", 30.0),
        ("500ms", 0.5),
        ("15m", 900.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1h30m", 5400.0),
    ],
)
def test_durations_are_read(value: object, expected: float) -> None:
    assert parse_duration(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *[True, None, [], {}, "", "x", "-1", -1, "1 h", "h", "1y", "30s ", " 30", "1h x", "1e3"],
        *[1e12, 10**400, "9" * 400, float("nan"), float("inf")],
    ],
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="is no duration; write 30, 30s, 15m, 2h or 1h30m"):
        parse_duration(value)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@given(st.text() | st.integers() | st.floats() | st.text(alphabet="0123456789.smhd"))
def test_a_duration_is_never_negative_nor_endless(value: object) -> None:
    try:
        found = parse_duration(value)
    except ValueError:
        found = 0.0
    assert 0 <= found <= 10 * 365 * 86400
