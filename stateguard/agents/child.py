"""One agent's process: started in a session of its own, or found; known by a pidfd until it ends."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stateguard.errors import AgentsError, NotFoundError, StateguardError
from stateguard.host.clock import boot_seconds, wall_seconds
from stateguard.host.command import clean_environment, end_group
from stateguard.host.process import ProcessIdentity, identify, open_pidfd
from stateguard.host.sandbox import Sandbox, Start
from stateguard.model.agent import AgentSpec

VARIABLE = "STATEGUARD_AGENT"
"""Environment variable that marks an agent: ``<home's id>:<name>:<start of the specification's digest>``."""

REVISION = "STATEGUARD_REVISION"
"""Environment variable with the commit that an agent was started from: known even if its guard died at once."""

_OF_THE_HOST = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EIO}
)
_LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class ProgramError(Exception):
    """The agent's program cannot be executed; the text says why, in one line."""


class HostError(Exception):
    """The host lacks descriptors, processes, memory or disk; that says nothing about the agent, and may pass."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process and the descriptor that turns readable when it ends; its pid is its group's number too."""

    identity: ProcessIdentity
    pidfd: int

    @property
    def pid(self) -> int:
        """Process id and number of its process group."""
        return self.identity.pid

    def ended(self) -> bool:
        """Say whether it has ended; a zombie has."""
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        return bool(poller.poll(0))

    def reap(self, *, with_group: bool) -> int | None:
        """Collect a process that has ended and close its descriptor.

        With its group, what is left of that is killed first: until then the zombie keeps the group's number from
        being given to somebody else.

        Returns:
            Its exit status, negative for a signal; None if it was somebody else's child.
        """
        if with_group:
            end_group(self.pid)
        try:
            result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None
        finally:
            self.release()
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def release(self) -> None:
        """Close the descriptor; the process is not touched."""
        os.close(self.pidfd)


Secret = Callable[[str, str], str]
"""Returns the secret of a name for an agent of a commit; raises StateguardError where it cannot."""


def no_secret(name: str, revision: str) -> str:
    """Refuse: there are no secrets here.

    Raises:
        NotFoundError: always.
    """
    del revision
    raise NotFoundError(f"there is no secret {name}")


def variables(spec: AgentSpec, revision: str, secret: Secret) -> dict[str, str]:
    """Return an agent's variables, with its secrets in the place of their names.

    Raises:
        ProgramError: a secret is not set, or cannot be used.
    """
    found = spec.plain
    for variable, name in spec.secrets.items():
        try:
            found[variable] = secret(name, revision)
        except StateguardError as error:
            message = f"its {variable} needs a secret: {error.message}"
            raise ProgramError(f"{message}; {error.next_step}" if error.next_step else message) from error
    return found


def spawn(spec: AgentSpec, live: Path, log: Path, mark: str, revision: str, sandbox: Sandbox, secret: Secret) -> Child:
    """Start an agent of a revision in the live directory, its output appended to a log.

    Raises:
        ProgramError: its program cannot be executed, or a secret is missing.
        HostError: the host lacks something for now.
        AgentsError: the log cannot be opened, or the live directory is missing.
    """
    if not spec.command:
        message = "its agent.yaml names no command, which the embedded runtime needs"
        raise ProgramError(message)
    environment = clean_environment(variables(spec, revision, secret)) | {VARIABLE: mark, REVISION: revision}
    output = _open_log(log)
    try:
        process = sandbox.start(Start(spec.command, live, environment, stdout=output, stderr=output))
    except (OSError, ValueError) as error:
        if not live.is_dir():
            message = f"the live directory {live} is missing"
            raise AgentsError(message, next_step="bring it back: stateguard recover") from error
        if isinstance(error, OSError) and error.errno in _OF_THE_HOST:
            raise HostError(error.strerror) from error
        raise ProgramError(_why(spec.command[0], error)) from error
    finally:
        os.close(output)
    # This runtime follows the child by its pidfd and reaps it by that, and on close leaves it running. A Popen object
    # that has a return code does neither: no second reaping behind our back, no warning about a child that runs on.
    process.returncode = 0
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError as error:
        end_group(process.pid)  # nobody could follow it
        os.waitpid(process.pid, 0)
        raise HostError(error.strerror) from error
    return Child(identify(process.pid) or ProcessIdentity(process.pid, 0), pidfd)


def take_over(identity: ProcessIdentity) -> Child | None:
    """Return a process that is running already; None if it has ended."""
    pidfd = open_pidfd(identity)
    return None if pidfd is None else Child(identity, pidfd)


def began_at(identity: ProcessIdentity) -> float:
    """Return when a process began, as Unix time in seconds."""
    return wall_seconds() - boot_seconds() + identity.began_ticks / os.sysconf("SC_CLK_TCK")


def describe(status: int | None) -> str:
    """Return how a process ended, for people."""
    if status is None:
        return "ended, nobody knows with which status"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"killed by signal {signal.Signals(-status).name.removeprefix('SIG')}"
    except ValueError:  # real-time signals have numbers only
        return f"killed by signal {-status}"


def _open_log(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, _LOG_FLAGS, 0o600)
    except OSError as error:
        if error.errno in _OF_THE_HOST:
            raise HostError(error.strerror) from error
        message = f"the log {path} cannot be opened: {error.strerror}"
        raise AgentsError(message, next_step="check the directory, its owner and the space left on the disk") from error


def _why(program: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{program}: no such program"
    if isinstance(error, PermissionError):
        return f"{program}: may not be executed"
    return f"{program}: {error.strerror if isinstance(error, OSError) else error}"
