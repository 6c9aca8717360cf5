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
from keeping import kept_home
from stateguard.errors import RefusedError
from stateguard.guard.eject import eject
from stateguard.host.home import Home
from tiny import ALPHA, GOOD

PERSON = "person:somebody"


@pytest.fixture
def kept(tmp_path: Path) -> Driver:
    """Return a home with baselines and an incident, without a guard."""
    return kept_home(tmp_path)


@pytest.fixture
def guarded(kept: Driver) -> Iterator[Driver]:
    try:
        yield kept.start()
    finally:
        (kept.home / "ejected").unlink(missing_ok=True)
        kept.close()


def test_agents_run_on_the_repository_is_plain_and_it_can_be_guarded_anew(guarded: Driver, tmp_path: Path) -> None:
    guarded.clone()
    pids = {name: agent["pid"] for name, agent in guarded.agents().items()}
    before = {p: p.read_bytes() for p in guarded.live.rglob("*") if p.is_file() and p.name != ".stateguard.lock"}
    copy = tmp_path / "copy.git"
    done = guarded.run("eject", "--to", copy, "--yes")
    assert done.returncode == 0, done.stderr
    for words in ("guards nothing here any more", "run on: alpha", "plain git repository", "systemctl disable"):
        assert words in done.stdout
    assert f"init --from {guarded.live} --live {guarded.live}" in done.stdout
    guarded.gone()
    assert all(process_state(pid) not in ("", "Z") for pid in pids.values())
    assert {p: p.read_bytes() for p in guarded.live.rglob("*") if p.is_file()} == before
    assert not (guarded.home / "reserve").exists()
    for place in (guarded.repository, copy):
        assert not list((place / "hooks").glob("*receive"))
        names = git(place, "for-each-ref", "--format=%(refname:short)").split()
        assert {"main", "incidents", "baseline/1"} <= set(names)
        git(place, "fsck", "--strict")
    assert git(copy, "rev-parse", "main") == guarded.main
    assert guarded.offer(ALPHA, "wrong\n").returncode == 0, "a plain repository takes whatever is pushed"
    assert guarded.main == guarded.head
    for words in (["run"], ["agent", "stop", "--all"]):
        error = guarded.refused(*words, status=1)
        assert "was ejected" in error["message"]
        assert "init --from" in error["next"]
    assert guarded.ask("audit", "verify")["valid"]
    assert guarded.ask("audit", "log", "--limit", "1")["entries"][0]["kind"] == "eject"
    assert any(f["check"] == "home" and "ejected" in f["message"] for f in guarded.ask("doctor")["findings"])
    for pid in pids.values():
        sh("kill", "--", f"-{pid}")
        eventually(lambda pid=pid: process_state(pid) in ("", "Z"), 20)
    anew = Driver(tmp_path / "anew")
    anew.live = guarded.live
    try:
        anew.root.mkdir()
        anew.must("init", "--from", guarded.live, "--live", guarded.live, "--no-baseline", "--probe-runs", "0")
        assert set(anew.agents()) == {"alpha", "beta"}
    finally:
        anew.close()


def test_without_a_yes_nobody_is_asked_and_nothing_is_done(kept: Driver) -> None:
    assert "--yes" in kept.refused("eject", status=2)["next"]
    assert not (kept.home / "ejected").exists()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_a_copy_takes_nobodys_place(kept: Driver, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine\n")
    elif kind == "link":
        place.symlink_to(tmp_path / "nowhere")
    else:
        place.mkdir()
        (place / "mine").touch()
    with pytest.raises(RefusedError, match="is there already"):
        eject(Home(kept.home), place, PERSON, lambda _: None)
    assert not (kept.home / "ejected").exists()
    assert (kept.repository / "hooks/proc-receive").exists()


def test_in_the_middle_of_a_push_it_is_refused(tiny: Driver) -> None:
    (tiny.live / "hold").touch()
    ready = (tiny.work / "bin/ready.sh").read_text()
    tiny.edit("bin/ready.sh", "while [ -e hold ]; do sleep 0.05; done\n" + ready)
    tiny.edit(ALPHA, GOOD + "# held\n")
    tiny.commit("A probe that waits")
    push = tiny.begin_push()
    try:
        tiny.wait(lambda s: s["transition"])
        with pytest.raises(RefusedError, match="has not ended") as refused:
            eject(Home(tiny.home), None, PERSON, lambda _: None)
        assert refused.value.changed == "nothing was changed"
    finally:
        (tiny.live / "hold").unlink()
    assert end_pushing(push)[0] == 0
    assert tiny.status()["guard"]["running"]


def test_after_a_crash_it_is_refused_and_interrupted_it_is_run_again(kept: Driver) -> None:
    connection = sqlite3.connect(kept.home / "guard.db")
    (outcome,) = connection.execute("SELECT outcome FROM operation WHERE id=1").fetchone()
    connection.execute("UPDATE operation SET outcome=NULL WHERE id=1")
    connection.commit()
    with pytest.raises(RefusedError, match="has not ended") as refused:
        eject(Home(kept.home), None, PERSON, lambda _: None)
    assert "recover" in refused.value.next_step
    assert not (kept.home / "ejected").exists()
    connection.execute("UPDATE operation SET outcome=? WHERE id=1", (outcome,))
    connection.commit()
    connection.close()
    (kept.home / "ejected").write_text(json.dumps({"at": "2026-01-01T00:00:00Z", "actor": "person:x"}))
    lock, other = kept.live / ".stateguard.lock", json.dumps({"owner": "somebody", "home": os.devnull})
    lock.write_text(other)
    eject(Home(kept.home), None, PERSON, lambda _: None)
    assert not (kept.repository / "hooks/proc-receive").exists()
    assert lock.read_text() == other, "another guard's lock is left alone"
