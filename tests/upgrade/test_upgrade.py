"""Homes that earlier versions made: refused, upgraded or opened, but never half changed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Document, Driver, environment, sh
from keeping import unpacked
from stateguard.guard.upgrade import MIGRATIONS
from stateguard.host.database import VERSION
from stateguard.host.lock import WriterLock
from tiny import ALPHA, GOOD, write_tiny

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIXTURES = sorted(HERE.glob("home-v*.tar.gz"))


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Driver]:
    """Yield a home of version 1, as it came."""
    driver = unpacked(tmp_path)
    try:
        yield driver
    finally:
        if driver.daemon is not None:
            driver.close()


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def content(root: Path) -> dict[str, bytes]:
    left_out = ("run/writer.lock", "guard.db-wal", "guard.db-shm")
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and not str(p).endswith(left_out)
    }


def sql(driver: Driver, statement: str) -> None:
    connection = sqlite3.connect(driver.home / "guard.db")
    connection.execute(statement)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def works(driver: Driver) -> None:
    """Demand that a home takes a push, and that all it holds verifies."""
    driver.clone()
    done = driver.offer(ALPHA, GOOD + "# after the upgrade\n")
    assert done.returncode == 0, done.stderr
    assert driver.ask("audit", "verify")["valid"]
    assert driver.ask("baseline", "verify")["valid"]


def test_there_is_a_migration_for_every_version_and_a_home_of_each_but_this() -> None:
    assert [m.version for m in MIGRATIONS] == list(range(2, VERSION + 1))
    assert [f.name for f in FIXTURES] == [f"home-v{n}.tar.gz" for n in range(1, VERSION)]
    assert all(f.stat().st_size < 100_000 for f in FIXTURES)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda f: f.name)
def test_a_guard_upgrades_a_home_when_it_starts(fixture: Path, tmp_path: Path) -> None:
    driver = unpacked(tmp_path, fixture.name)
    before = version(driver.home / "guard.db")
    try:
        driver.start()
        assert version(driver.home / "guard.db") == VERSION
        assert version(driver.home / f"guard.db.v{before}") == before
        entries = driver.ask("history")["entries"]
        assert {"apply", "rollback", "heal"} <= {e["kind"] for e in entries}
        assert len([e for e in entries if e["kind"] == "apply"]) >= 4
        incidents = driver.ask("incident", "list")["incidents"]
        assert [i["id"] for i in incidents][-1] == 1  # on a busy machine the guard may have opened one of its own
        assert {1, 2} <= {b["number"] for b in driver.ask("baseline", "list")["baselines"]}
        works(driver)
        assert driver.ask("rollback", "1", "--yes")["outcome"] == "succeeded"
    finally:
        driver.close()


def test_reading_says_what_to_do_and_writing_upgrades_first(old: Driver) -> None:
    before = content(old.root)
    error = old.refused("history", status=12)
    assert error["next"] == "stateguard upgrade"
    planned = old.ask("upgrade", "--dry-run")
    assert (planned["from"], planned["to"], planned["dry_run"]) == (1, VERSION, True)
    assert planned["steps"] == [m.title for m in MIGRATIONS]
    assert content(old.root) == before
    old.must("suspend")
    assert version(old.home / "guard.db") == VERSION
    assert old.ask("history")["entries"]


def test_the_command_keeps_the_old_database_and_renews_hooks(old: Driver) -> None:
    done = old.ask("upgrade")
    assert done["backup"] == str(old.home / "guard.db.v1")
    assert version(old.home / "guard.db.v1") == 1
    assert (old.home / "guard.db.v1").stat().st_mode & 0o777 == 0o600
    for hook in ("pre-receive", "proc-receive"):
        assert sys.executable in (old.repository / "hooks" / hook).read_text()
    findings = {f["check"]: f["level"] for f in old.ask("doctor")["findings"]}
    assert findings["hooks"] == findings["database"] == findings["git-settings"] == "ok"
    again = old.ask("upgrade")
    assert (again["from"], again["steps"], again["backup"]) == (VERSION, [], None)
    connection = sqlite3.connect(old.home / "guard.db")
    assert connection.execute("SELECT version FROM upgrade").fetchall() == [(VERSION,)]
    connection.close()


@pytest.mark.parametrize("words", [("upgrade",), ("run",)])
def test_in_the_middle_of_a_transition_it_is_refused(old: Driver, words: tuple[str, ...]) -> None:
    sql(old, "UPDATE operation SET outcome=NULL WHERE id=3")
    before = content(old.root)
    done = old.run("--json", *words)
    assert done.returncode == 1
    error: Document = json.loads(done.stdout)["error"]
    assert "operation 3" in error["message"]
    assert "recover" in error["next"]
    assert error["changed"] == "nothing was changed"
    assert content(old.root) == before


@pytest.mark.parametrize("words", [("upgrade",), ("run",)])
def test_a_home_of_a_newer_version_is_refused(old: Driver, words: tuple[str, ...]) -> None:
    sql(old, f"PRAGMA user_version={VERSION + 1}")
    before = content(old.root)
    done = old.run("--json", *words)
    assert done.returncode == 12
    assert "use the newer stateguard" in json.loads(done.stdout)["error"]["next"]
    assert content(old.root) == before


def test_killed_in_the_middle_it_is_as_it_was_and_done_again(old: Driver) -> None:
    done = old.run("upgrade", STATEGUARD_FAULT="upgrade.step:1:kill")
    assert done.returncode < 0
    assert version(old.home / "guard.db") == 1
    assert old.ask("upgrade")["to"] == VERSION
    assert version(old.home / "guard.db") == VERSION
    assert old.ask("history")["entries"]


def test_a_damaged_database_is_no_home_to_upgrade(old: Driver) -> None:
    (old.home / "guard.db").write_bytes(b"no database " * 400)
    assert "doctor" in old.refused("upgrade", status=12)["next"]
    assert not (old.home / "guard.db.v1").exists()


def test_while_a_guard_runs_nothing_is_upgraded_under_it(old: Driver) -> None:
    with WriterLock(old.home / "run/writer.lock", "daemon").acquire():
        assert "is held by daemon" in old.refused("upgrade", status=11)["message"]
    assert version(old.home / "guard.db") == 1


def previous_commit(target: Path) -> bool:
    """Unpack the commit before this one; False where the history is not there."""
    packed = target / "old.tar"
    target.mkdir()
    made = sh(
        "git", "-C", ROOT, "archive", "-o", packed, "HEAD~1", "--", "stateguard", "hooks", "templates", check=False
    )
    if made.returncode or not (ROOT / ".git").exists():
        return False
    with tarfile.open(packed) as archive:
        archive.extractall(target, filter="data")
    return True


def test_a_home_made_by_the_previous_commit_opens_in_this_one(tmp_path: Path) -> None:
    code = tmp_path / "code"
    if not previous_commit(code):
        pytest.skip("the history of this checkout is not there; the homes of earlier versions are tested above")
    driver = Driver(tmp_path, write_tiny(tmp_path / "source"))
    before = {**environment(), "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["init", "--from", str(driver.source), "--live", str(driver.live), "--no-baseline"]
    try:
        for line in (words, ["baseline", "create", "--force"], ["agent", "list"]):
            subprocess.run(driver.command(*line), env=before, check=True, capture_output=True, timeout=120)
        pids = {a["pid"] for a in driver_agents(driver, before)}
        driver.start()
        assert {a["pid"] for a in driver.agents().values()} == pids, "the agents of the earlier guard were taken over"
        assert driver.ask("baseline", "list")["baselines"][0]["number"] == 1
        works(driver)
    finally:
        driver.close()


def driver_agents(driver: Driver, variables: dict[str, str]) -> list[Document]:
    done = subprocess.run(
        driver.command("--json", "agent", "list"), env=variables, check=True, capture_output=True, timeout=120
    )
    found: list[Document] = json.loads(done.stdout)["agents"]
    assert all(a["pid"] for a in found)
    return found


def test_the_previous_commit_is_really_run_from_its_own_files(tmp_path: Path) -> None:
    package = tmp_path / "stateguard"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = 'elsewhere'\n")
    (package / "__main__.py").write_text("print('elsewhere')\n")
    done = subprocess.run(
        [sys.executable, "-m", "stateguard"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "elsewhere\n"


def test_hooks_and_settings_are_renewed_where_the_home_is_of_this_version(tmp_path: Path) -> None:
    driver = Driver(tmp_path, write_tiny(tmp_path / "source"))
    try:
        driver.init("--no-baseline")
        hook = driver.repository / "hooks" / "reference-transaction"
        as_made = hook.read_bytes()
        hook.unlink()
        sh("git", "-C", driver.repository, "config", "receive.unpackLimit", "100")
        assert not driver.ask("upgrade", "--dry-run")["steps"]
        assert not hook.exists()
        driver.must("upgrade")
        assert hook.read_bytes() == as_made
        assert sh("git", "-C", driver.repository, "config", "receive.unpackLimit").stdout.strip() == "1"
    finally:
        driver.close()
