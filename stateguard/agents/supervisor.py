"""A supervisord as service manager, asked by XML-RPC over its unix socket or over loopback.

See https://supervisord.org/api.html. A supervisord that is killed leaves its programs running, and starts them a second
time when it comes back; it marks each with variables in its environment, by which they are found.
"""

from __future__ import annotations

import base64
import http.client
import socket
import xmlrpc.client
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from xml.parsers.expat import ExpatError

from stateguard.agents.logfile import last_lines
from stateguard.agents.manager import Program
from stateguard.errors import AgentsError
from stateguard.host.process import ProcessIdentity, ancestors, group_of, identify, variables_of, with_variable
from stateguard.model.health import AgentState
from stateguard.model.runtime import Supervisor
from stateguard.text.words import joined

_STATES = {
    0: AgentState.STOPPED,
    10: AgentState.STARTING,
    20: AgentState.RUNNING,
    30: AgentState.BACKOFF,
    40: AgentState.RUNNING,  # STOPPING: it is still there
    100: AgentState.EXITED,
    200: AgentState.FATAL,
}
_STOPPING = 40
_BAD_NAME, _NO_FILE, _NOT_EXECUTABLE, _SPAWN_ERROR, _ALREADY_STARTED, _NOT_RUNNING = 10, 20, 21, 50, 60, 70
_MARK = "SUPERVISOR_PROCESS_NAME"
_TAIL_BYTES = 256 * 1024
_DEFAULT_STOP_SECONDS = 10.0
_UNAUTHORIZED = 401


class SupervisorManager:
    """One supervisord; see :class:`stateguard.agents.manager.ServiceManager`."""

    title = "supervisord"
    quick_seconds = 0.1
    calm_seconds = 2.0

    def __init__(self, settings: Supervisor, timeout_seconds: float = 5.0) -> None:
        """Ask nothing yet; each request is given so much time."""
        self._settings, self._timeout = settings, timeout_seconds
        self._where = settings.socket or settings.url

    def look(self, agents: Collection[str]) -> dict[str, Program]:
        """Return what supervisord says of these agents' programs.

        Raises:
            AgentsError: it does not answer.
        """
        listed = self._all()
        found = {agent: _find(listed, self._wanted(agent)) for agent in agents}
        return {agent: _program(process) for agent, process in found.items() if process}

    def begin(self, agent: str) -> str:
        """Start a program; returns why it could not be executed, or nothing.

        Raises:
            AgentsError: supervisord does not answer, or knows no such program.
        """
        try:
            self._call("supervisor.startProcess", self._full(agent), False)  # noqa: FBT003 - do not wait
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _ALREADY_STARTED:
                return ""
            if fault.faultCode in (_NO_FILE, _NOT_EXECUTABLE, _SPAWN_ERROR):
                return f"supervisord could not start it: {fault.faultString}"
            raise self._refused(agent, fault) from fault
        return ""

    def end(self, agent: str) -> float:
        """Ask to stop a program; returns its stopwaitsecs.

        Raises:
            AgentsError: supervisord does not answer, or knows no such program.
        """
        full = self._full(agent)
        try:
            self._call("supervisor.stopProcess", full, False)  # noqa: FBT003 - do not wait
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _NOT_RUNNING:
                raise self._refused(agent, fault) from fault
        return self._patience(full)

    def signal(self, agent: str, name: str) -> bool:
        """Send a signal to a program's main process.

        Raises:
            AgentsError: supervisord does not answer, or the program does not run.
        """
        try:
            self._call("supervisor.signalProcess", self._full(agent), name)
        except xmlrpc.client.Fault as fault:
            raise self._refused(agent, fault) from fault
        return True

    def tail(self, agent: str, lines: int) -> list[str]:
        """Return the last lines of a program's log, then those of its error log if that is one of its own.

        Raises:
            AgentsError: supervisord does not answer, or keeps no log of it.
        """
        process = _find(self._all(), self._wanted(agent))
        if process is None:
            raise AgentsError(self.unknown(agent))
        found = [
            text
            for channel in ("Stdout", "Stderr")
            if process.get(f"{channel.lower()}_logfile")
            for text in self._log(agent, _name(process), channel, str(process[f"{channel.lower()}_logfile"]), lines)
        ]
        if not found and not process.get("stdout_logfile"):
            raise AgentsError(f"supervisord keeps no log of {agent}", next_step="set stdout_logfile in its section")
        return found

    def unknown(self, agent: str) -> str:
        """Return the sentence that says that a program is unknown, and what is known instead."""
        wanted = self._wanted(agent)
        try:
            names = [_name(process) for process in self._all()]
        except AgentsError as error:
            return f"supervisord knows no program {wanted}, and now: {error.message}"
        return f"supervisord knows no program {wanted}; it knows {joined(names) if names else 'none'}"

    def survivors(self, known: Mapping[str, int | None]) -> dict[str, tuple[ProcessIdentity, ...]]:
        """Return processes that carry a program's mark, lead their group, and are none of supervisord's now.

        Raises:
            AgentsError: supervisord does not answer.
        """
        listed = self._all()
        programs = {agent: process for agent in known if (process := _find(listed, self._wanted(agent)))}
        agents = {(str(p["group"]), str(p["name"])): agent for agent, p in programs.items()}
        mine = {int(process["pid"]) for process in listed if process["pid"]} | {
            cast("int", self._ask("supervisor.getPID"))
        }
        urls = self._urls(mine)
        found: dict[str, tuple[ProcessIdentity, ...]] = {}
        for pid, name in with_variable(_MARK):
            variables = variables_of(pid, ("SUPERVISOR_GROUP_NAME", "SUPERVISOR_SERVER_URL"))
            agent = agents.get((variables.get("SUPERVISOR_GROUP_NAME", ""), name))
            same = variables.get("SUPERVISOR_SERVER_URL", "") in urls
            if agent is None or not same or pid in mine or group_of(pid) != pid or mine & set(ancestors(pid)):
                continue
            if identity := identify(pid):
                found[agent] = (*found.get(agent, ()), identity)
        return found

    def _urls(self, mine: Collection[int]) -> set[str]:
        """Return how this supervisord calls itself in its programs' environment."""
        own = f"unix://{self._settings.socket}" if self._settings.socket else self._settings.url
        seen = [variables_of(pid, ("SUPERVISOR_SERVER_URL",)).get("SUPERVISOR_SERVER_URL", "") for pid in mine]
        return {own, *filter(None, seen)}

    def _wanted(self, agent: str) -> str:
        return self._settings.programs.get(agent, agent)

    def _full(self, agent: str) -> str:
        process = _find(self._all(), self._wanted(agent))
        if process is None:
            raise AgentsError(self.unknown(agent))
        return _name(process)

    def _patience(self, full: str) -> float:
        try:
            listed = cast("list[dict[str, Any]]", self._call("supervisor.getAllConfigInfo"))
        except xmlrpc.client.Fault:  # supervisor 3 does not have it; its own default is what most programs have
            return _DEFAULT_STOP_SECONDS
        found = [float(one["stopwaitsecs"]) for one in listed if _name(one) == full]
        return found[0] if found else _DEFAULT_STOP_SECONDS

    def _all(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self._ask("supervisor.getAllProcessInfo"))

    def _ask(self, method: str) -> object:
        """Make a request that supervisord refuses only while it ends."""
        try:
            return self._call(method)
        except xmlrpc.client.Fault as fault:
            message = f"supervisord at {self._where} refused: {fault.faultString}"
            raise AgentsError(message, next_step="see its log; supervisorctl status") from fault

    def _log(self, agent: str, full: str, channel: str, path: str, lines: int) -> list[str]:
        try:
            text = str(self._call(f"supervisor.readProcess{channel}Log", full, -_TAIL_BYTES, 0))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _NO_FILE:
                return []
            raise self._refused(agent, fault) from fault
        except _UnreadableError:
            # A log with control characters, such as colours, is no XML: supervisord sends it all the same.
            return last_lines(Path(path), lines)
        return text.splitlines()[-lines:]

    def _refused(self, agent: str, fault: xmlrpc.client.Fault) -> AgentsError:
        if fault.faultCode == _BAD_NAME:
            return AgentsError(self.unknown(agent))
        message = f"supervisord refused to act on {agent}: {fault.faultString}"
        return AgentsError(message, next_step="see its log; supervisorctl status")

    def _call(self, method: str, *parameters: object) -> object:
        """Make one request on a connection of its own.

        Raises:
            Fault: supervisord says no.
            AgentsError: it does not answer, or not in time, or does not let us in.
        """
        body = xmlrpc.client.dumps(cast("tuple[Any, ...]", parameters), method).encode()
        headers = {"Content-Type": "text/xml", **self._credentials()}
        try:
            with closing(self._connection()) as connection:
                connection.request("POST", "/RPC2", body, headers)
                answer = connection.getresponse()
                content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
            why = "it did not answer in time" if isinstance(error, TimeoutError) else why
            message = f"supervisord at {self._where} cannot be reached: {why}"
            raise AgentsError(message, next_step="start it, or correct runtime in guard.yaml") from error
        if answer.status == _UNAUTHORIZED:
            message = f"supervisord at {self._where} does not accept the username and password"
            raise AgentsError(message, next_step="correct username and password_file in guard.yaml")
        if answer.status != http.client.OK:
            message = f"supervisord at {self._where} answered {answer.status} {answer.reason}"
            raise AgentsError(message, next_step="is that supervisord's address? See runtime in guard.yaml")
        try:
            return xmlrpc.client.loads(content.decode(errors="replace"))[0][0]
        except xmlrpc.client.Fault:
            raise
        except (ExpatError, xmlrpc.client.Error, ValueError, IndexError) as error:
            message = f"supervisord at {self._where} answered what is no XML-RPC: {error}"
            raise _UnreadableError(message, next_step="see its log") from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._settings.socket:
            return _UnixConnection(self._settings.socket, self._timeout)
        return http.client.HTTPConnection(self._settings.url.removeprefix("http://").rstrip("/"), timeout=self._timeout)

    def _credentials(self) -> dict[str, str]:
        if not self._settings.username:
            return {}
        try:
            password = Path(self._settings.password_file).read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            message = f"the password of supervisord cannot be read from {self._settings.password_file}: {error}"
            raise AgentsError(message, next_step="correct password_file in guard.yaml") from error
        pair = base64.b64encode(f"{self._settings.username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


class _UnreadableError(AgentsError):
    """The answer is no XML."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self.timeout)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        self.sock = connection


def _name(process: Mapping[str, Any]) -> str:
    group, name = str(process["group"]), str(process["name"])
    return name if group == name else f"{group}:{name}"


def _find(listed: Collection[dict[str, Any]], wanted: str) -> dict[str, Any] | None:
    """Return the program of that name, else the only one that is called so in whatever group."""
    for process in listed:
        if wanted in (_name(process), f"{process['group']}:{process['name']}"):
            return process
    alike = [process for process in listed if process["name"] == wanted]
    return alike[0] if len(alike) == 1 else None


def _program(process: Mapping[str, Any]) -> Program:
    number = int(process["state"])
    state = _STATES.get(number, AgentState.UNKNOWN)
    message = str(process["spawnerr"]) if state in (AgentState.BACKOFF, AgentState.FATAL) else ""
    if state is AgentState.EXITED:
        message = f"exited with status {process['exitstatus']}"
    pid = int(process["pid"]) or None
    return Program(state, pid, float(process["start"]) if pid else None, message, ending=number == _STOPPING)
