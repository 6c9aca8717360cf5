from __future__ import annotations

from dataclasses import replace

from hypothesis import given, strategies as st

from stateguard.model.agent import Probe, ProbeKind, TcpCheck
from stateguard.model.health import Health, Observation, Result
from stateguard.observe.window import Window, failing_seconds, fed, fresh, health, patience_seconds, turns

PROBE = Probe("ready", ProbeKind.READINESS, TcpCheck("h", 1), "a", period_seconds=10.0, timeout_seconds=1.0)
BAD = (Result.FAIL, Result.ERROR, Result.NO_DATA)

probes = st.builds(
    lambda period, failures, successes, delay: replace(
        PROBE,
        period_seconds=period,
        failure_threshold=failures,
        success_threshold=successes,
        initial_delay_seconds=delay,
    ),
    st.sampled_from([0.5, 2.0, 10.0]),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([0.0, 3.0]),
)
results = st.lists(st.sampled_from(Result), max_size=40)


def seen(result: Result, at: float) -> Observation:
    return Observation("a/ready", result, "", at, 0.0)


def feed(window: Window, probe: Probe, said: list[Result], first_at: float, step: float | None = None) -> Window:
    """Feed results, one each period (or step)."""
    for n, result in enumerate(said):
        at = first_at + n * (probe.period_seconds if step is None else step)
        window = fed(window, probe, seen(result, at), at)
    return window


def settled(probe: Probe = PROBE, verdict: Health = Health.HEALTHY) -> Window:
    """Return a window that has had a verdict, last fed at time 0."""
    return replace(fresh(probe, -100.0), verdict=verdict, last=seen(Result.PASS, 0.0), seen_at=0.0)


def test_nothing_is_known_before_anything_was_seen() -> None:
    assert health(fresh(PROBE, 0.0), PROBE, 0.0) is Health.UNKNOWN


def test_the_first_pass_counts_at_once() -> None:
    window = feed(fresh(PROBE, 0.0), PROBE, [Result.FAIL, Result.FAIL, Result.PASS], 0.0, 0.1)
    assert health(window, PROBE, 0.3) is Health.HEALTHY


def test_one_that_never_starts_is_unhealthy_after_threshold_times_period() -> None:
    window, verdicts = fresh(PROBE, 0.0), list[tuple[float, Health]]()
    for tick in range(400):
        at = tick * 0.1
        window = fed(window, PROBE, seen(Result.FAIL, at), at)
        verdicts.append((at, window.verdict))
    first = next(at for at, verdict in verdicts if verdict is Health.UNHEALTHY)
    assert 30.0 <= first <= 30.2


def test_the_initial_delay_comes_on_top() -> None:
    probe = replace(PROBE, initial_delay_seconds=5.0, failure_threshold=1)
    assert feed(fresh(probe, 0.0), probe, [Result.FAIL], 14.9).verdict is Health.UNKNOWN
    assert feed(fresh(probe, 0.0), probe, [Result.FAIL], 15.0).verdict is Health.UNHEALTHY


def test_a_failure_that_does_not_count_still_ends_a_row_of_passes() -> None:
    probe = replace(PROBE, success_threshold=2)
    window = feed(fresh(probe, 0.0), probe, [Result.PASS, Result.FAIL, Result.PASS], 0.0, 0.1)
    assert window.eager
    assert feed(window, probe, [Result.PASS], 0.4).verdict is Health.HEALTHY


def test_fewer_failures_than_the_threshold_keep_the_verdict() -> None:
    window = feed(settled(), PROBE, [Result.FAIL, Result.NO_DATA], 10.0)
    assert (window.verdict, window.failures, window.failed, window.silent) == (Health.HEALTHY, 2, 1, 1)
    window = feed(window, PROBE, [Result.ERROR], 30.0)
    assert (window.verdict, window.errors) == (Health.UNHEALTHY, 1)
    window = feed(window, PROBE, [Result.PASS], 40.0)
    assert (window.verdict, window.failures, window.failed, window.errors, window.silent) == (
        Health.HEALTHY,
        0,
        0,
        0,
        0,
    )


def test_no_data_for_three_periods_is_unknown_and_comes_back() -> None:
    window = settled()
    assert health(window, PROBE, 31.0) is Health.HEALTHY
    assert health(window, PROBE, 31.1) is Health.UNKNOWN
    assert health(feed(window, PROBE, [Result.FAIL], 50.0), PROBE, 50.0) is Health.HEALTHY, "one failure proves nothing"


def test_a_startup_probe_that_succeeded_does_not_grow_old() -> None:
    probe = replace(PROBE, kind=ProbeKind.STARTUP)
    assert health(settled(probe), probe, 1e6) is Health.HEALTHY
    assert health(settled(probe, Health.UNHEALTHY), probe, 1e6) is Health.UNKNOWN


def test_a_gap_in_our_own_schedule_restarts_the_row_and_keeps_the_verdict() -> None:
    window = feed(settled(), PROBE, [Result.FAIL, Result.FAIL], 10.0)
    after = feed(window, PROBE, [Result.FAIL], 20.0 + patience_seconds(PROBE) + 0.1)
    assert (after.verdict, after.failures) == (Health.HEALTHY, 1)
    assert feed(window, PROBE, [Result.FAIL], 20.0 + patience_seconds(PROBE)).verdict is Health.UNHEALTHY


@given(probes, results, st.sampled_from([Health.HEALTHY, Health.UNHEALTHY]))
def test_steady_state_follows_kubernetes(probe: Probe, said: list[Result], verdict: Health) -> None:
    """Compare with the rule written down naively."""
    window, row_passes, row_failures = settled(probe, verdict), 0, 0
    for n, result in enumerate(said):
        at = (n + 1) * probe.period_seconds
        window = fed(window, probe, seen(result, at), at)
        row_passes = row_passes + 1 if result is Result.PASS else 0
        row_failures = 0 if result is Result.PASS else row_failures + 1
        if row_passes >= probe.success_threshold:
            verdict = Health.HEALTHY
        if row_failures >= probe.failure_threshold:
            verdict = Health.UNHEALTHY
        assert window.verdict is verdict
        assert health(window, probe, at) is verdict
        assert (window.passes, window.failures) == (row_passes, row_failures)
        assert window.failed + window.errors + window.silent == window.failures


@given(probes, st.lists(st.tuples(st.sampled_from(Result), st.floats(0.01, 0.1)), max_size=200))
def test_eager_failures_count_at_most_once_a_period(probe: Probe, said: list[tuple[Result, float]]) -> None:
    window, now, counted_at = fresh(probe, 0.0), 0.0, list[float]()
    for result, step in said:
        now += step
        before, window = window, fed(window, probe, seen(result, now), now)
        if not before.eager:
            return
        if window.failures > before.failures:
            counted_at.append(now)
    slots = [int((at - probe.initial_delay_seconds) // probe.period_seconds) for at in counted_at]
    assert all(slot >= 1 for slot in slots)
    assert len(slots) == len(set(slots))


@given(probes, st.integers(1, 40))
def test_passes_alone_never_make_anything_unhealthy(probe: Probe, times: int) -> None:
    window = feed(fresh(probe, 0.0), probe, [Result.PASS] * times, 0.0)
    assert window.verdict is (Health.HEALTHY if times >= probe.success_threshold else Health.UNKNOWN)


@given(probes, results, st.floats(0, 1000))
def test_asking_changes_nothing_and_silence_is_unknown(probe: Probe, said: list[Result], later: float) -> None:
    window = feed(fresh(probe, 0.0), probe, said, 0.0)
    assert health(window, probe, window.seen_at + patience_seconds(probe) + 0.001 + later) is Health.UNKNOWN


def test_passing_and_failing_by_turns_is_counted_although_no_threshold_is_reached() -> None:
    window = feed(settled(), PROBE, [Result.PASS, Result.FAIL] * 5, 10.0)
    assert (window.verdict, turns(window, 100.0)) == (Health.HEALTHY, 9)
    assert turns(window, 100.0 + 300.0) == 0, "what is older than 300 s has no part in it"
    assert turns(feed(window, PROBE, [Result.PASS] * 11, 110.0), 210.0) == 10
    assert turns(feed(window, PROBE, [Result.PASS] * 21, 110.0), 310.0) == 0, "only the latest 21 runs count"


def test_an_agent_that_starts_does_not_flap() -> None:
    window = feed(fresh(PROBE, 0.0), PROBE, [Result.FAIL] * 9 + [Result.PASS], 0.0, 0.1)
    assert (window.verdict, turns(window, 1.0)) == (Health.HEALTHY, 0)


@given(probes, results, st.floats(0, 400))
def test_turns_are_those_of_the_latest_runs(probe: Probe, said: list[Result], later: float) -> None:
    window = feed(settled(probe), probe, said, probe.period_seconds)
    now = len(said) * probe.period_seconds + later
    lately = [(n + 1) * probe.period_seconds for n in range(len(said))][-21:]
    passed = [r is Result.PASS for r, at in zip(said[-21:], lately, strict=True) if now - at <= 300.0]
    assert turns(window, now) == sum(passed[n] is not passed[n + 1] for n in range(len(passed) - 1))
    assert turns(window, now) <= 20


@given(probes, results)
def test_a_probe_is_doubted_once_it_has_not_passed(probe: Probe, said: list[Result]) -> None:
    assert feed(fresh(probe, 0.0), probe, said, 0.0).doubted == any(r is not Result.PASS for r in said)


def test_how_long_it_has_failed_is_counted_from_the_last_pass() -> None:
    window = feed(settled(), PROBE, [Result.PASS, Result.FAIL, Result.FAIL], 10.0)
    assert failing_seconds(window, 35.0) == 0.0, "it has not failed yet"
    window = feed(window, PROBE, [Result.FAIL], 40.0)
    assert failing_seconds(window, 41.0) == 31.0
    assert failing_seconds(feed(window, PROBE, [Result.PASS], 50.0), 60.0) == 0.0
    never = feed(fresh(PROBE, 5.0), PROBE, [Result.FAIL] * 4, 15.0)
    assert failing_seconds(never, 65.0) == 60.0, "it has never passed: since it was begun"
