"""A sample of the trials that ``make faults`` runs by the thousand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from faults.calls import strace_missing
from faults.clockwork import library
from faults.kind_clock import Clock
from faults.kind_control import KIND as CONTROL, WRITERS
from faults.kind_errno import KIND as ERRNO
from faults.kind_kill import KIND as KILL, passages
from faults.kind_syscall import KIND as SYSCALL
from faults.kinds import Kind, Outcome, Result, Trial
from faults.results import Results, scoreboard
from stateguard.model.transition import StepName

ROOT = Path(__file__).resolve().parents[2]

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
    assert scoreboard(again.all) == [("kill", "1", "1", "0", "0", "0", "1", "0", "0", "0", "0")]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ERRNO, "errno/rollback/repository.move:2:enospc/1"),
        (ERRNO, "errno/failing/call=fsync:3:EIO/1"),
        (ERRNO, "errno/apply/call=file:900:short/1"),
        (ERRNO, "errno/failing/call=clone3:4:EMFILE/1"),
        (SYSCALL, "syscall/apply/call=renameat:3:kill/1"),
        (SYSCALL, "syscall/rollback/call=unlink:2:kill/1"),
        (SYSCALL, "syscall/failing/call=git.openat:1:killboth:1/1"),
    ],
)
def test_errors_and_kills_at_system_calls_are_survived(kind: Kind, text: str, tmp_path: Path) -> None:
    if "call=" in text and strace_missing():
        pytest.skip(strace_missing())
    room = tmp_path / "room"
    room.mkdir()
    result = kind.run(Trial.parse(text), room)
    assert (result.outcome, result.detail, result.hit) == (Outcome.SURVIVED, "", True)


@pytest.mark.skipif(not library(), reason="needs libfaketime")
def test_a_clock_that_jumps_takes_nothing_back_and_holds_nothing_up(tmp_path: Path) -> None:
    kind, room = Clock(), tmp_path / "room"
    texts = (
        "clock/apply/live.put:2:back=315360000,kill+*:9:forward=86400/1",
        "clock/soak/journal.closed:1:later,forward=86400/1",
    )
    try:
        for text in texts:
            room.mkdir()
            result = kind.run(Trial.parse(text), room)
            assert (result.outcome, result.detail, result.hit) == (Outcome.SURVIVED, "", True)
            shutil.rmtree(room)
    finally:
        kind.close()


@pytest.mark.parametrize("writer", WRITERS)
def test_the_harness_finds_a_writer_that_is_broken(writer: str, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    assert CONTROL.run(Trial("control", writer, ()), room).outcome is Outcome.SURVIVED


ELSEWHERE = {
    "upgrade.step": "tests/upgrade/test_upgrade.py",
    **{f"spool.{name}": "tests/transition/test_spool.py" for name in ("begin", "fetched", "home")},
}
"""Points that no transition passes, with the test that strikes them."""


def test_every_point_in_the_source_is_visited() -> None:
    written = set()
    for path in (ROOT / "stateguard").rglob("*.py"):
        written |= set(re.findall(r"faults\.point\(f?\"([^\"]+)\"\)", path.read_text(encoding="utf-8")))
    written = {n for n in written if "{" not in n} | {f"stage.{name}" for name in StepName}
    for name, test in ELSEWHERE.items():
        assert name in (ROOT / test).read_text(encoding="utf-8")
    visited = {name for _, name, _ in passages()}
    assert written - ELSEWHERE.keys() == visited
