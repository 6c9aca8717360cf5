"""Probes tried many times: real commands, bounded beside each other, and remembered."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from stateguard.host.database import Database
from stateguard.model.agent import CommandCheck, Probe, ProbeKind, TcpCheck
from stateguard.model.selftest import ENOUGH_FAILURES, digest
from stateguard.observe.selftest import Trials, trials

EVERY_TENTH = "n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) > n; [ $((n % 10)) -ne 3 ] || { echo tenth; exit 1; }"


def probe(name: str, script: str, timeout: float = 5.0) -> Probe:
    return Probe(name, ProbeKind.READINESS, CommandCheck(("sh", "-c", script)), timeout_seconds=timeout)


def test_every_run_is_counted_and_the_last_failure_kept(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    good, tenth = probe("good", "true"), probe("tenth", EVERY_TENTH)
    first, second = trials([good, tenth], tmp_path, 30, lambda *far: heard.append(far))
    assert (first.probe, first.runs, first.failures, first.flaky) == ("/good", 30, 0, False)
    assert (second.runs, second.failures, second.last_failure, second.flaky) == (30, 3, "tenth", True)
    assert second.digest == digest(tenth)
    assert heard == [(n, 60) for n in range(1, 61)]
    assert (tmp_path / "n").read_text() == "30\n", "each probe by itself, one run after the other"


def test_what_cannot_be_asked_has_failed_and_ends_early(tmp_path: Path) -> None:
    (found,) = trials([Probe("port", ProbeKind.READINESS, TcpCheck("127.0.0.1", 1))], tmp_path, 500, lambda *_: None)
    assert (found.runs, found.failures, found.flaky) == (ENOUGH_FAILURES, ENOUGH_FAILURES, True)
    assert found.last_failure


def test_a_probe_has_its_own_timeout(tmp_path: Path) -> None:
    (found,) = trials([probe("hangs", "sleep 100", timeout=0.05)], tmp_path, 3, lambda *_: None)
    assert (found.runs, found.failures) == (3, 3)
    assert "no answer in 0.05 s" in found.last_failure
    assert found.seconds < 20


def test_no_more_than_so_many_are_asked_at_once(tmp_path: Path) -> None:
    names: set[str] = set()
    script = "mkdir d && rmdir d"  # fails if anybody else is between the two
    many = [probe(f"p{n}", script) for n in range(6)]
    found = trials(many, tmp_path, 5, lambda *_: names.add(threading.current_thread().name), workers=1)
    assert [t.failures for t in found] == [0] * 6
    assert len(names) == 1


@pytest.fixture
def two() -> tuple[Probe, Probe]:
    return probe("one", "false"), probe("two", "true")


def test_the_last_test_of_each_probe_is_remembered(tmp_path: Path, two: tuple[Probe, Probe]) -> None:
    one, other = two
    with closing(Database(tmp_path / "guard.db")) as database:
        known = Trials(database)
        assert known.flaky() == frozenset()
        known.record(trials(two, tmp_path, 5, lambda *_: None))
        assert known.flaky() == {("/one", digest(one))}
        assert known.all()["/two"].runs == 5
    with closing(Database(tmp_path / "guard.db")) as database:
        again = Trials(database)
        assert again.flaky() == {("/one", digest(one))}
        mended = probe("one", "true")
        again.record(trials([mended], tmp_path, 5, lambda *_: None))
        assert again.flaky() == frozenset()
        assert again.all()["/one"].digest == digest(mended)
        assert again.all()["/two"].digest == digest(other)
