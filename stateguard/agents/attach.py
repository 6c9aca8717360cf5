"""Processes that run already and are meant to become agents: which they are, and what speaks against it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stateguard.errors import NotFoundError, RefusedError
from stateguard.host.process import (
    ProcessIdentity,
    ancestors,
    command_of,
    directory_of,
    identify,
    owner_of,
    pids,
    variables_of,
)
from stateguard.model.agent import AgentSpec

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_VERSION = re.compile(r"[0-9.]+$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A process that looks like an agent."""

    identity: ProcessIdentity
    command: tuple[str, ...]

    def text(self) -> str:
        """Return how people see it."""
        return f"process {self.identity.pid} ({shlex.join(self.command)})"


def candidates(specs: Mapping[str, AgentSpec], live: Path) -> dict[str, list[Candidate]]:
    """Return, by agent, the processes of this user at or around the live directory that run its command.

    Of a process and its descendants only the topmost counts. Where several are left, those count that have the agent's
    own environment, if any has.
    """
    running = [(pid, command_of(pid), directory) for pid, directory in _around(live)]
    found: dict[str, list[Candidate]] = {}
    for name, spec in specs.items():
        alike = {pid: argv for pid, argv, directory in running if argv and same(spec.command, live, argv, directory)}
        top = [pid for pid in alike if not alike.keys() & set(ancestors(pid))]
        if len(top) > 1:
            top = [pid for pid in top if _has(pid, spec)] or top
        found[name] = [Candidate(identity, alike[pid]) for pid in sorted(top) if (identity := identify(pid))]
    return found


def require_attachable(pid: int, live: Path) -> ProcessIdentity:
    """Return the identity of a process that may become an agent.

    Raises:
        NotFoundError: there is no such process.
        RefusedError: it is another user's, works elsewhere, or is the guard itself.
    """
    identity, owner, directory = identify(pid), owner_of(pid), directory_of(pid)
    if identity is None:
        raise NotFoundError(f"there is no process {pid}", next_step="see: ps -ef")
    if pid in (os.getpid(), *ancestors(os.getpid())):
        raise RefusedError(f"process {pid} runs this command; it is no agent", next_step="name the agent's process")
    if owner != os.getuid():
        message = f"process {pid} belongs to user {owner}, this is user {os.getuid()}"
        raise RefusedError(message, next_step="run the guard as that user, or let it start the agent")
    if directory is None or not _near(directory, live):
        message = f"process {pid} works in {directory}, the live directory is {live}"
        raise RefusedError(message, next_step="attach a process that works there")
    return identity


def _around(live: Path) -> Iterator[tuple[int, Path]]:
    """Yield the processes of this user that work in the live directory, above or below it."""
    mine = {os.getpid(), *ancestors(os.getpid())}
    for pid in pids():
        if pid in mine or owner_of(pid) != os.getuid():
            continue
        directory = directory_of(pid)
        if directory is not None and _near(directory, live):
            yield pid, directory


def _near(directory: Path, live: Path) -> bool:
    real = Path(os.path.realpath(live))
    return directory == real or directory in real.parents or real in directory.parents


def _forms(command: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the argument lists under which a command may be seen: a shell may replace itself by what it runs."""
    forms = [tuple(command)]
    if len(command) == 3 and _program(command[0]) in _SHELLS and command[1] == "-c":  # noqa: PLR2004 - sh -c TEXT
        try:
            words = shlex.split(command[2])
        except ValueError:
            return forms
        forms.append(tuple(words[1:] if words[:1] == ["exec"] else words))
    return [form for form in forms if form]


def same(command: Sequence[str], live: Path, argv: Sequence[str], directory: Path) -> bool:
    """Say whether a process with this argument list and working directory runs a command of the live directory.

    Files are compared by where they lie, interpreters by name without version. The kernel puts the interpreter of a
    script, and at most one argument for it, before the script.
    """
    forms = [_normal(form, live, live) for form in _forms(command)]
    if _normal(argv, directory, live) in forms:
        return True
    behind = [_normal(argv[skipped:], directory, live) for skipped in (1, 2) if len(argv) > skipped]
    return any(form in behind for form in forms if form[0].startswith("/"))


def _normal(argv: Sequence[str], directory: Path, live: Path) -> tuple[str, ...]:
    """Return an argument list with files by their real path, and a program outside of the live directory by name."""
    first, *rest = argv
    plain = _file(first, directory) if "/" in first else first
    own = plain.startswith(os.path.realpath(live) + "/")
    return (plain if own else _program(first), *(_file(argument, directory) for argument in rest))


def _file(argument: str, directory: Path) -> str:
    path = directory / argument
    return os.path.realpath(path) if argument and path.exists() else argument


def _program(word: str) -> str:
    return _VERSION.sub("", os.path.basename(word)) or word


def _has(pid: int, spec: AgentSpec) -> bool:
    wanted = spec.plain
    return bool(wanted) and variables_of(pid, wanted.keys()) == wanted
