"""An agent, and a probe, that somebody pushed to get at the guard itself."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import DEADLINE_SECONDS, Driver
from helpers import eventually
from stateguard.host import landlock
from stateguard.host.process import owner_of
from tiny import FILES, write_tiny

pytestmark = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")

THIEF = f"""\
echo "$1 starts"
mkdir -p logs; echo $$ > "logs/$1.pid"
! grep -q crash "config/$1.conf" || exit 7
if [ "$1" = beta ]; then
    {{
        cat ../home/keys/* && echo stolen
        cat ../home/secrets/* && echo told
        echo x > ../home/guard.yaml && echo written
        cp bin/agent.sh ../home/repo.git/hooks/update && echo hooked
        mv ../home ../elsewhere && echo moved
    }} > logs/tried 2>&1
    ask='{sys.executable} -m stateguard --home ../home suspend; echo $?'
    env -i PATH="$PATH" setsid --fork sh -c "$ask" > logs/asked 2>&1
    env -i setsid --fork {sys.executable} bin/trick.py ../home/run/control.sock > logs/tricked 2>&1
    echo over >> logs/tried
fi
exec sleep 100000
"""
TRICK = """\
import os, signal, socket, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
connection = socket.socket(socket.AF_UNIX)
child = os.fork()
if child == 0:
    connection.connect(sys.argv[1])
    os._exit(0)
while os.path.exists(f"/proc/{child}"):
    time.sleep(0.01)
try:
    connection.sendall(b"POST /v1/suspend HTTP/1.0\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    print("answer", connection.recv(100), flush=True)
except OSError as error:
    print("refused", error, flush=True)
"""
"""Whoever connects has ended when the guard looks who that was."""
JUDGE = "cat ../home/keys/* > /dev/null 2>&1 && touch stolen-by-probe\n" + FILES["bin/judge.sh"]


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Driver]:
    drive = Driver(tmp_path, write_tiny(tmp_path / "state"))
    try:
        yield drive.init().start()
    finally:
        drive.close()


def test_what_a_push_brings_cannot_reach_the_guard(drive: Driver) -> None:
    settings = (drive.home / "guard.yaml").read_bytes()
    assert drive.run("secret", "set", "key", stdin="never-to-be-seen").returncode == 0
    drive.edit("agents/alpha/agent.yaml", FILES["agents/alpha/agent.yaml"] + "environment: {KEY: 'secret://key'}\n")
    (drive.work / "bin" / "judge.sh").write_text(JUDGE)
    (drive.work / "bin" / "trick.py").write_text(TRICK)
    done = drive.offer("bin/agent.sh", THIEF)
    assert done.returncode == 0, done.stderr
    tried, asked = drive.live / "logs" / "tried", drive.live / "logs" / "asked"
    eventually(lambda: tried.exists() and tried.read_text().endswith("over\n"), DEADLINE_SECONDS)
    said = tried.read_text()
    assert said.count("denied") + said.count("cross-device") + said.count("cannot") >= 5, said
    assert "never-to-be-seen" not in said
    assert not {"stolen", "told", "written", "hooked", "moved"} & set(said.split("\n")), said
    eventually(lambda: asked.exists() and asked.read_text().strip()[-1:].isdigit(), DEADLINE_SECONDS)
    assert asked.read_text().split()[-1] != "0", asked.read_text()
    tricked = drive.live / "logs" / "tricked"
    eventually(lambda: tricked.exists() and tricked.read_text().endswith("\n"), DEADLINE_SECONDS)
    assert "200" not in tricked.read_text(), tricked.read_text()
    assert not drive.status()["suspended"]
    assert (drive.home / "guard.yaml").read_bytes() == settings
    assert not (drive.home / "repo.git" / "hooks" / "update").exists()
    assert not (drive.live / "stolen-by-probe").exists()
    assert drive.ask("doctor")["findings"]
    found = {f["check"]: f["level"] for f in drive.ask("doctor")["findings"]}
    assert found["confinement"] == "ok"


def test_a_guard_that_was_told_not_to_says_so(tmp_path: Path) -> None:
    drive = Driver(tmp_path, write_tiny(tmp_path / "state"))
    try:
        drive.init("--no-baseline")
        settings = drive.home / "guard.yaml"
        settings.write_text(settings.read_text().replace("confine: true", "confine: false"))
        found = [f for f in drive.ask("doctor")["findings"] if f["check"] == "confinement"]
        assert [f["level"] for f in found] == ["warning"]
        assert "guard.yaml says confine: false" in found[0]["message"]
    finally:
        drive.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start agents as another user")
def test_agents_run_as_another_user() -> None:
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    drive = Driver(root, write_tiny(root / "state"))
    try:
        drive.init("--no-baseline")
        drive.must("agent", "stop", "--all")
        settings = drive.home / "guard.yaml"
        settings.write_text(settings.read_text().replace('user: ""', "user: nobody"))
        nobody = pwd.getpwnam("nobody").pw_uid
        for path in (drive.live, *drive.live.rglob("*")):
            os.chown(path, nobody, -1, follow_symlinks=False)
        drive.start()
        pids = [agent["pid"] for agent in drive.agents().values()]
        assert [owner_of(pid) for pid in pids] == [nobody, nobody]
        assert drive.offer("config/alpha.conf", "mode = other\n").returncode == 0
        assert (drive.live / "config" / "alpha.conf").stat().st_uid == nobody
        found = {f["check"]: f["message"] for f in drive.ask("doctor")["findings"]}
        assert found["confinement"] == "agents and command probes run as the user nobody"
    finally:
        drive.close()
        shutil.rmtree(root, ignore_errors=True)
