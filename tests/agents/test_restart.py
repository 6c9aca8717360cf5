from __future__ import annotations

from hypothesis import given, strategies as st

from stateguard.agents.restart import FATAL_EXITS, FATAL_WITHIN_SECONDS, after_exit, crashes
from stateguard.model.agent import Restart
from stateguard.model.health import AgentState

POLICIES = st.sampled_from(Restart)
STATUSES = st.none() | st.integers(-64, 255)
GAPS = st.lists(st.floats(0, 1000), max_size=30)


def replay(gaps: list[float], policy: Restart = Restart.ALWAYS) -> list[tuple[float, AgentState, float | None]]:
    """Let an agent exit after each gap."""
    now, exits, seen = 0.0, (), list[tuple[float, AgentState, float | None]]()
    for gap in gaps:
        now += gap
        verdict = after_exit(policy, exits, now, 1)
        exits = verdict.exits
        seen.append((now, verdict.state, verdict.delay_seconds))
    return seen


def test_delays_double_up_to_thirty_seconds() -> None:
    assert [delay for _, _, delay in replay([20.0] * 8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_fifth_exit_within_a_minute_is_fatal() -> None:
    states = [state for _, state, _ in replay([0.0, 1.1, 2.1, 4.1, 8.1])]
    assert states == [AgentState.BACKOFF] * 4 + [AgentState.FATAL]


def test_a_long_quiet_time_begins_anew() -> None:
    assert [delay for _, _, delay in replay([20.0, 20.0, 20.0, 301.0])] == [1, 2, 4, 1]


def test_never_means_never() -> None:
    assert after_exit(Restart.NEVER, (), 0.0, 1).state is AgentState.EXITED


def test_on_failure_lets_a_success_end() -> None:
    assert after_exit(Restart.ON_FAILURE, (), 0.0, 0).state is AgentState.EXITED
    assert after_exit(Restart.ON_FAILURE, (), 0.0, 3).state is AgentState.BACKOFF
    assert after_exit(Restart.ON_FAILURE, (), 0.0, -9).state is AgentState.BACKOFF
    assert after_exit(Restart.ON_FAILURE, (), 0.0, None).state is AgentState.BACKOFF, "nobody knows: a failure"


@given(POLICIES, GAPS, STATUSES)
def test_a_restart_has_a_delay_and_nothing_else_has(policy: Restart, gaps: list[float], status: int | None) -> None:
    now, exits = 0.0, ()
    for gap in gaps:
        now += gap
        verdict = after_exit(policy, exits, now, status)
        exits = verdict.exits
        assert (verdict.delay_seconds is not None) == (verdict.state is AgentState.BACKOFF)
        assert verdict.delay_seconds is None or 1 <= verdict.delay_seconds <= 30
        assert exits[-1] == now
        assert len(exits) <= 6, "what is remembered stays bounded"


@given(GAPS)
def test_fatal_exactly_when_too_many_exits_fall_within_a_minute(gaps: list[float]) -> None:
    seen = replay(gaps)
    for n, (now, state, _) in enumerate(seen):
        recent = sum(1 for at, _, _ in seen[: n + 1] if now - at <= FATAL_WITHIN_SECONDS)
        assert (state is AgentState.FATAL) == (recent >= FATAL_EXITS)


@given(GAPS, st.integers(-1_000_000, 1_000_000))
def test_only_differences_of_times_matter(gaps: list[float], shift: int) -> None:
    shifted = [gap if n else gap + shift for n, gap in enumerate(map(round, gaps))]
    assert [d for _, _, d in replay([float(g) for g in map(round, gaps)])] == [d for _, _, d in replay(list(shifted))]


def test_only_ends_that_failed_are_crashes() -> None:
    seen: tuple[float, ...] = ()
    for at, status in ((0.0, 1), (1.0, 0), (2.0, -9), (3.0, None)):
        seen = crashes(seen, at, status)
    assert seen == (0.0, 2.0, 3.0)
    assert crashes(seen, 301.0, 1) == (2.0, 3.0, 301.0)


@given(GAPS, st.lists(STATUSES, min_size=30, max_size=30))
def test_crashes_are_the_latest_failures_of_five_minutes(gaps: list[float], statuses: list[int | None]) -> None:
    now, seen, every = 0.0, (), list[float]()
    for gap, status in zip(gaps, statuses, strict=False):
        now += gap
        seen = crashes(seen, now, status)
        every += [now] if status != 0 else []
        lately = [at for at in every if now - at <= 300.0][-FATAL_EXITS:]
        assert list(seen) == lately
