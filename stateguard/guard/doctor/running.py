"""What runs: the guard, whoever holds its lock, and how far agents are kept from what is the guard's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stateguard import __version__
from stateguard.errors import GuardDownError, StateguardError
from stateguard.guard.client import stream
from stateguard.guard.doctor.finding import Finding, Subject, note, ok, problem, warning
from stateguard.guard.gitleaks import on_path
from stateguard.host import landlock
from stateguard.host.home import Home
from stateguard.host.lock import WriterLock, held
from stateguard.host.process import gains_no_privileges
from stateguard.host.sandbox import Confined, choose

_PATIENCE_SECONDS = 5.0


def gitleaks(subject: Subject) -> Iterator[Finding]:
    """Look whether the second opinion on secrets can be had, if it is on PATH and wanted."""
    found = on_path()
    if found is None or (subject.settings is not None and not subject.settings.gitleaks):
        why = "is not on PATH" if found is None else "is not asked: guard.yaml says gitleaks: off"
        yield ok("gitleaks", f"gitleaks {why}; the built-in rules look for secrets in a push")
        return
    trouble = found.look([("README", b"plain\n")]).trouble
    if trouble:
        message = f"gitleaks ({found.program}) cannot be used: {trouble}; the built-in rules look alone"
        mend = f"install another version, or in guard.yaml of {_root(subject)}: secrets: {{gitleaks: off}}"
        yield warning("gitleaks", message, mend)
    else:
        yield ok("gitleaks", f"gitleaks {found.version()} looks for secrets in a push besides the built-in rules")


def _root(subject: Subject) -> str:
    return str(subject.home.root) if subject.home else "the home"


def daemon(subject: Subject) -> Iterator[Finding]:
    """Look whether a guard runs, answers, and is of this version."""
    if subject.home is None:
        return
    role, pid = WriterLock(subject.home.writer_lock, "doctor").holder()
    locked = held(subject.home.writer_lock)
    try:
        status = _status(subject.home)
    except GuardDownError:
        yield _away(subject.home, role if locked else "", pid)
        return
    except StateguardError as error:
        message = f"the guard (process {pid}) does not answer as it should: {error.message}"
        yield problem("guard", message, f"kill {pid}, then stateguard run; agents keep running")
        return
    guard = status["guard"]
    if guard.get("version") != __version__:
        message = f"the running guard is version {guard.get('version', 'unknown')}, this is {__version__}"
        yield warning("guard", message, f"kill {guard['pid']}, then stateguard run; agents keep running")
    else:
        yield ok("guard", f"the guard runs (process {guard['pid']}) and answers; the system is {status['health']}")
    if status["suspended"]:
        yield note("guard", "the guard is suspended: it watches and does nothing", "stateguard resume")


def _status(home: Home) -> dict[str, Any]:
    for document in stream(home.socket, "status", {}, _PATIENCE_SECONDS):
        if "result" in document:
            found: dict[str, Any] = document["result"]
            return found
    message = "it ended before it answered"
    raise StateguardError(message)


def _away(home: Home, role: str, pid: int) -> Finding:
    if role == "daemon":
        message = (
            f"a guard (process {pid}) holds the lock, but nobody listens on {home.socket}: it starts, stops or hangs"
        )
        return problem("guard", message, f"kill {pid}, then stateguard run; agents keep running")
    if role:
        return note("guard", f"no guard runs; {role} (process {pid}) is writing")
    message = "no guard runs: nothing is watched, and what is pushed waits"
    left = "; the socket of one that was killed is still there" if home.socket.exists() else ""
    return warning("guard", message + left, f"stateguard --home {home.root} run")


def _unconfined(home: Home) -> list[str]:
    """Return the agents that run without what being confined leaves on a process."""
    try:
        agents = _status(home)["agents"]
    except StateguardError:
        return []  # no guard runs, which is a finding of its own
    return [agent["name"] for agent in agents if agent["pid"] and not gains_no_privileges(agent["pid"])]


def confinement(subject: Subject) -> Iterator[Finding]:
    """Name the mode in which agents run."""
    if subject.home is None:
        return
    if subject.settings is None or subject.live is None:
        yield note("confinement", "how agents are kept from the home is not known: guard.yaml cannot be read")
        return
    settings = subject.settings
    if not settings.needs_commands:
        message = "agents are started by somebody else, who decides what they can reach; command probes are the guard's"
        yield note("confinement", message, "let that run them as another user than the guard's")
    sandbox = choose(subject.home.root, subject.live, settings.agents_user, confine=settings.confine)
    if isinstance(sandbox, Confined) and landlock.version() < landlock.TRUNCATE_SINCE:
        message = f"{sandbox.words}, but this kernel does not keep them from emptying files of it"
        yield note("confinement", message, "use Linux 6.2 or later, or agents: {user: NAME} in guard.yaml")
    elif isinstance(sandbox, Confined) and (free := _unconfined(subject.home)):
        message = f"{sandbox.words}, but these were started before: {', '.join(free)}"
        yield warning("confinement", message, f"stateguard agent restart {free[0]}")
    elif sandbox.keeps_out:
        yield ok("confinement", sandbox.words)
    else:
        message = f"agents and command probes can read the guard's keys and write its home: {sandbox.words}"
        mend = "see agents in guard.yaml; until then push only what you would run yourself"
        yield warning("confinement", message, mend)
