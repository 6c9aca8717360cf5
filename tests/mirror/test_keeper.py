"""Mirrors over a network that misbehaves: nothing waits, nothing is lost, nothing is forced."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import eventually
from mirror.faulty import WELL, Fault, FaultyServer, drawn
from mirror.setting import Setting, bare, forced, refs
from stateguard.mirror.keeper import Keeper
from stateguard.model.identity import MAIN

BLACK_HOLE = Fault(black_hole=True)


@pytest.fixture
def keeper(setting: Setting) -> Iterator[Keeper]:
    made = Keeper(setting.syncing)
    yield made
    made.stop()


def test_changes_arrive_by_themselves(setting: Setting, keeper: Keeper, tmp_path: Path) -> None:
    specs = [setting.spec(name, bare(tmp_path / f"{name}.git")) for name in ("a", "b")]
    for _ in range(2):
        setting.grow()
        keeper.nudge(specs)
        for spec in specs:
            eventually(lambda spec=spec: refs(Path(spec.url)) == refs(setting.served.path), 30)
            eventually(lambda spec=spec: setting.state(spec) == "IN_SYNC", 30)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(delay_seconds=0.3),
        Fault(cut_after_bytes=0, reset=True),
        Fault(cut_after_bytes=600, reset=True),
        Fault(truncate_after_bytes=100),
        BLACK_HOLE,
    ],
    ids=["delay", "reset at once", "reset later", "truncated", "black hole"],
)
def test_a_fault_delays_only_its_own_mirror_and_is_got_over(
    setting: Setting, keeper: Keeper, tmp_path: Path, fault: Fault
) -> None:
    faults = [fault, fault]
    with FaultyServer(tmp_path, lambda: faults.pop() if faults else WELL) as server:
        bad = setting.spec("bad", server.url(bare(tmp_path / "bad.git").name), deadline_seconds=1.0)
        good = setting.spec("good", bare(tmp_path / "good.git"))
        keeper.nudge([bad, good])
        eventually(lambda: setting.state(good) == "IN_SYNC", 30)
        eventually(lambda: setting.state(bad) == "IN_SYNC", 60)
        assert refs(tmp_path / "bad.git") == refs(setting.served.path)
        assert not faults


def test_a_black_hole_is_left_alone_and_told_once_it_is_back(setting: Setting, keeper: Keeper, tmp_path: Path) -> None:
    state = [BLACK_HOLE]
    with FaultyServer(tmp_path, lambda: state[0]) as server:
        spec = setting.spec(
            "hole", server.url(bare(tmp_path / "hole.git").name), deadline_seconds=0.3, breaker_failures=2,
            breaker_pause_seconds=1.0,
        )  # fmt: skip
        keeper.nudge([spec])
        eventually(lambda: setting.syncing.store.standing(spec).pace.failures >= 3, 30)
        standing = setting.syncing.store.standing(spec)
        assert "no answer within" in (standing.error or "")
        assert setting.state(spec) == "BEHIND"
        state[0] = WELL
        eventually(lambda: setting.state(spec) == "IN_SYNC", 30)
        assert setting.syncing.store.standing(spec).error is None


def test_stopping_waits_for_no_remote(setting: Setting, tmp_path: Path) -> None:
    with FaultyServer(tmp_path, lambda: BLACK_HOLE) as server:
        keeper = Keeper(setting.syncing)
        specs = [setting.spec(n, server.url("x.git"), deadline_seconds=300.0) for n in ("a", "b", "c")]
        keeper.nudge(specs)
        eventually(lambda: server.connections >= 3, 30)
        begun = time.monotonic()
        keeper.stop()
        assert time.monotonic() - begun < 1.5


def test_who_asks_for_a_mirror_that_is_worked_on_waits_for_its_deadline_alone(setting: Setting, tmp_path: Path) -> None:
    with FaultyServer(tmp_path, lambda: BLACK_HOLE) as server:
        spec = setting.spec("a", server.url("x.git"), deadline_seconds=300.0)
        at_work = threading.Thread(target=setting.syncing.sync, args=(spec,))
        at_work.start()
        eventually(lambda: server.connections, 30)
        assert setting.syncing.sync(replace(spec, deadline_seconds=0.1)) is None
        setting.syncing.cancel.cancel()
        at_work.join(30)
        assert not at_work.is_alive()


def test_a_mirror_that_is_taken_away_is_worked_on_no_more(setting: Setting, keeper: Keeper, tmp_path: Path) -> None:
    specs = [setting.spec(name, bare(tmp_path / f"{name}.git")) for name in ("a", "b")]
    keeper.nudge(specs)
    eventually(lambda: all(setting.state(spec) == "IN_SYNC" for spec in specs), 30)
    before = refs(tmp_path / "a.git")
    keeper.nudge(specs[1:])
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "mirror a"], 30)
    setting.grow()
    keeper.nudge(specs[1:])
    eventually(lambda: setting.state(specs[1]) == "IN_SYNC", 30)
    assert refs(tmp_path / "a.git") == before


def test_thirty_changes_to_three_mirrors_through_random_faults(
    setting: Setting, keeper: Keeper, tmp_path: Path
) -> None:
    chance = random.Random(7)
    with FaultyServer(tmp_path, lambda: drawn(chance)) as server:
        specs = [
            setting.spec(name, server.url(bare(tmp_path / name).name), deadline_seconds=1.0, breaker_pause_seconds=0.5)
            for name in ("a", "b", "c")
        ]
        heads = []
        for _ in range(30):
            heads.append(setting.grow())
            keeper.nudge(specs)
            eventually(lambda: setting.syncing.store.standing(specs[0]).attempt_at is not None, 30)
        for spec in specs:
            eventually(lambda spec=spec: setting.state(spec) == "IN_SYNC", 90)
            assert refs(tmp_path / spec.name) == refs(setting.served.path)
            assert forced(tmp_path / spec.name) == []
    assert refs(tmp_path / "a")[MAIN] == heads[-1]
