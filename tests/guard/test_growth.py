"""A sample of the long exercise: many snapshots with maintenance beside, as in tests/exercise/snapshots.py."""

from __future__ import annotations

from pathlib import Path

from driving import git
from exercise.snapshots import Exercise, Measured, Row, report, small_state, wrong


def test_many_snapshots_stay_small_and_hold_nobody_up(tmp_path: Path) -> None:
    driver = small_state(tmp_path)
    exercise = Exercise(driver)
    try:
        seen = exercise.run(120)
    finally:
        exercise.close()
        driver.close()
    assert wrong(seen) == []
    assert [row.snapshots for row in seen.rows] == list(range(12, 121, 12))
    assert seen.kept_snapshots == 120
    captured = driver.home / "captured.git"
    assert "missing" not in git(captured, "fsck", "--full", "--no-dangling")
    line = next(iter(git(captured, "for-each-ref", "--format=%(refname)", "refs/stateguard/snapshots/since").split()))
    assert git(captured, "ls-tree", "--name-only", f"{line}:conversations").count("talk") == 10
    assert "| 120 |" in "\n".join(report(seen))


def test_the_exercise_notices_what_is_not_as_promised() -> None:
    rows = [Row(n * 10, n * n * 100_000, 1) for n in range(1, 11)]
    seen = Measured(rows=rows, most_packs=1000, git_bytes=2**30, moving_seconds=0.2)
    assert len(wrong(seen)) == 4
