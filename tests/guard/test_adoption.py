"""A stranger's directory in use is taken under guard where it lies, and nothing of theirs is ever touched."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from driving import Document, Driver, git, sh
from tiny import ALPHA, GOOD, write_tiny

HELD = "agents/alpha/prompt.md"

IGNORED = [
    ".env", ".env.local", "config/.env", ".venv/pyvenv.cfg", ".venv/lib/site.py", "venv/bin/activate",
    "node_modules/left/index.js", "bin/__pycache__/agent.cpython-311.pyc", "app.log", "app.log.1", "logs/old.log",
    "logs/deep/er.txt", ".cache/thing", ".mypy_cache/x.json", "run.pid", "data/state.db-wal", "data/state.db-shm",
    "tmp/scratch", "x.tmp", "bin/.agent.sh.swp", "notes~", "#notes#", ".#notes", ".idea/workspace.xml", ".DS_Store",
    "server.key", "tls/cert.pem", ".ssh/config", "id_ed25519", "nohup.out", ".npmrc",
]  # fmt: skip
"""What the shipped patterns leave out."""

OWN = ["build/out.bin", "secrets.txt", "data/cache.bin", "private/notes.md"]
"""What the directory's own .gitignore and .git/info/exclude leave out."""

TRACKED = ["README.md", "docs/guide.md", "data/table.csv", "run.sh"]
"""What is taken."""


@dataclass
class Used:
    """A directory in use, with open sockets, and how everything in it was before."""

    driver: Driver
    sockets: list[socket.socket]
    before: dict[str, tuple[object, ...]]

    def untouched(self) -> None:
        """Check that every path that was there and is not managed is the same to the last bit, and still there."""
        managed = set(git(self.driver.repository, "ls-tree", "-r", "--name-only", "refs/heads/main").splitlines())
        now = snapshot(self.driver.live)
        compared = [p for p in self.before if p not in managed]
        assert len(compared) >= 200
        assert {p: now.get(p) for p in compared} == {p: self.before[p] for p in compared}


def snapshot(root: Path) -> dict[str, tuple[object, ...]]:
    """Return inode, mode, owner, times and content of everything but directories below a directory."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        s = path.lstat()
        if stat.S_ISDIR(s.st_mode):
            continue
        content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(s.st_mode) else ""
        content = str(path.readlink()) if stat.S_ISLNK(s.st_mode) else content
        seen = (s.st_ino, s.st_mode, s.st_nlink, s.st_uid, s.st_gid, s.st_mtime_ns, s.st_ctime_ns, content)
        found[str(path.relative_to(root))] = seen
    return found


def fill(root: Path) -> list[socket.socket]:
    """Fill a directory with what directories in use hold; returns the sockets that are open."""
    write_tiny(root)
    for path in (*IGNORED, *OWN, *TRACKED):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"somebody's {path}\n")
    (root / ".gitignore").write_text("build/\nsecrets.txt\n*.bin\n")
    sh("git", "init", "-q", "-b", "trunk", root)
    (root / ".git/info/exclude").write_text("private/\n")
    sh("git", "add", "-A", cwd=root)
    sh("git", "commit", "-q", "-m", "theirs", cwd=root)
    for number in range(120):
        place = root / f"uploads/{number % 7}/logs/{number}.dat"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(os.urandom(100 + number))
        place.chmod((0o644, 0o600, 0o755, 0o444, 0o4755, 0o000, 0o666)[number % 7])
        os.utime(place, ns=(1, 1_500_000_000_000_000_000 + number))
        if os.geteuid() == 0:
            os.chown(place, 1000 + number % 5, 1000 + number % 3)
    os.link(root / "uploads/0/logs/0.dat", root / "uploads/hard.log")
    os.mkfifo(root / "data/pipe")
    (root / "data/model").touch()
    os.truncate(root / "data/model", 101 * 1024 * 1024)
    (root / "current").symlink_to("/nowhere/releases/5")
    (root / ".venv/python").symlink_to("/usr/bin/python3")
    (root / "odd name \u00e9").symlink_to("../../outside")
    (root / "-rf").write_text("a name like an option\n")
    (root / os.fsdecode(b"bytes-\xff")).write_text("no UTF-8\n")
    sh("git", "init", "-q", root / "vendor/theirs")
    (root / "vendor/theirs/file").write_text("x\n")
    sh("git", "-C", root / "vendor/theirs", "add", "-A")
    sh("git", "-C", root / "vendor/theirs", "commit", "-q", "-m", "nested")
    sockets = []
    for name in ("run/agent.sock", "data/listener"):
        (root / name).parent.mkdir(exist_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(os.path.relpath(root / name) if len(str(root / name)) > 100 else str(root / name))
        listening.listen()
        sockets.append(listening)
    return sockets


@pytest.fixture
def used(tmp_path: Path) -> Iterator[Used]:
    driver = Driver(tmp_path, tmp_path / "app")
    driver.live, driver.home = tmp_path / "app", tmp_path / "app/guard"
    driver.repository = driver.home / "repo.git"
    sockets = fill(driver.live)
    try:
        yield Used(driver, sockets, snapshot(driver.live))
    finally:
        driver.close()
        for one in sockets:
            one.close()


def check_taken(driver: Driver, taken: Document) -> None:
    """Check what init says that it took, ignored and left alone."""
    managed = set(git(driver.repository, "ls-tree", "-r", "--name-only", "main").splitlines())
    assert managed >= {*TRACKED, ALPHA, HELD, ".gitignore", "stateguard.yaml"}
    assert not managed & {*IGNORED, *OWN, "conversations/alpha.jsonl"}
    assert not [p for p in managed if p.startswith(("guard/", ".git/", ".stateguard", "vendor/"))]
    assert taken["files"] == len(managed)
    assert taken["captured"] == 1, "conversations stay with the system"
    assert {".env", ".venv/", "build/", "secrets.txt", "private/"} <= set(taken["ignored"]["paths"])
    reasons = {s["path"]: s["reason"] for s in taken["skipped"]["paths"]}
    expected = {
        "data/pipe": "a pipe", "data/listener": "a socket", "data/model": "too large: 101.0 MiB", "-rf": "option",
        "current": "absolute", "odd name \u00e9": "leads out of the state", "bytes-\\xff": "not UTF-8",
        "vendor/theirs/": "a git repository of its own",
    }  # fmt: skip
    assert set(reasons) == set(expected)
    assert [p for p, words in expected.items() if words not in reasons[p]] == []


def test_nothing_of_theirs_is_ever_touched(used: Used) -> None:
    driver = used.driver
    document = driver.ask("init", "--from", driver.live, "--live", driver.live, "--no-baseline", "--probe-runs", "0")
    driver.clone()
    (driver.live / "inbox").mkdir()
    for number in range(20):
        (driver.live / f"inbox/{number}").write_text(f"neither ignored nor on main {number}\n")
    used.before |= {p: seen for p, seen in snapshot(driver.live).items() if p.startswith("inbox/")}
    used.untouched()
    check_taken(driver, document["taken"])
    driver.start()
    assert driver.status()["drift"] == []
    assert driver.offer(ALPHA, GOOD + "# good\n").returncode == 0
    used.untouched()
    assert driver.offer(ALPHA, "wrong\n").returncode == 1
    used.untouched()
    driver.sync()
    assert driver.ask("rollback", "-1", "--yes")["outcome"] == "succeeded"
    used.untouched()
    (driver.live / "config/shared.yaml").write_text("limits: {plans: 9}\n")
    driver.wait(lambda s: not s["drift"])
    assert driver.newest(kind="heal")["outcome"] == "succeeded"
    used.untouched()
    (driver.live / HELD).write_text("by hand\n")
    driver.must("adopt")
    used.untouched()
    driver.sync()
    assert driver.offer("guard/guard.yaml", "live: /tmp\n").returncode == 1
    driver.sync()
    refused = driver.offer("guard/keys/mine", "x\n")
    assert "guard/keys/mine lies in the guard home, which no state may change" in refused.stderr
    driver.sync()
    assert driver.offer("data/model", "small\n").returncode == 1
    used.untouched()
    assert "whose secrets are never adopted" in driver.refused("adopt", "guard/keys/guard", status=1)["message"]
    unmanaged = driver.ask("diff", "main", "--live")["unmanaged"]
    assert "uploads/0/logs/0.dat" not in unmanaged, "logs/ is ignored"
    assert not [p for p in unmanaged if p.startswith(("guard/", ".git/"))]
    driver.stop()
    driver.must("agent", "stop", "--all")
    used.untouched()
    for one in used.sockets:
        assert stat.S_ISSOCK(os.lstat(one.getsockname()).st_mode)


def test_what_fails_leaves_nothing_behind(used: Used) -> None:
    driver = used.driver
    (driver.live / "agents/alpha/agent.yaml").write_text("name: alpha\nnonsense: 1\n")
    before = snapshot(driver.live)
    driver.refused("init", "--from", driver.live, "--live", driver.live, status=1)
    assert snapshot(driver.live) == before
    assert not driver.home.exists()


def test_a_home_named_stateguard_in_the_directory_is_found_from_inside(tmp_path: Path) -> None:
    source = tmp_path / "app"
    source.mkdir()
    (source / "settings.txt").write_text("one\n")
    (source / "stateguard.yaml").write_text("apiVersion: stateguard/v1\nignore: [uploads/]\n")
    (source / "uploads").mkdir()
    (source / "uploads/picture").touch()
    driver = Driver(tmp_path, source)
    driver.live, driver.home = source, source / ".stateguard"
    driver.repository = driver.home / "repo.git"
    driver.init("--no-baseline")
    (source / "deep").mkdir()
    done = sh(*driver.command("status")[:3], "--json", "status", cwd=source / "deep")
    assert str(driver.home) in done.stdout
    assert git(driver.repository, "ls-tree", "-r", "--name-only", "main").split() == ["settings.txt", "stateguard.yaml"]
