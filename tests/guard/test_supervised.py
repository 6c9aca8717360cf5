"""A system whose agents supervisord runs: taken under guard as they run, changed, taken back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.contract.places import FACTORY
from driving import DEADLINE_SECONDS, Driver
from helpers import eventually
from tiny import write_tiny

OPTIONS = "autostart=true\nautorestart=true\nstopasgroup=true\nkillasgroup=true\nredirect_stderr=true"


class Supervised:
    """The tiny system in its live directory, run by a supervisord, and the guard's driver."""

    def __init__(self, root: Path) -> None:
        self.drive = Driver(root, root / "live")
        self.drive.live.mkdir(parents=True)
        write_tiny(self.drive.live, confirm="20s")
        for name in ("alpha", "beta"):
            file = self.drive.live / "agents" / name / "agent.yaml"
            lines = file.read_text().splitlines()
            file.write_text("\n".join(line for line in lines if not line.startswith("command:")) + "\n")
        self.socket, self.config = root / "s.sock", root / "supervisord.conf"
        programs = [
            f"[program:{name}]\ncommand=sh bin/agent.sh {name}\ndirectory={self.drive.live}\n{OPTIONS}\n"
            f"stdout_logfile={root}/{name}.log\n"
            for name in ("alpha", "beta")
        ]
        self.config.write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={root}/sv.log\npidfile={root}/sv.pid\n"
            f"[unix_http_server]\nfile={self.socket}\n[rpcinterface:supervisor]\n{FACTORY}\n" + "\n".join(programs)
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-n", "-c", str(self.config)]
        silent = subprocess.DEVNULL
        self.process = subprocess.Popen(argv, stdin=silent, stdout=silent, stderr=silent, start_new_session=True)
        eventually(lambda: all((self.drive.live / "logs" / f"{n}.pid").exists() for n in ("alpha", "beta")), 30)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def pids(self) -> dict[str, int]:
        return {name: agent["pid"] for name, agent in self.drive.agents().items()}

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE_SECONDS)

    def close(self) -> None:
        self.drive.close()
        self.stop()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    made = Supervised(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_running_agents_are_taken_under_guard_and_a_bad_push_is_taken_back(supervised: Supervised) -> None:
    drive = supervised.drive
    supervised.start()
    before = {n: int((drive.live / "logs" / f"{n}.pid").read_text()) for n in ("alpha", "beta")}
    drive.init("--runtime", f"supervisor:unix://{supervised.socket}", "--no-baseline")
    assert supervised.pids() == before, "nothing was restarted"
    drive.start()
    assert supervised.pids() == before
    assert all(agent["running"] == drive.main for agent in drive.agents().values())
    done = drive.offer("config/beta.conf", "mode = other\n")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 agents restarted" in done.stderr
    after = supervised.pids()
    assert after["alpha"] == before["alpha"]
    assert after["beta"] != before["beta"]
    main = drive.main
    done = drive.offer("config/beta.conf", "mode = unready\n")
    assert done.returncode == 1
    assert "rolled back" in done.stderr
    assert drive.main == main
    assert "other" in (drive.live / "config" / "beta.conf").read_text()
    drive.wait(lambda s: s["health"] == "HEALTHY")
    assert supervised.pids()["alpha"] == before["alpha"]
    assert "beta starts" in drive.ask("agent", "logs", "beta")["lines"]
    # supervisord dies, and with it nothing else
    supervised.kill()
    silent = drive.wait(lambda s: any(c["type"] == "RUNTIME_SILENT" for c in s["conditions"]))
    assert silent["health"] == "UNKNOWN"
    assert silent["agents"][0]["pid"] == before["alpha"]
    assert drive.refused("agent", "restart", "beta", status=13)["code"] == "runtime"
    drive.sync()
    done = drive.offer("config/beta.conf", "mode = third\n")
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert "other" in (drive.live / "config" / "beta.conf").read_text()
    # and comes back with everything twice
    supervised.start()
    twice = drive.wait(lambda s: {c["component"] for c in s["conditions"] if c["type"] == "AGENT_DOUBLED"} >= {"alpha"})
    assert twice["agents"][0]["strays"] == [before["alpha"]]
    drive.must("agent", "restart", "--all")
    drive.wait(lambda s: not s["conditions"] and s["health"] == "HEALTHY")


def test_init_needs_a_supervisord_that_answers_and_knows_the_agents(supervised: Supervised) -> None:
    drive = supervised.drive
    word = f"supervisor:unix://{supervised.socket}"
    error = drive.refused("init", "--from", drive.live, "--live", drive.live, "--runtime", word, status=13)
    assert "cannot be reached" in error["message"]
    supervised.config.write_text(supervised.config.read_text().replace("program:beta", "program:gamma"))
    supervised.start()
    error = drive.refused("init", "--from", drive.live, "--live", drive.live, "--runtime", word, status=13)
    assert error["message"] == "beta: supervisord knows no program beta; it knows alpha and gamma"
    assert not (drive.home / "guard.yaml").exists()
    error = drive.refused("init", "--from", drive.live, "--live", drive.live, status=1)
    assert "command is missing" in error["message"]
    supervised.config.write_text(supervised.config.read_text().replace("program:gamma", "program:beta"))
    supervised.stop()
    supervised.start()
    error = drive.refused("init", "--from", drive.live, "--live", drive.root / "else", "--runtime", word, status=1)
    assert "not in the live directory" in error["message"]
    assert error["next"].endswith(f"--from {drive.live} --live {drive.live}")
    for bad in ("supervisor:x", "@nowhere"):
        assert drive.refused("init", "--runtime", bad, status=2)
