"""A service manager that is asked by commands: systemctl, docker, podman, or scripts of the user's own."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from stateguard.agents.manager import Program
from stateguard.errors import AgentsError
from stateguard.host import command, threads
from stateguard.host.logs import warn
from stateguard.host.process import ProcessIdentity
from stateguard.model.health import ALIVE, AgentState
from stateguard.model.runtime import Commands
from stateguard.text.words import seconds

_AT_ONCE = 8
_LOG_BYTES = 1024 * 1024
_BY_STATUS = {0: AgentState.RUNNING, 1: AgentState.EXITED, 2: AgentState.EXITED, 3: AgentState.EXITED}
"""The exit statuses of LSB's ``status``, which ``systemctl is-active`` shares; 4 is unknown."""

_UNKNOWN_STATUS = 4


class CommandManager:
    """Asks by running commands in the live directory; see :class:`stateguard.agents.manager.ServiceManager`."""

    quick_seconds = 0.3

    def __init__(self, settings: Commands, live: Path) -> None:
        """Run nothing yet."""
        self._settings, self._live = settings, live
        self.title = settings.title
        self.calm_seconds = settings.poll_seconds

    def look(self, agents: Collection[str]) -> dict[str, Program]:
        """Return what the status command says of these agents' programs.

        Raises:
            AgentsError: it cannot be run, takes too long, or says what is not understood.
        """
        names = list(agents)
        if not names:
            return {}
        found = threads.each(self._status, names, _AT_ONCE, "status")
        return {name: program for name, program in zip(names, found, strict=True) if program}

    def begin(self, agent: str) -> str:
        """Run the start command; returns what it complained of, or nothing.

        Raises:
            AgentsError: it cannot be run.
        """
        return _complaint(self._run(self._settings.start, agent, leaves=True), self._settings.deadline_seconds)

    def end(self, agent: str) -> float:
        """Run the stop command, which may take its deadline; what it grants is over when it has ended.

        Raises:
            AgentsError: it cannot be run.
        """
        complaint = _complaint(self._run(self._settings.stop, agent), self._settings.deadline_seconds)
        if complaint:
            warn("a stop command complained; the agent's processes are looked at", agent=agent, said=complaint)
        return 0.0

    def signal(self, agent: str, name: str) -> bool:
        """Run the reload command, if there is one.

        Raises:
            AgentsError: it cannot be run, or complained.
        """
        if not self._settings.reload:
            return False
        complaint = _complaint(self._run(self._settings.reload, agent, name), self._settings.deadline_seconds)
        if complaint:
            raise AgentsError(f"{agent} could not be told to reload: {complaint}")
        return True

    def tail(self, agent: str, lines: int) -> list[str]:
        """Return the last lines that the logs command prints.

        Raises:
            AgentsError: there is none, it cannot be run, or it complained.
        """
        if not self._settings.logs:
            raise AgentsError("no command reads the agents' logs", next_step="set runtime, command, logs in guard.yaml")
        done = self._run(self._settings.logs, agent, lines=lines)
        if complaint := _complaint(done, self._settings.deadline_seconds):
            raise AgentsError(f"the log of {agent} cannot be read: {complaint}")
        return (done.output + done.errors).decode(errors="replace").splitlines()[-lines:]

    def unknown(self, agent: str) -> str:
        """Return the sentence that says that a program is unknown."""
        return f"{self.title} knows no {self._unit(agent)}"

    def survivors(self, known: Mapping[str, int | None]) -> dict[str, tuple[ProcessIdentity, ...]]:
        """Return nothing: commands do not say what an earlier manager has left."""
        del known
        return {}

    def _status(self, agent: str) -> Program | None:
        done = self._run(self._settings.status, agent)
        text = (done.output + b"\n" + done.errors).decode(errors="replace")
        if done.status is None:
            raise AgentsError(
                f"{self.title} did not say within {seconds(self._settings.deadline_seconds)} how {agent} is"
            )
        if not self._settings.states:
            if done.status == _UNKNOWN_STATUS:
                return None
            state = _BY_STATUS.get(done.status)
            return self._program(state, text, "") if state else self._not_understood(agent, done)
        for meaning, pattern in self._settings.states:
            match = re.search(pattern, text, re.MULTILINE)
            if match:
                return self._program(meaning, text, match.group()) if meaning else None
        return self._not_understood(agent, done)

    def _program(self, state: AgentState, text: str, said: str) -> Program:
        pid = re.search(self._settings.pid, text, re.MULTILINE) if self._settings.pid and state in ALIVE else None
        message = "" if state in ALIVE else f"{self.title} says {' '.join(said.split())}" if said else "it does not run"
        number = pid.group(1) if pid else ""
        return Program(state, int(number) if number.isascii() and number.isdigit() else None, None, message)

    def _not_understood(self, agent: str, done: command.Done) -> Program:
        said = _last_line(done.errors) or _last_line(done.output) or "nothing"
        message = f"{self.title} said of {agent} what is not understood: {said} (exit status {done.status})"
        raise AgentsError(message, next_step="correct runtime, command in guard.yaml; try its status command by hand")

    def _run(
        self, template: tuple[str, ...], agent: str, signal: str = "", *, lines: int = 0, leaves: bool = False
    ) -> command.Done:
        values = {"{unit}": self._unit(agent), "{name}": agent, "{signal}": signal, "{lines}": str(lines)}
        argv = [_filled(argument, values) for argument in template]
        handed = {name: os.environ[name] for name in self._settings.passed if name in os.environ}
        try:
            return command.run(
                argv,
                cwd=self._live,
                environment=command.clean_environment({**handed, **self._settings.environment}),
                deadline_seconds=self._settings.deadline_seconds,
                cap_bytes=_LOG_BYTES,
                leaves=leaves,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            message = f"{argv[0]} cannot be run: {why}"
            raise AgentsError(message, next_step="install it, or correct runtime, command in guard.yaml") from error

    def _unit(self, agent: str) -> str:
        return self._settings.units.get(agent) or self._settings.unit.replace("{name}", agent)


def _filled(argument: str, values: Mapping[str, str]) -> str:
    """Fill in placeholders; what was filled in is not looked at again."""
    return re.sub(r"\{(unit|name|signal|lines)\}", lambda match: values[match.group()], argument)


def _complaint(done: command.Done, deadline_seconds: float) -> str:
    if done.status is None:
        return f"it took longer than {seconds(deadline_seconds)}"
    said = _last_line(done.errors) or _last_line(done.output)
    return "" if done.status == 0 else f"exit status {done.status}{f': {said}' if said else ''}"


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
