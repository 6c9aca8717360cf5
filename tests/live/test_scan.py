from __future__ import annotations

import mmap
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from helpers import eventually
from stateguard.config.sections import PathRules
from stateguard.live.scan import Scanner, settled
from stateguard.model.policy import Policy, Section
from stateguard.model.tree import EXECUTABLE, OBSTACLE, REGULAR, SYMLINK, Entry, blob_id

LONG_AGO = 1_600_000_000_000_000_000
NOWHERE = -1


@pytest.fixture
def scanner(root: Path, rules: PathRules) -> Scanner:
    return Scanner(root, rules)


def write(root: Path, path: str, content: bytes, mode: int = 0o644) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(mode)
    return file


def capturing(root: Path, *patterns: str) -> Scanner:
    return Scanner(root, PathRules(Policy(sections=(Section("s", patterns, captured=True),), ignore=("*.tmp",))))


class Kept:
    """Blobs that were kept, by id."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def store(self, content: bytes) -> str:
        self.blobs[blob_id(content)] = content
        return blob_id(content)

    def has(self, object_id: str) -> bool:
        return object_id in self.blobs


class TestObserve:
    def test_files_links_and_modes(self, root: Path, scanner: Scanner) -> None:
        write(root, "a", b"x")
        write(root, "bin/run", b"y", 0o755)
        (root / "link").symlink_to("/nowhere")
        assert scanner.observe(["a", "bin/run", "link", "gone", "a/below", "gone/below"]) == {
            "a": Entry(REGULAR, blob_id(b"x")),
            "bin/run": Entry(EXECUTABLE, blob_id(b"y")),
            "link": Entry(SYMLINK, blob_id(b"/nowhere")),
        }

    @pytest.mark.parametrize(("mode", "expected"), [(0o644, REGULAR), (0o611, REGULAR), (0o700, EXECUTABLE)])
    def test_the_owners_x_bit_is_what_git_looks_at(
        self, root: Path, scanner: Scanner, mode: int, expected: int
    ) -> None:
        write(root, "a", b"", mode)
        assert scanner.observe(["a"])["a"].mode == expected

    def test_what_git_cannot_hold_is_an_obstacle(self, root: Path, scanner: Scanner) -> None:
        (root / "directory").mkdir()
        os.mkfifo(root / "fifo")
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(str(root / "socket"))
            found = scanner.observe(["directory", "fifo", "socket"])
        assert found == dict.fromkeys(("directory", "fifo", "socket"), OBSTACLE)
        kept = Kept()
        assert scanner.keep(["directory", "fifo", "socket"], kept.store, kept.has) == {}

    def test_a_linked_directory_is_not_entered(self, root: Path, scanner: Scanner, tmp_path: Path) -> None:
        write(tmp_path, "outside/secret", b"secret")
        (root / "agents").symlink_to(tmp_path / "outside")
        assert scanner.observe(["agents/secret"]) == {}
        assert scanner.observe(["agents"])["agents"].mode == SYMLINK

    def test_a_missing_root_is_an_error(self, tmp_path: Path, rules: PathRules) -> None:
        with pytest.raises(FileNotFoundError):
            Scanner(tmp_path / "gone", rules).observe(["a"])

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=2), st.booleans()), max_size=12))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
    def test_what_was_just_written_is_seen_however_fast(
        self, root: Path, rules: PathRules, writes: list[tuple[str, bytes, bool]]
    ) -> None:
        scanner = Scanner(root, rules)
        for name, content, executable in writes:
            write(root, name, content, 0o755 if executable else 0o644)
            os.utime(root / name, ns=(LONG_AGO, LONG_AGO))
            mode = EXECUTABLE if executable else REGULAR
            assert scanner.observe([name])[name] == Entry(mode, blob_id(content))


class TestMemory:
    def test_a_rewrite_of_the_same_size_and_time_is_noticed(self, root: Path, scanner: Scanner) -> None:
        file = write(root, "a", b"one")
        os.utime(file, ns=(LONG_AGO, LONG_AGO))
        for content in (b"two", b"six", b"ten"):
            assert scanner.observe(["a"])
            file.write_bytes(content)
            os.utime(file, ns=(LONG_AGO, LONG_AGO))
            assert scanner.observe(["a"])["a"].id == blob_id(content)

    def test_a_change_that_no_stat_shows_is_noticed_while_the_file_is_young(self, root: Path, scanner: Scanner) -> None:
        attempts = count()

        def attempt() -> bool:
            name = f"a{next(attempts)}"
            with write(root, name, b"0").open("r+b") as stream, mmap.mmap(stream.fileno(), 1) as mapped:
                mapped[:] = b"1"
                scanner.observe([name])
                before = (root / name).stat()
                young = time.time_ns() - before.st_ctime_ns < 40_000_000
                mapped[:] = b"2"
                if not young or (root / name).stat() != before:
                    return False
                assert scanner.observe([name])[name].id == blob_id(b"2")
                return True

        eventually(attempt)

    def test_an_unchanged_file_is_not_kept_twice_but_a_lost_blob_is_kept_again(
        self, root: Path, scanner: Scanner
    ) -> None:
        file = write(root, "a", b"x")
        hashed: list[bytes] = []
        kept = Kept()

        def store(content: bytes) -> str:
            hashed.append(content)
            return kept.store(content)

        settle(file)
        first = scanner.keep(["a"], store, kept.has)
        assert scanner.keep(["a"], store, kept.has) == first
        assert hashed == [b"x"]
        kept.blobs.clear()
        assert scanner.keep(["a"], store, kept.has) == first
        assert kept.blobs == {blob_id(b"x"): b"x"}

    def test_what_was_only_observed_is_stored_when_kept(self, root: Path, scanner: Scanner) -> None:
        settle(write(root, "a", b"x"))
        scanner.observe(["a"])
        kept = Kept()
        scanner.keep(["a"], kept.store, kept.has)
        assert kept.blobs == {blob_id(b"x"): b"x"}


def settle(file: Path) -> None:
    """Return once a file is old enough that its stat alone tells that it did not change."""
    probe = file.with_name("probe-of-the-clock")

    def later() -> bool:
        probe.touch()
        return probe.stat().st_ctime_ns - file.stat().st_ctime_ns > 100_000_000

    eventually(later)
    probe.unlink()


class TestCaptured:
    def test_lists_what_the_system_owns_and_nothing_else(self, root: Path, scanner: Scanner) -> None:
        for path in ("conversations/a.jsonl", "conversations/deep/b.txt", "performance/p.json", "agents/a/agent.yaml"):
            write(root, path, b"x\n")
        for path in ("conversations/x.log", "conversations/.git/config", "conversations/.stateguard-tmp-a"):
            write(root, path, b"x\n")
        (root / "conversations/link").symlink_to("a.jsonl")
        os.mkfifo(root / "conversations/fifo")
        found = scanner.captured()
        assert found.paths == ("conversations/a.jsonl", "conversations/deep/b.txt", "performance/p.json")
        assert found.over == ()

    def test_a_captured_path_that_is_one_file(self, root: Path) -> None:
        write(root, "data/state.db", b"x")
        write(root, "data/other.db", b"x")
        assert capturing(root, "data/state.db").captured().paths == ("data/state.db",)
        assert capturing(root, "data/gone.db").captured().paths == ()

    def test_patterns_without_a_fixed_part(self, root: Path) -> None:
        for path in ("a/x.jsonl", "x.jsonl", "a/x.txt", "a/x.tmp"):
            write(root, path, b"")
        assert capturing(root, "*.jsonl").captured().paths == ("a/x.jsonl", "x.jsonl")

    @pytest.mark.parametrize("pattern", ["data/**", "data/deep/**"])
    def test_a_linked_directory_is_not_entered(self, root: Path, tmp_path: Path, pattern: str) -> None:
        write(tmp_path, "outside/deep/secret", b"x")
        (root / "data").symlink_to(tmp_path / "outside")
        assert capturing(root, pattern).captured().paths == ()

    def test_a_root_that_is_itself_a_link(self, root: Path, tmp_path: Path, rules: PathRules) -> None:
        write(root, "conversations/a.jsonl", b"{}\n")
        (tmp_path / "linked").symlink_to(root)
        scanner = Scanner(tmp_path / "linked", rules)
        assert scanner.captured().paths == ("conversations/a.jsonl",)
        assert scanner.everything() == ["conversations/a.jsonl"]

    def test_what_passes_a_ceiling_is_told_apart_until_it_shrinks(self, root: Path, scanner: Scanner) -> None:
        limit = 64 * 1024 * 1024
        for name, size in (("fits.bin", limit), ("big.bin", limit + 1)):
            with write(root, f"conversations/{name}", b"").open("wb") as stream:
                stream.truncate(size)
        found = scanner.captured()
        assert found.paths == ("conversations/fits.bin",)
        assert [one.path for one in found.over] == ["conversations/big.bin"]
        assert found.every == ("conversations/big.bin", "conversations/fits.bin")
        os.truncate(root / "conversations/big.bin", limit)
        assert scanner.captured().paths == ("conversations/big.bin", "conversations/fits.bin")
        with write(root, "conversations/big.bin-wal", b"").open("wb") as stream:
            stream.truncate(1)
        assert [one.path for one in scanner.captured().over] == ["conversations/big.bin"], "its log counts"

    @pytest.mark.parametrize("change", ["grow", "touch", "new", "gone", "log"])
    @pytest.mark.parametrize("pattern", ["data/**", "data/a.db"])
    def test_the_stamp_changes_with_any_of_them_and_with_nothing_else(
        self, root: Path, change: str, pattern: str
    ) -> None:
        file = write(root, "data/a.db", b"one")
        write(root, "elsewhere", b"one")
        scanner = capturing(root, pattern)
        before = scanner.captured().stamp
        write(root, "elsewhere", b"two")
        write(root, "data/a.tmp", b"two")
        assert scanner.captured().stamp == before
        if change == "grow":
            file.write_bytes(b"three")
        elif change == "touch":
            os.utime(file, ns=(LONG_AGO, LONG_AGO))
        elif change == "new":
            write(root, "data/b.db" if pattern == "data/**" else "data/a.db", b"new")
        elif change == "gone":
            file.unlink()
        else:
            write(root, "data/a.db-wal", b"log")
        assert scanner.captured().stamp != before

    def test_names_that_are_no_text_are_left_out(self, root: Path, scanner: Scanner) -> None:
        write(root, "conversations/a", b"")
        (root / "conversations" / os.fsdecode(b"\xff")).touch()
        assert list(scanner.captured().paths) == scanner.everything() == ["conversations/a"]

    def test_everything_is_every_file_and_link_that_is_not_ignored(self, root: Path, scanner: Scanner) -> None:
        for path in ("a", "d/b", "d/x.pyc", "__pycache__/c", ".stateguard.lock", "d/.stateguard-tmp-b"):
            write(root, path, b"")
        (root / "empty").mkdir()
        (root / "to-directory").symlink_to("d")
        assert scanner.everything() == ["a", "d/b", "to-directory"]


class TestJsonLines:
    @given(st.binary(max_size=40))
    def test_it_is_cut_at_the_last_line_end(self, content: bytes) -> None:
        found = settled(NOWHERE, "a.jsonl", content)
        assert content.startswith(found)
        assert found.count(b"\n") == content.count(b"\n")
        assert found == b"" or found.endswith(b"\n")

    @given(st.binary(max_size=40).filter(lambda content: not content.startswith(b"SQLite format 3\0")))
    def test_other_files_are_taken_whole(self, content: bytes) -> None:
        assert settled(NOWHERE, "a.json", content) == content

    def test_only_captured_ones_are_cut(self, root: Path, scanner: Scanner) -> None:
        for path in ("conversations/a.jsonl", "config/a.jsonl"):
            write(root, path, b"{}\n{")
        found = scanner.observe(["conversations/a.jsonl", "config/a.jsonl"])
        assert found["conversations/a.jsonl"].id == blob_id(b"{}\n")
        assert found["config/a.jsonl"].id == blob_id(b"{}\n{")
        assert scanner.content("conversations/a.jsonl") == b"{}\n"
        assert scanner.content("config/a.jsonl") == b"{}\n{"


@pytest.fixture(params=["delete", "wal"])
def database(request: pytest.FixtureRequest, root: Path) -> Iterator[sqlite3.Connection]:
    """Make a database in either journal mode."""
    path = write(root, MEMORY, b"")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={request.param}")
        connection.execute("CREATE TABLE a (n)")
        yield connection


MEMORY = "conversations/memory # 1?.db"


def count_in(content: bytes, directory: Path) -> int:
    copy = directory / "read-back"
    copy.write_bytes(content)
    with closing(sqlite3.connect(copy)) as connection:
        return int(connection.execute("SELECT count(*) FROM a").fetchone()[0])


class TestSqlite:
    def test_every_commit_is_noticed(
        self, scanner: Scanner, database: sqlite3.Connection, root: Path, tmp_path: Path
    ) -> None:
        for expected in (1, 2, 3):
            database.execute("INSERT INTO a VALUES (1)")
            settle(root / MEMORY)
            for _ in range(2):
                kept = Kept()
                found = scanner.keep([MEMORY], kept.store, lambda _id: True)
                content = scanner.content(MEMORY)
                assert found[MEMORY].id == blob_id(content)
                assert count_in(content, tmp_path) == expected

    def test_desired_ones_count_byte_by_byte(self, root: Path, scanner: Scanner) -> None:
        content = b"SQLite format 3\0" + b"x" * 100
        write(root, "config/x.db", content)
        assert scanner.observe(["config/x.db"])["config/x.db"].id == blob_id(content)


def test_a_tree_that_is_too_deep_is_left_out_and_hides_nothing_else(scanner: Scanner, root: Path) -> None:
    (root / "conversations").mkdir()
    (root / "conversations/a.jsonl").write_text("{}\n")
    for name, depth in (("d", 1200), ("n" * 250, 20)):
        directory = os.open(root / "conversations", os.O_RDONLY)
        for _ in range(depth):
            os.mkdir(name, dir_fd=directory)
            below = os.open(name, os.O_RDONLY, dir_fd=directory)
            os.close(directory)
            directory = below
            os.close(os.open("f" * 250, os.O_CREAT, dir_fd=directory))
        os.close(directory)
    paths = scanner.captured().paths
    assert "conversations/a.jsonl" in paths
    assert 400 < max(path.count("/") for path in paths) < 600
    assert scanner.observe(paths).keys() == set(paths)
    subprocess.run(["rm", "-rf", root / "conversations"], check=True)  # shutil would not come back from such a depth
