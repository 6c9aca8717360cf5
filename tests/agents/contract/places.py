"""Where the contract is tried: each place makes runtimes of one kind, and knows the same few programs by name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

import psutil

from agents.setting import IGNORES_TERM, Setting
from helpers import eventually
from stateguard.agents.choose import make_runtime
from stateguard.agents.runtime import GuardRuntime
from stateguard.config.host import load_host
from stateguard.config.runtime import runtime_text
from stateguard.errors import AgentsError
from stateguard.host.process import identify
from stateguard.model.agent import AgentSpec, StopPolicy
from stateguard.model.health import ALIVE

STUBBORN = "stubborn"
RELOADER = "reloader"
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "steady": ("sh", "-c", "echo $0 is up; exec sleep 600"),
    "with-two-dashes": ("sh", "-c", "exec sleep 600"),
    "crasher": ("sh", "-c", "exit 3"),
    RELOADER: ("sh", "-c", "trap 'date >>reloads' HUP; echo ready >reloads; while :; do sleep 0.05; done"),
    STUBBORN: (sys.executable, "-c", IGNORES_TERM),
}
GRACE_SECONDS = 0.5
FACTORY = "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface"


class Place(Protocol):
    """One kind of runtime, and what it needs around it."""

    restarts: bool
    """Whether a program that ends is started again."""

    def runtime(self) -> GuardRuntime:
        """Make a runtime, as a guard that starts would."""
        ...

    def outside(self, name: str) -> int:
        """Start a program without the runtime, as a person or the host would; returns its process id."""
        ...


def spec(name: str, drain_url: str | None = None) -> AgentSpec:
    """Describe one of the programs as an agent."""
    return AgentSpec(name, PROGRAMS.get(name, ()), stop=StopPolicy("TERM", GRACE_SECONDS, drain_url))


class EmbeddedPlace:
    """The guard's own processes."""

    restarts = True

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def runtime(self) -> GuardRuntime:
        return make_runtime(load_host(b"live: x\n").runtime, *_rest(self.setting))

    def outside(self, name: str) -> int:
        earlier = self.runtime()
        earlier.start(spec(name), "outside")
        pid = earlier.statuses()[name].pid
        earlier.close()
        assert pid
        return pid


class AttachPlace(EmbeddedPlace):
    """The guard's own supervision of processes that somebody else has started."""

    def runtime(self) -> GuardRuntime:
        return cast("GuardRuntime", Attaching(super().runtime(), self.setting.live))


class Attaching:
    """Attaches where the embedded runtime would start, as long as there is something to attach to."""

    def __init__(self, runtime: GuardRuntime, live: Path) -> None:
        self._runtime, self._live = runtime, live
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> object:
        return getattr(self._runtime, name)

    def start(self, agent: AgentSpec, revision: str) -> None:
        with self._lock:
            known = self._runtime.statuses().get(agent.name)
            if agent.command and agent.name != "crasher" and (known is None or known.state not in ALIVE):
                pid = detached(self._live, *agent.command, agent.name)
                try:
                    self._runtime.attach(agent, pid, revision)
                except AgentsError:
                    os.kill(pid, signal.SIGKILL)
                    raise
            else:
                self._runtime.start(agent, revision)


def detached(live: Path, *argv: str) -> int:
    """Start a process that is nobody's child, in a process group that is not its own; returns its id."""
    script = '"$@" >/dev/null 2>&1 & echo $!'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *argv],
        cwd=live,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    )
    return int(done.stdout)


class ManagedPlace:
    """A service manager, described as in guard.yaml."""

    def __init__(self, setting: Setting, runtime: object, manager: SupervisorProcess | ScriptInit) -> None:
        self.setting, self.manager, self.restarts = setting, manager, manager.restarts
        text = runtime_text(runtime)
        self.settings = load_host(f"live: x\n{text}\n".encode()).runtime

    def runtime(self) -> GuardRuntime:
        return make_runtime(self.settings, *_rest(self.setting))

    def outside(self, name: str) -> int:
        return self.manager.begin(name)


def _rest(setting: Setting) -> tuple[Path, object, str, object]:
    return setting.live, setting.home, setting.identity, setting.changed


class SupervisorProcess:
    """A real supervisord on a unix socket, and if a port is given on loopback too, with a password there."""

    restarts = True

    def __init__(self, root: Path, live: Path, port: int | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.socket, self.config = root, root / "s.sock", root / "supervisord.conf"
        self.process: subprocess.Popen[bytes] | None = None
        sections = [
            f"[supervisord]\nlogfile={root}/supervisord.log\npidfile={root}/supervisord.pid\nnodaemon=true\n",
            f"[unix_http_server]\nfile={self.socket}\n",
            f"[rpcinterface:supervisor]\n{FACTORY}\n",
        ]
        if port:
            sections.append(f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=guard\npassword=secret\n")
        for name, argv in PROGRAMS.items():
            script = root / f"{name}.sh"
            quoted = " ".join("'" + a.replace("'", "'\\''") + "'" for a in argv)
            script.write_text(f"exec {quoted} {name}\n", encoding="utf-8")
            sections.append(
                f"[program:{name}]\ncommand=sh {script}\ndirectory={live}\nautostart=false\nredirect_stderr=true\n"
                f"stdout_logfile={root}/{name}.log\nstopwaitsecs=1\nstartretries=2\n"
            )
        sections.append(f"[group:inside]\nprograms=grouped\n[program:grouped]\ncommand=sleep 600\ndirectory={live}\n"
                        "autostart=false\n")  # fmt: skip
        self.config.write_text("\n".join(sections), encoding="utf-8")

    def start(self) -> SupervisorProcess:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-n", "-c", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(lambda: self.ctl("pid").returncode == 0, 30)
        return self

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Ask it as a person would, with supervisorctl."""
        argv = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisorctl", "-s", f"unix://{self.socket}", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    def begin(self, name: str) -> int:
        assert "started" in self.ctl("start", name).stdout
        return int(self.ctl("pid", name).stdout)

    def kill(self) -> None:
        """Kill it so that it leaves its programs running."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stop it and its programs."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


INIT = """\
#!/bin/sh
# A small init system: units are files with a shell command, running ones have a pid file.
cd "$(dirname "$0")" || exit 9
unit=$2
[ -f "units/$unit" ] || { echo "no unit $unit" >&2; exit 4; }
pid=$(cat "pids/$unit" 2>/dev/null)
alive() { [ -n "$pid" ] && [ -d "/proc/$pid" ] && ! grep -q '^State:.[ZX]' "/proc/$pid/status" 2>/dev/null; }
case $1 in
start)
    alive && exit 0
    setsid sh "units/$unit" >>"logs/$unit" 2>&1 </dev/null &
    echo $! >"pids/$unit" ;;
stop)
    alive || exit 0
    kill "$pid"
    for _ in 1 2 3 4 5 6; do alive || break; sleep 0.1; done
    alive && kill -9 "$pid"
    while alive; do sleep 0.02; done
    rm -f "pids/$unit" ;;
status)
    alive || { echo stopped; exit 3; }
    echo "running as $pid" ;;
reload)
    alive && kill "-$3" "$pid" ;;
logs)
    tail -n "$3" "logs/$unit" ;;
esac
"""


class ScriptInit:
    """An init system of a few lines of shell, asked as systemctl would be."""

    restarts = False

    def __init__(self, root: Path, live: Path) -> None:
        self.program = root / "init.sh"
        for name in ("units", "pids", "logs"):
            (root / name).mkdir(parents=True)
        self.program.write_text(INIT, encoding="utf-8")
        for name, argv in PROGRAMS.items():
            quoted = " ".join("'" + a.replace("'", "'\\''") + "'" for a in argv)
            (root / "units" / f"{name}.unit").write_text(f"cd '{live}' && exec {quoted} {name}\n", encoding="utf-8")

    def runtime(self) -> object:
        """Return what guard.yaml says of it."""
        run = ["sh", str(self.program)]
        commands = {verb: [*run, verb, "{unit}"] for verb in ("start", "stop", "status")}
        more = {"logs": [*run, "logs", "{unit}", "{lines}"], "reload": [*run, "reload", "{unit}", "{signal}"]}
        return {"command": {**commands, **more, "unit": "{name}.unit", "pid": "running as ([0-9]+)", "poll": 0.5}}

    def begin(self, name: str) -> int:
        subprocess.run(["sh", str(self.program), "start", f"{name}.unit"], check=True, timeout=60)
        return int((self.program.parent / "pids" / f"{name}.unit").read_text())

    def stop(self) -> None:
        """Kill what still runs of it."""
        for file in (self.program.parent / "pids").iterdir():
            with contextlib.suppress(ProcessLookupError, ValueError, psutil.NoSuchProcess):
                pid = int(file.read_text())
                if (
                    abs(psutil.Process(pid).create_time() - file.stat().st_mtime) < 2.0
                ):  # else a stranger has its number
                    os.killpg(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    """Say whether a process does not live any more."""
    return identify(pid) is None
