"""The SQLite memory of an agent: captured whole while it is written to, kept by rollbacks, brought back by restore."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from driving import Driver, git, sh

from .playing import Stage, write_example

MEMORY = "conversations/shopping.db"


def turns(path: Path) -> int:
    """Return how many turns a database holds, which must be whole."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(database.execute("SELECT COUNT(*) FROM turn").fetchone()[0])


def lists(stage: Stage) -> int:
    """Ask for a shopping list in a conversation of its own; returns how many turns the agent remembers then."""
    answer = stage.say("shopping list")
    assert answer
    assert str(answer["reply"]).endswith("list 1 of this conversation")
    return turns(stage.driver.live / MEMORY)


def test_a_memory_in_sqlite_is_captured_kept_and_restored(tmp_path: Path) -> None:
    driver = Driver(tmp_path, write_example(tmp_path / "source"))
    state = driver.source / "stateguard.yaml" if driver.source else Path()
    state.write_text(state.read_text().replace("soak: 5m", "soak: 2s").replace("window: 8s", "window: 5s"))
    stage = Stage(driver)
    over = threading.Event()
    talking = threading.Thread(target=lambda: [stage.say("shopping list") for _ in iter(lambda: over.wait(0.1), True)])
    try:
        driver.init().start()
        assert lists(stage) == 2
        talking.start()
        driver.edit("config/analytics.yaml", (driver.work / "config/analytics.yaml").read_text() + "# two\n")
        driver.commit("Change analytics while shopping is at work")
        assert driver.push().returncode == 0
        number = driver.wait(lambda s: s["baseline"]["number"] == 2)["baseline"]["number"]
        over.set()
        talking.join()

        snapshot = driver.ask("baseline", "show", str(number))["snapshot"]
        kept = tmp_path / "kept.db"
        sh("sh", "-c", 'git -C "$1" show "$2" > "$3"', "sh", driver.home / "captured.git", f"{snapshot}:{MEMORY}", kept)
        captured, lived = turns(kept), lists(stage)
        assert 2 < captured < lived

        assert driver.ask("rollback", "baseline/1", "--yes")["outcome"] == "succeeded"
        assert turns(driver.live / MEMORY) == lived, "a rollback keeps conversations"
        assert (
            driver.ask("rollback", f"baseline/{number}", "--conversations", "restore", "--yes")["outcome"]
            == "succeeded"
        )
        assert turns(driver.live / MEMORY) == captured
        assert (driver.live / MEMORY).read_bytes()[:16] == b"SQLite format 3\0"
        assert lists(stage) == captured + 2, "the agent goes on from what was restored"
        assert git(driver.home / "captured.git", "cat-file", "-t", f"{snapshot}:{MEMORY}") == "blob"
    finally:
        over.set()
        driver.close()
