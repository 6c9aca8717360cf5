"""What may go and what never does, for every past there can be."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, strategies as st

from stateguard.model.retention import DAY_SECONDS, KeptBackup, KeptBaseline, KeptLine, Retention
from stateguard.respond.retention import backups_to_drop, baselines_to_thin, lines_to_drop

NOW = 1_800_000_000.0
SETTINGS = Retention(baselines=3, daily_seconds=10 * DAY_SECONDS)

settings = st.builds(
    Retention,
    baselines=st.integers(1, 8),
    daily_seconds=st.integers(0, 40).map(lambda days: days * DAY_SECONDS),
    backups=st.integers(1, 8),
    backup_seconds=st.integers(0, 40).map(lambda days: days * DAY_SECONDS),
    snapshots=st.integers(1, 50),
    snapshot_seconds=st.integers(0, 10).map(lambda days: days * DAY_SECONDS),
)
ages = st.lists(st.integers(0, 120 * 24), min_size=1, max_size=40).map(lambda hours: sorted(hours, reverse=True))


@st.composite
def pasts(draw: st.DrawFn) -> list[KeptBaseline]:
    """Draw baselines of growing number and time, with every kind of stain."""
    return [
        KeptBaseline(
            number=number,
            approved=draw(st.integers(0, 5)) == 0,
            readable=draw(st.integers(0, 9)) > 0,
            revoked=draw(st.integers(0, 9)) == 0,
            suspect=draw(st.integers(0, 4)) == 0,
            at=NOW - hours * 3600.0,
        )
        for number, hours in enumerate(draw(ages), 1)
    ]


def confirmed(number: int, days_ago: float, **stain: bool) -> KeptBaseline:
    plain = KeptBaseline(
        number, approved=False, readable=True, revoked=False, suspect=False, at=NOW - days_ago * DAY_SECONDS
    )
    return replace(plain, **stain)


def left(past: list[KeptBaseline], gone: frozenset[int]) -> list[KeptBaseline]:
    return [b for b in past if b.number not in gone]


@given(pasts(), settings, st.lists(st.integers(0, 120).map(lambda d: NOW - d * DAY_SECONDS), max_size=3))
def test_what_must_stay_stays(past: list[KeptBaseline], given_settings: Retention, onsets: list[float]) -> None:
    held = {past[0].number}
    gone = baselines_to_thin(past, onsets, held, given_settings, NOW)
    rest = left(past, gone)
    sound = [b for b in past if b.sound]
    assert not gone & held
    assert {b for b in past if b.approved or not b.readable} <= set(rest)
    assert set(sound[-given_settings.baselines :]) <= set(rest)
    assert {b for b in past if b.usable and not any(later.usable for later in past[b.number :])} <= set(rest)
    for onset in onsets:
        before = [b for b in sound if b.at <= onset]
        assert not before or before[-1] in rest


@given(pasts(), settings)
def test_every_week_keeps_its_last_sound_one_and_every_late_day(
    past: list[KeptBaseline], given_settings: Retention
) -> None:
    rest = left(past, baselines_to_thin(past, [], (), given_settings, NOW))
    reference = max((b.at for b in past if b.sound), default=NOW)
    weeks = {int((b.at / DAY_SECONDS - 4) // 7): b for b in past if b.sound}
    days = {int(b.at // DAY_SECONDS): b for b in past if b.sound and reference - b.at < given_settings.daily_seconds}
    assert {*weeks.values(), *days.values()} <= set(rest)


@given(pasts(), settings)
def test_thinning_twice_is_thinning_once(past: list[KeptBaseline], given_settings: Retention) -> None:
    rest = left(past, baselines_to_thin(past, [], (), given_settings, NOW))
    assert not baselines_to_thin(rest, [], (), given_settings, NOW)


@given(pasts(), settings, st.integers(0, 60))
def test_looking_in_between_changes_nothing_in_the_end(
    past: list[KeptBaseline], given_settings: Retention, hours: int
) -> None:
    early = past[: max(1, len(past) // 2)]
    thinned = left(early, baselines_to_thin(early, [], (), given_settings, early[-1].at + hours * 3600.0))
    late = past[len(early) :]
    at_once = left(past, baselines_to_thin(past, [], (), given_settings, NOW))
    in_two = left([*thinned, *late], baselines_to_thin([*thinned, *late], [], (), given_settings, NOW))
    assert {b for b in at_once if b.sound} <= set(in_two)


@given(pasts(), settings, st.integers(0, 1000))
def test_a_wrong_clock_lets_nothing_more_go(past: list[KeptBaseline], given_settings: Retention, days: int) -> None:
    right = baselines_to_thin(past, [], (), given_settings, max(b.at for b in past))
    forward = baselines_to_thin(past, [], (), given_settings, NOW + days * DAY_SECONDS)
    backward = baselines_to_thin(past, [], (), given_settings, NOW - days * DAY_SECONDS)
    assert backward <= right
    if any(b.sound for b in past):
        assert forward == baselines_to_thin(past, [], (), given_settings, max(b.at for b in past if b.sound))


def test_thinning_by_example() -> None:
    past = [confirmed(n, days) for n, days in enumerate((90.4, 90.2, 40, 4.2, 4.1, 3, 2, 1, 0), 1)]
    assert baselines_to_thin(past, [], (), SETTINGS, NOW) == {1, 4}


def test_a_suspect_one_takes_nobodys_place_and_goes_with_its_time() -> None:
    past = [confirmed(1, 9, suspect=True), *(confirmed(n, 9 - n) for n in (2, 3, 4)), confirmed(5, 0, suspect=True)]
    assert baselines_to_thin(past, [], (), SETTINGS, NOW) == {1}
    assert baselines_to_thin(past[:3], [], (), SETTINGS, NOW) == frozenset()


def test_where_all_are_suspect_the_newest_stays() -> None:
    past = [confirmed(n, 9 - n, suspect=True) for n in (1, 2)]
    assert 2 not in baselines_to_thin(past, [], (), Retention(baselines=1), NOW)


@given(ages, settings, st.sets(st.integers(1, 40), max_size=3))
def test_backups_stay_while_they_are_young_newest_or_held(
    hours: list[int], given_settings: Retention, held: set[int]
) -> None:
    kept = [KeptBackup(n, (f"ref{n}",), NOW - h * 3600.0) for n, h in enumerate(hours, 1)]
    gone = {b.operation for b in backups_to_drop(kept, held, given_settings, NOW)}
    reference = min(NOW, max(b.at for b in kept))
    must = {b.operation for b in kept if reference - b.at <= given_settings.backup_seconds}
    must |= {b.operation for b in kept[-given_settings.backups :]} | held
    assert gone == {b.operation for b in kept} - must


@given(ages, settings, st.integers(0, 40))
def test_lines_of_snapshots_stay_while_they_are_young_and_few(
    hours: list[int], given_settings: Retention, now: int
) -> None:
    kept = [KeptLine(f"ref{n:02}", (0, n), 1 + n % 7, NOW - h * 3600.0, n == now) for n, h in enumerate(hours)]
    gone = lines_to_drop(kept, given_settings, NOW)
    rest = [line for line in kept if line not in gone]
    reference = max(line.at for line in kept)
    assert not any(line.current for line in gone)
    assert all(reference - line.at <= given_settings.snapshot_seconds for line in rest if not line.current)
    assert sum(line.snapshots for line in rest) <= given_settings.snapshots + 2 * 7
    assert not lines_to_drop(rest, given_settings, NOW)


def test_nothing_gives_nothing() -> None:
    assert baselines_to_thin([], [NOW], (), SETTINGS, NOW) == frozenset()
    assert backups_to_drop([], (), SETTINGS, NOW) == ()
    assert lines_to_drop([], SETTINGS, NOW) == ()
