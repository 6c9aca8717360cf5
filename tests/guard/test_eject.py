"""Leaving: agents run on, the repository is plain, the home is a record, and nothing is left half way."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver, end_pushing, git, process_state, sh
from helpers import eventually
from tiny import ALPHA, GOOD, write_tiny


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path, write_tiny(tmp_path / "source"))
    try:
        driver.init("--no-baseline")
        yield driver
    finally:
        (driver.home / "ejected").unlink(missing_ok=True)
        driver.close()


def test_agents_run_on_and_the_repository_is_plain(guarded: Driver, tmp_path: Path) -> None:
    guarded.start()
    assert guarded.offer(ALPHA, GOOD + "# second\n").returncode == 0
    guarded.must("baseline", "create")
    assert guarded.offer(ALPHA, "wrong\n").returncode == 1
    guarded.sync()
    pids = {name: agent["pid"] for name, agent in guarded.agents().items()}
    before = {p: p.read_bytes() for p in guarded.live.rglob("*") if p.is_file() and p.name != ".stateguard.lock"}
    copy = tmp_path / "copy.git"
    done = guarded.ask("eject", "--to", copy, "--yes")
    guarded.gone()
    assert {a["name"]: a["pid"] for a in done["agents"]} == pids
    assert all(process_state(pid) not in ("", "Z") for pid in pids.values())
    assert {p: p.read_bytes() for p in guarded.live.rglob("*") if p.is_file()} == before
    assert not (guarded.home / "reserve").exists()
    for place in (guarded.repository, copy):
        assert not list((place / "hooks").glob("*receive"))
        assert {"main", "incidents", "baseline/1"} <= set(
            git(place, "for-each-ref", "--format=%(refname:short)").split()
        )
        git(place, "fsck", "--strict")
    assert guarded.offer(ALPHA, "wrong\n").returncode == 0, "a plain repository takes whatever is pushed"
    assert guarded.main == guarded.head
    assert git(copy, "rev-parse", "main") == done["main"] == done["revision"]
    for words in (["run"], ["suspend"], ["apply"], ["agent", "stop", "--all"]):
        error = guarded.refused(*words, status=1)
        assert "was ejected" in error["message"]
        assert "init --from" in error["next"]
    assert guarded.ask("audit", "verify")["valid"]
    assert guarded.ask("audit", "log", "--limit", "1")["entries"][0]["kind"] == "eject"
    assert guarded.ask("history")["entries"]
    assert any(f["check"] == "home" and "ejected" in f["message"] for f in guarded.ask("doctor")["findings"])
    assert guarded.ask("eject", "--yes")["copy"] is None, "again is fine"


def test_people_are_told_what_remains_and_how_to_guard_anew(guarded: Driver, tmp_path: Path) -> None:
    pids = [agent["pid"] for agent in guarded.agents().values()]
    done = guarded.run("eject", "--yes")
    assert done.returncode == 0
    for words in ("guards nothing here any more", "run on: alpha", "plain git repository", "systemctl disable"):
        assert words in done.stdout
    assert f"init --from {guarded.live} --live {guarded.live}" in done.stdout
    for pid in pids:
        sh("kill", "--", f"-{pid}")
        eventually(lambda pid=pid: process_state(pid) in ("", "Z"), 20)
    anew = Driver(tmp_path / "anew")
    anew.live = guarded.live
    try:
        anew.root.mkdir()
        anew.must("init", "--from", guarded.live, "--live", guarded.live, "--no-baseline")
        anew.start()
        assert set(anew.agents()) == {"alpha", "beta"}
        assert anew.status()["drift"] == []
    finally:
        anew.close()


def test_without_a_yes_nobody_is_asked_and_nothing_is_done(tiny: Driver) -> None:
    assert "--yes" in tiny.refused("eject", status=2)["next"]
    assert not (tiny.home / "ejected").exists()
    assert tiny.status()["guard"]["running"]


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_a_copy_takes_nobodys_place(tiny: Driver, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine\n")
    elif kind == "link":
        place.symlink_to(tmp_path / "nowhere")
    else:
        place.mkdir()
        (place / "mine").touch()
    assert "is there already" in tiny.refused("eject", "--yes", "--to", place, status=1)["message"]
    assert not (tiny.home / "ejected").exists()
    assert (tiny.repository / "hooks/proc-receive").exists()


def test_in_the_middle_of_a_push_it_is_refused(tiny: Driver) -> None:
    (tiny.live / "hold").touch()
    ready = (tiny.work / "bin/ready.sh").read_text()
    tiny.edit("bin/ready.sh", "while [ -e hold ]; do sleep 0.05; done\n" + ready)
    tiny.edit(ALPHA, GOOD + "# held\n")
    tiny.commit("A probe that waits")
    push = tiny.begin_push()
    try:
        tiny.wait(lambda s: s["transition"])
        error = tiny.refused("eject", "--yes", status=1)
        assert "has not ended" in error["message"]
        assert error["changed"] == "nothing was changed"
    finally:
        (tiny.live / "hold").unlink()
    assert end_pushing(push)[0] == 0
    assert tiny.status()["guard"]["running"]


def test_after_a_crash_it_is_refused_and_interrupted_it_is_run_again(guarded: Driver) -> None:
    connection = sqlite3.connect(guarded.home / "guard.db")
    (outcome,) = connection.execute("SELECT outcome FROM operation WHERE id=1").fetchone()
    connection.execute("UPDATE operation SET outcome=NULL WHERE id=1")
    connection.commit()
    assert "recover" in guarded.refused("eject", "--yes", status=1)["next"]
    assert not (guarded.home / "ejected").exists()
    connection.execute("UPDATE operation SET outcome=? WHERE id=1", (outcome,))
    connection.commit()
    connection.close()
    (guarded.home / "ejected").write_text(json.dumps({"at": "2026-01-01T00:00:00Z", "actor": "person:x"}))
    lock, other = guarded.live / ".stateguard.lock", json.dumps({"owner": "somebody", "home": os.devnull})
    lock.write_text(other)
    guarded.ask("eject", "--yes")
    assert not (guarded.repository / "hooks/proc-receive").exists()
    assert lock.read_text() == other, "another guard's lock is left alone"
