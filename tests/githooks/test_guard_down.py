"""Pushes while no guard runs: the hook admits by itself or refuses; it never fails open."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver, end_pushing, git, sh
from tiny import ALPHA, GOOD, write_tiny

NOBODY = 65534


@pytest.fixture
def down(tiny: Driver) -> Iterator[Driver]:
    tiny.stop()
    yield tiny
    tiny.start(health="")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Driver]:
    """Make a home of its own, to be damaged; no guard has ever run there."""
    driver = Driver(tmp_path, write_tiny(tmp_path / "source"))
    try:
        yield driver.init("--no-baseline")
    finally:
        driver.close()


def test_a_push_is_admitted_and_applied_at_the_next_start(down: Driver) -> None:
    revision, pids = down.status()["revision"], {n: a["pid"] for n, a in down.agents().items()}
    done = down.offer(ALPHA, GOOD + "# unguarded\n")
    assert done.returncode == 0
    assert "remote: stateguard: no guard runs: admitted; it is applied when the guard starts" in done.stderr
    status = down.status()
    assert not status["guard"]["running"]
    assert status["main"] == down.main == down.head
    assert status["revision"] == revision
    assert f"main         {down.head[:10]} is not live: it is applied when the guard starts" in down.must("status")
    assert {n: a["pid"] for n, a in down.agents().items()} == pids
    down.start()
    down.settled()
    assert (down.live / ALPHA).read_text() == GOOD + "# unguarded\n"
    assert down.newest(kind="apply")["to"] == down.head
    assert down.ask("audit", "verify")["valid"]
    down.stop()


def test_a_push_that_does_not_work_is_taken_back_at_the_next_start(down: Driver) -> None:
    before, content = down.main, (down.live / ALPHA).read_text()
    assert down.offer(ALPHA, "wrong and unguarded\n").returncode == 0
    down.start(health="")
    down.wait(lambda s: s["main"] not in (before, down.head))
    down.settled()
    assert git(down.repository, "rev-parse", "main~1") == down.head
    assert git(down.repository, "rev-parse", "main^{tree}") == git(down.repository, "rev-parse", before + "^{tree}")
    assert (down.live / ALPHA).read_text() == content
    assert down.newest(kind="rollback")["incident"]
    down.stop()


def test_two_pushes_are_applied_as_the_last(down: Driver) -> None:
    assert down.offer(ALPHA, GOOD + "# first\n").returncode == 0
    assert down.offer(ALPHA, GOOD + "# last\n").returncode == 0
    down.start()
    down.settled()
    assert (down.live / ALPHA).read_text() == GOOD + "# last\n"
    down.stop()


def test_an_invalid_push_is_refused(down: Driver) -> None:
    before = down.refs()
    done = down.offer("agents/beta/agent.yaml", "name: [beta\n")
    assert done.returncode == 1
    assert "agents/beta/agent.yaml:" in done.stderr
    assert down.push("--force", ref="HEAD:refs/tags/baseline/9").returncode == 1
    assert down.refs() == before


def test_a_rejected_push_is_not_a_fast_forward(down: Driver) -> None:
    down.offer(ALPHA, GOOD + "# ahead\n")
    before = down.main
    sh("git", "reset", "-q", "--hard", "HEAD~1", cwd=down.work)
    down.edit(ALPHA, GOOD + "# aside\n")
    down.commit("Aside")
    assert down.push("--force").returncode == 1
    assert down.main == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a home to somebody else")
@pytest.mark.slow
def test_a_push_whose_guard_stays_away_is_told_that_nothing_is_decided(home: Driver) -> None:
    """The hook waits for a guard that went away; then it says what it knows, and the guard what became of it."""
    home.start(fault="stage.validate:1:kill")
    before, content = home.main, GOOD + "# undecided\n"
    home.edit(ALPHA, content)
    home.commit("Change")
    push = home.begin_push()
    home.gone()
    status, said = end_pushing(push)
    assert status == 1
    number = home.status()["transition"]["operation"]
    assert f"undecided: operation {number} is finished or undone when the guard starts" in said
    assert "nothing was changed" not in said
    assert "stateguard run finishes or undoes it; git fetch shows which" in said
    assert home.main == before
    assert (home.live / ALPHA).read_text() == content
    shown = home.must("status")
    assert f"interrupted  apply {number}" in shown
    assert "stateguard recover" in shown
    assert home.ask("show", str(number))["outcome"] == "interrupted"
    home.start()
    home.settled()
    assert home.main == home.head
    assert home.ask("show", str(number))["outcome"] == "succeeded"


def test_another_user_is_told_to_start_the_guard(home: Driver) -> None:
    """The home belongs to somebody else, so whoever pushes here is another user."""
    os.chown(home.home, NOBODY, NOBODY)
    said = never_let_in(home)
    assert "the guard does not run, and only its own user can push without it" in said
    assert "next: stateguard run" in said
    os.chown(home.home, 0, 0)


def never_let_in(driver: Driver) -> str:
    before = git(driver.repository, "for-each-ref")
    content = (driver.live / ALPHA).read_text()
    done = driver.offer(ALPHA, GOOD + "# never\n")
    assert done.returncode == 1
    assert git(driver.repository, "for-each-ref") == before
    assert (driver.live / ALPHA).read_text() == content
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_damaged_database_refuses(home: Driver) -> None:
    database = home.home / "guard.db"
    kept = database.read_bytes()
    database.write_bytes(b"no database at all " * 500)
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    assert "guard.db" in never_let_in(home)
    database.write_bytes(kept)


def test_a_database_that_is_no_file_refuses(home: Driver) -> None:
    """As good as one that cannot be written; root writes everything else."""
    database = home.home / "guard.db"
    database.rename(home.root / "kept.db")
    database.mkdir()
    assert "guard.db" in never_let_in(home)
    database.rmdir()
    (home.root / "kept.db").rename(database)


def test_a_missing_key_refuses(home: Driver) -> None:
    key = home.home / "keys/guard"
    key.rename(home.root / "kept")
    assert "key" in never_let_in(home)
    (home.root / "kept").rename(key)


def test_a_missing_settings_file_refuses(home: Driver) -> None:
    (home.home / "guard.yaml").rename(home.root / "kept.yaml")
    assert never_let_in(home)
    (home.root / "kept.yaml").rename(home.home / "guard.yaml")


def test_a_home_that_moves_takes_its_hooks_along(home: Driver) -> None:
    """The hooks name interpreter and client, and find the home by where the repository lies."""
    home.must("agent", "stop", "--all")
    moved = home.root / "moved"
    home.home.rename(moved)
    home.home, home.repository = moved, moved / "repo.git"
    sh("git", "remote", "set-url", "origin", str(home.repository), cwd=home.work)
    assert home.offer(ALPHA, GOOD + "# moved\n").returncode == 0
    assert home.main == home.head
