"""What is unmanaged is never changed: refused where somebody waits, moved aside where going back must not wait."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stateguard import faults
from stateguard.guard.applies import Applies
from stateguard.model.condition import Severity
from stateguard.model.transition import Direction, Outcome, StepName
from stateguard.respond.responder import Back
from stateguard.respond.withdraw import Target
from stateguard.transition.journal import Operation
from transition.journeys import at, last
from transition.setting import BREAKS, CHANGE, Setting, everything, ignored

Fill = Callable[[Path], object]


def linked(place: Path) -> None:
    """Make a link out of the way of nobody: to a directory beside the live one."""
    outside = place.parents[2] / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "deep.txt").write_text("outside\n")
    place.symlink_to(outside)


def full(place: Path) -> None:
    place.mkdir()
    (place / "deep").write_text("somebody's\n")


IN_THE_WAY: dict[str, Fill] = {
    "file": lambda place: place.write_text("mine\n"),
    "mode": lambda place: (place.write_text("theirs\n"), place.chmod(0o755)),
    "link": linked,
    "dangling link": lambda place: place.symlink_to("nowhere"),
    "empty directory": lambda place: place.mkdir(),
    "full directory": full,
    "fifo": os.mkfifo,
}


def test_an_apply_that_would_change_something_unmanaged_is_refused_before_anything(setting: Setting) -> None:
    guard = setting.guard
    pids, main = {n: s.pid for n, s in guard.runtime.statuses().items()}, guard.main
    for number, fill in enumerate(IN_THE_WAY.values()):
        name = f"config/extra-{number}"
        fill(guard.live / name)
        before, inode = everything(guard.live), os.lstat(guard.live / name).st_ino
        new = setting.commit(CHANGE | {name: "theirs\n"})
        for options in ((), ("wait=none",)):
            answer = setting.push(new, *options, token=f"{name} {options}")
            assert not answer.accepted
            assert answer.reason.startswith(f"{name} is in the way")
            assert f"stateguard adopt {name}" in answer.reason
            assert last(setting).outcome == "refused"
            assert guard.main == guard.applied == main
        assert everything(guard.live) == before
        assert os.lstat(guard.live / name).st_ino == inode
    assert {n: s.pid for n, s in guard.runtime.statuses().items()} == pids


def test_what_stands_where_a_directory_is_needed_is_in_the_way(setting: Setting) -> None:
    live = setting.guard.live
    for kind in ("file", "link", "dangling link", "fifo"):
        IN_THE_WAY[kind](live / f"config/{kind}")
        before = everything(live)
        answer = setting.push(setting.commit(CHANGE | {f"config/{kind}/deep.txt": "deep\n"}))
        assert answer.reason.startswith(f"config/{kind} is in the way")
        assert everything(live) == before
        assert os.path.lexists(live / f"config/{kind}")


def test_the_same_bytes_and_mode_are_taken_over(setting: Setting) -> None:
    live = setting.guard.live
    (live / "config/extra").write_text("theirs\n")
    found = os.lstat(live / "config/extra")
    assert setting.push(setting.commit({"config/extra": "theirs\n"})).accepted
    assert os.lstat(live / "config/extra").st_ino == found.st_ino
    assert setting.push(setting.commit({"config/extra": None})).accepted, "it is managed now"
    assert not (live / "config/extra").exists()


def test_what_a_failed_push_took_over_is_still_there_afterwards(setting: Setting) -> None:
    live = setting.guard.live
    (live / "config/extra").write_text("theirs\n")
    found = os.lstat(live / "config/extra")
    assert not setting.push(setting.commit(BREAKS | {"config/extra": "theirs\n"})).accepted
    assert last(setting).outcome == "succeeded", "it was put back"
    assert same(os.lstat(live / "config/extra"), found)


def test_a_directory_may_become_a_file_and_a_file_a_directory(setting: Setting) -> None:
    live = setting.guard.live
    assert setting.push(setting.commit({"config/shape/a": "a\n", "config/shape/b/c": "c\n"})).accepted
    flat = {"config/shape/a": None, "config/shape/b/c": None, "config/shape": "flat\n"}
    before = everything(live)
    assert not setting.push(setting.commit(BREAKS | flat)).accepted
    assert everything(live) == before
    assert setting.push(setting.commit(flat)).accepted
    assert (live / "config/shape").read_text() == "flat\n"
    assert setting.push(setting.commit({"config/shape": None, "config/shape/a": "a\n"})).accepted
    assert (live / "config/shape/a").read_text() == "a\n"
    (live / "config/shape/own").touch()
    answer = setting.push(setting.commit({"config/shape/a": None, "config/shape": "flat\n"}))
    assert answer.reason.startswith("config/shape is in the way")


# rollbacks


def back(setting: Setting, actor: str) -> Operation:
    guard = setting.guard
    target = Target(guard.baselines.get(1).statement.revision, "baseline/1", "", 1)
    guard.responder.back(Back(target, actor, "because"))
    return last(setting)


def test_a_persons_rollback_is_refused_in_the_same_words(setting: Setting) -> None:
    assert setting.push(setting.commit(CHANGE)).accepted
    live = setting.guard.live
    (live / "config/gone.txt").write_text("mine\n")
    before = everything(live)
    operation = back(setting, "person:ann")
    assert operation.outcome == "refused"
    assert "config/gone.txt is in the way" in operation.result["detail"]["message"]
    assert everything(live) == before


def filled(setting: Setting) -> dict[Path, os.stat_result]:
    """Remove a file for each kind by a push, and put something of the kind in its place; returns what lies there."""
    live = setting.guard.live
    places = {live / f"config/{kind}": fill for kind, fill in IN_THE_WAY.items()}
    names = [p.relative_to(live).as_posix() for p in places]
    assert setting.push(setting.commit(dict.fromkeys(names, "managed\n"))).accepted
    assert setting.push(setting.commit(dict.fromkeys(names))).accepted
    for place, fill in places.items():
        fill(place)
    return {place: os.lstat(place) for place in places}


def same(one: os.stat_result, other: os.stat_result) -> bool:
    kept = ("st_ino", "st_mode", "st_size", "st_mtime_ns", "st_uid", "st_gid")
    return all(getattr(one, name) == getattr(other, name) for name in kept)


def back_over(setting: Setting) -> Operation:
    """Go back by the guard's own will to the state that had a file at each of the places."""
    guard = setting.guard
    before = guard.repository.commit(guard.main).parents[0]
    incident = guard.store.open_incident("t", Severity.HIGH, "T", "guard", "s", None).id
    guard.responder.back(Back(Target(before, "before", ""), "guard", "because", incident))
    return last(setting)


def moved(place: Path, operation: Operation) -> Path:
    return place.with_name(f"{place.name}.aside-{operation.id}")


def test_a_rollback_of_the_guards_own_moves_it_aside_and_says_so(setting: Setting) -> None:
    places = filled(setting)
    guard = setting.guard
    operation = back_over(setting)
    assert operation.outcome == str(Outcome.SUCCEEDED)
    told = {e.event for e in guard.store.incident(operation.incident or 0).timeline}
    for place, found in places.items():
        name = place.relative_to(guard.live).as_posix()
        assert place.read_text() == "managed\n"
        assert not place.is_symlink()
        aside = moved(place, operation)
        assert same(os.lstat(aside), found)
        assert operation.result["detail"]["aside"][name] == f"{name}.aside-{operation.id}"
        assert f"{name} is not managed and was in the way; it is now {name}.aside-{operation.id}" in told


@pytest.mark.parametrize("name", [StepName.CONFIGURATION, StepName.CONVERSATIONS, StepName.VALIDATE])
def test_a_rollback_that_turns_round_brings_it_back(setting: Setting, name: StepName) -> None:
    places = filled(setting)
    before = everything(setting.guard.live)

    def cancel(operation: Operation) -> None:
        assert setting.guard.operations.engine.cancel(operation.id)

    setting.wake(at(setting, name, Direction.FORWARD, cancel))
    assert back_over(setting).outcome == "undone"
    assert everything(setting.guard.live) == before
    assert all(same(os.lstat(place), found) for place, found in places.items())


@pytest.mark.parametrize("fault", ["files.rename:1", "live.put:1", "live.put:4", "stage.configuration:1"])
def test_an_interrupted_rollback_moves_it_aside_once(setting: Setting, fault: str) -> None:
    places = filled(setting)
    cut = at(setting, StepName.CONFIGURATION, Direction.FORWARD, lambda _: faults.arm(f"{fault}:cut"))
    setting.wake(cut)
    with pytest.raises(faults.Cut):
        back_over(setting)
    faults.arm(None)
    setting.restart()
    operation = last(setting)
    assert operation.outcome == "succeeded"
    for place, found in places.items():
        assert place.read_text() == "managed\n"
        assert [os.lstat(p).st_ino for p in place.parent.glob(f"{place.name}.aside-*")] == [found.st_ino]


def test_a_link_in_place_of_a_directory_is_moved_aside_whole(setting: Setting) -> None:
    assert setting.push(setting.commit(CHANGE)).accepted
    live, outside = setting.guard.live, setting.home.root / "outside"
    (live / "agents/helper").rename(outside)
    (live / "agents/helper").symlink_to(outside)
    assert "agents/helper is in the way" in setting.push(setting.commit({"agents/helper/prompt.md": "no\n"})).reason
    operation = back(setting, "guard")
    assert operation.outcome == "succeeded"
    assert not (live / "agents/helper").is_symlink()
    assert (live / "agents/helper/prompt.md").read_text() == "be good\n"
    assert (live / f"agents/helper.aside-{operation.id}").readlink() == outside
    assert (outside / "prompt.md").read_text() == "be brief\n"


def test_a_failed_push_is_put_back_past_what_came_into_the_way_meanwhile(setting: Setting) -> None:
    """Somebody writes at a path that the push has just removed; going back may not wait for them."""
    live = setting.guard.live
    fill = at(
        setting, StepName.START, Direction.FORWARD, lambda o: o.kind == "apply" and full(live / "config/gone.txt")
    )
    setting.wake(fill)
    assert not setting.push(setting.commit(BREAKS)).accepted
    operation = last(setting)
    assert (operation.kind, operation.outcome) == ("rollback", "succeeded")
    assert (live / "config/gone.txt").read_text() == "to be removed\n"
    assert (live / f"config/gone.txt.aside-{operation.id}/deep").read_text() == "somebody's\n"


def test_main_waits_for_what_is_in_the_way(setting: Setting) -> None:
    """A path that came into the way between admission and apply: nothing is changed until it has gone."""
    guard, live = setting.guard, setting.guard.live
    assert setting.push(setting.commit(CHANGE), "wait=none").accepted
    (live / "config/new").touch()
    applies = Applies(guard)
    refused = applies.catch_up(ignored)
    assert refused is not None
    assert refused.outcome == "refused"
    assert guard.applied != guard.main
    (live / "config/new").unlink()
    done = applies.catch_up(ignored)
    assert done is not None
    assert done.outcome == "succeeded"
    assert guard.applied == guard.main


def test_what_appears_while_agents_stop_is_left_and_turns_the_change_round(setting: Setting) -> None:
    place = setting.guard.live / "config" / "extra"

    def appear(_operation: Operation) -> None:
        if not place.exists():
            place.write_text("last words\n")

    setting.wake(at(setting, StepName.CONFIGURATION, Direction.FORWARD, appear))
    before = ignored(everything(setting.guard.live))
    answer = setting.push(setting.commit(CHANGE | {"config/extra": "theirs\n"}))
    assert not answer.accepted
    assert "config/extra appeared there meanwhile" in answer.reason
    assert place.read_text() == "last words\n"
    place.unlink()
    assert ignored(everything(setting.guard.live)) == before


@pytest.mark.parametrize("log", ["extra.db-journal", "extra.db-wal"])
def test_a_database_in_use_is_not_written(setting: Setting, log: str) -> None:
    (setting.guard.live / "config" / log).write_text("precious\n")
    answer = setting.push(setting.commit(CHANGE | {"config/extra.db": "SQLite format 3\0 and more"}))
    assert not answer.accepted
    assert f"config/extra.db is a database in use: config/{log} holds what is not in it" in answer.reason
    assert (setting.guard.live / "config" / log).read_text() == "precious\n"
