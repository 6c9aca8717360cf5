"""What agents write between transitions is kept by itself."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from driving import Driver, git
from helpers import eventually
from tiny import ALPHA, write_tiny

SINCE = "refs/stateguard/snapshots/since/"
TALK = "conversations/alpha.jsonl"


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("keeping")
    source = write_tiny(root / "source")
    text = (source / "stateguard.yaml").read_text().replace("heal_after:", "capture_after: 0.1s, heal_after:")
    ceilings = "  conversations: {max_file_size: 100KiB, max_files: 50}\n"
    (source / "stateguard.yaml").write_text(text + ceilings)
    driver = Driver(root, source)
    try:
        driver.init("--no-baseline")
        settings = driver.home / "guard.yaml"
        settings.write_text(settings.read_text().replace("cycle: 5s", "cycle: 0.1s"))
        yield driver.start()
    finally:
        driver.close()


def captured(driver: Driver, *argv: str) -> str:
    return git(driver.home / "captured.git", *argv)


def kept(driver: Driver, path: str, line: int = 0) -> str:
    """Return a file as the newest running snapshot has it; nothing if there is none."""
    found = git(driver.home / "captured.git", "show", f"{SINCE}{line}:{path}", check=False)
    return found + "\n" if found else ""


def conditions(driver: Driver) -> dict[str, str]:
    return {c["type"]: c["message"] for c in driver.status()["conditions"]}


def test_lines_are_kept_one_after_the_other_and_half_a_line_is_not(keeping: Driver) -> None:
    file = keeping.live / TALK
    for number in range(3):
        before = file.read_text()
        with file.open("a") as stream:
            stream.write(json.dumps({"number": number}) + "\n" + '{"half')
        eventually(lambda b=before, n=number: kept(keeping, TALK) == b + json.dumps({"number": n}) + "\n", 20)
        file.write_text(file.read_text().removesuffix('{"half'))
    commits = captured(keeping, "rev-list", "--first-parent", f"{SINCE}0").splitlines()
    assert len(commits) >= 3
    assert all(captured(keeping, "rev-list", "--parents", "-1", c).count(" ") <= 1 for c in commits)


def test_nothing_is_written_while_nothing_changes(keeping: Driver) -> None:
    with (keeping.live / TALK).open("a") as stream:
        stream.write('{"last": true}\n')
    eventually(lambda: kept(keeping, TALK).endswith('{"last": true}\n'), 20)
    head = captured(keeping, "rev-parse", f"{SINCE}0")
    os.utime(keeping.live / TALK)
    with (keeping.live / TALK).open("a") as stream:
        stream.write('{"half')
    (keeping.live / "unmanaged").write_text("mine")
    took = sum("kept what agents wrote" in line for line in keeping.log.read_text().splitlines())
    pass_turns(keeping, 3)
    assert captured(keeping, "rev-parse", f"{SINCE}0") == head
    assert sum("kept what agents wrote" in line for line in keeping.log.read_text().splitlines()) == took
    (keeping.live / TALK).write_text((keeping.live / TALK).read_text().removesuffix('{"half'))


def pass_turns(driver: Driver, number: int) -> None:
    """Let a file come and go that is too large to be kept: each is seen in a turn of its own."""
    big = driver.live / "conversations/huge.jsonl"
    for _ in range(number):
        big.write_text("x" * 200_000)
        driver.wait(lambda s: any(c["type"] == "CAPTURE_CEILING" for c in s["conditions"]))
        big.unlink()
        driver.wait(lambda s: not any(c["type"] == "CAPTURE_CEILING" for c in s["conditions"]))


def test_a_file_over_the_ceiling_is_a_condition_until_it_shrinks(keeping: Driver) -> None:
    big = keeping.live / "conversations/big.jsonl"
    big.write_text('{"pad": "x"}\n' * 10_000)
    keeping.wait(lambda s: any(c["type"] == "CAPTURE_CEILING" for c in s["conditions"]))
    document = next(c for c in keeping.ask("conversations", "list")["conversations"] if c["path"].endswith("big.jsonl"))
    assert "max_file_size 100KiB" in document["not_kept"] or "102400" in document["not_kept"]
    assert kept(keeping, "conversations/big.jsonl") == ""
    big.write_text('{"pad": "x"}\n')
    keeping.wait(lambda s: not any(c["type"] == "CAPTURE_CEILING" for c in s["conditions"]))
    eventually(lambda: kept(keeping, "conversations/big.jsonl") == '{"pad": "x"}\n', 20)


def test_a_memory_in_sqlite_is_kept_and_the_directory_left_alone(keeping: Driver) -> None:
    file = keeping.live / "conversations/memory.db"
    with closing(sqlite3.connect(file)) as memory:
        memory.execute("PRAGMA journal_mode=WAL")
        memory.execute("CREATE TABLE notes (text)")
        memory.execute("INSERT INTO notes VALUES ('remember')")
        memory.commit()
        eventually(lambda: kept_notes(keeping) == [("remember",)], 20)
    assert sorted(p.name for p in file.parent.glob("memory*")) == ["memory.db"]


def kept_notes(driver: Driver) -> list[tuple[str]]:
    """Return what the memory says in the newest snapshot."""
    repository, copy = driver.home / "captured.git", driver.root / "memory-copy.db"
    command = f"git --git-dir {repository} show {SINCE}0:conversations/memory.db > {copy}"
    if os.system(f"{command} 2>/dev/null") != 0:  # noqa: S605 - paths of ours
        return []
    with closing(sqlite3.connect(copy)) as connection:
        try:
            return connection.execute("SELECT text FROM notes").fetchall()
        except sqlite3.DatabaseError:
            return []


def test_turns_are_shown_under_the_revision_that_was_in_force(keeping: Driver) -> None:
    before = keeping.settled()["revision"]
    with (keeping.live / TALK).open("a") as stream:
        stream.write('{"under": "the old"}\n')
    eventually(lambda: '"the old"' in kept(keeping, TALK), 20)
    keeping.sync()
    assert keeping.offer("agents/alpha/prompt.md", "Answer at length.\n").returncode == 0
    after = keeping.settled()["revision"]
    with (keeping.live / TALK).open("a") as stream:
        stream.write('{"under": "the new"}\n')
    number = len((keeping.live / TALK).read_bytes().splitlines())
    eventually(lambda: '"the new"' in kept(keeping, TALK), 20)
    turns = keeping.ask("conversations", "show", TALK)["turns"]
    assert [(t["to_line"], t["revision"]) for t in turns[-2:]] == [(number - 1, before), (number, after)]
    assert turns[-1]["fingerprint"] == keeping.ask("fingerprint", after)["fingerprint"]
    text = keeping.must("conversations", "show", TALK)
    assert f"{number}-{number}" in text
    assert after[:10] in text
    assert TALK in keeping.must("conversations", "list")


def test_baselines_hold_without_what_lies_between_them(keeping: Driver) -> None:
    first = keeping.ask("baseline", "create", "--force")["number"]
    with (keeping.live / TALK).open("a") as stream:
        stream.write('{"between": 1}\n')
    eventually(lambda: '"between"' in kept(keeping, TALK, first), 20)
    second = keeping.ask("baseline", "create", "--force")["number"]
    snapshots = [captured(keeping, "rev-parse", f"refs/stateguard/snapshots/baseline/{n}") for n in (first, second)]
    parents = captured(keeping, "rev-list", "--no-walk", "--parents", *snapshots).split()
    assert sorted(parents) == sorted(snapshots), "no parents, so that each can be let go by itself"
    assert captured(keeping, "merge-base", f"{SINCE}{first}", snapshots[0]) == snapshots[0]
    keeping.stop()
    between = captured(keeping, "rev-parse", f"{SINCE}{first}")
    for name in captured(keeping, "for-each-ref", "--format=%(refname)", SINCE).splitlines():
        captured(keeping, "update-ref", "-d", name)
    captured(keeping, "reflog", "expire", "--expire=now", "--all")
    captured(keeping, "gc", "-q", "--prune=now")
    assert git(keeping.home / "captured.git", "cat-file", "-t", between, check=False) == ""
    assert keeping.ask("baseline", "verify")["valid"]
    keeping.start()


@pytest.mark.parametrize("path", ["conversations/none.jsonl", ALPHA, "../secret", "/etc/passwd", ""])
def test_what_is_no_conversation_is_15(keeping: Driver, path: str) -> None:
    assert keeping.refused("conversations", "show", path, status=15)["code"] == "not-found"
    keeping.refused("conversations", "show", status=2)
