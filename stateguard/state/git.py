"""The one file that runs git."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from stateguard.errors import StorageError
from stateguard.host import command

_SAFE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
    "STATEGUARD_MOVES": "1",
}
"""The last one tells the repository's reference-transaction hook that it is us who move refs."""

_REACHING = ("SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
             "no_proxy", "NO_PROXY")  # fmt: skip
_UNASKED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3",
    "LC_ALL": "C",
}
_PLAIN = (
    "core.hooksPath=/dev/null",
    "core.askPass=",
    "credential.interactive=never",
    "push.followTags=false",
    "push.gpgSign=false",
    "push.recurseSubmodules=no",
    "push.useForceIfIncludes=false",
    "fetch.recurseSubmodules=no",
    "maintenance.auto=false",
    "gc.auto=0",
    "pack.threads=1",
    "transfer.fsckObjects=true",
)

_FRUGAL = (
    "pack.threads=1",
    "pack.windowMemory=64m",
    "pack.deltaCacheSize=16m",
    "core.packedGitWindowSize=8m",
    "core.packedGitLimit=48m",
    "core.deltaBaseCacheLimit=16m",
    "core.bigFileThreshold=24m",
    "repack.writeBitmaps=false",
    "repack.updateServerInfo=false",
    "maintenance.auto=false",
    "gc.auto=0",
)
"""What keeps git small: its defaults take a gigabyte for a repository of a million objects."""

_IDLE = """\
ulimit -d "$1" || exit
shift
! command -v ionice >/dev/null || set -- ionice -c 3 "$@"
exec nice -n 9 "$@"
"""
_DATA_KIB = 160 * 1024
"""The most of its own memory that git may have in the background. The parts of files that it maps come on top."""


def git_idle(repository: Path, *argv: str, cancel: command.Cancel, deadline_seconds: float) -> command.Done:
    """Run a git command in the background: at the lowest priority, in bounded memory, never outliving this process.

    Raises:
        StorageError: it cannot be started, or failed.
    """
    frugal = [word for setting in _FRUGAL for word in ("-c", setting)]
    program = ("git", "--git-dir", str(repository), *frugal, *argv)
    try:
        done = command.run_tethered(
            ("/bin/sh", "-c", _IDLE, "idle", str(_DATA_KIB), *program),
            cancel=cancel,
            environment=command.clean_environment(_SAFE),
            deadline_seconds=deadline_seconds,
        )
    except OSError as error:
        raise _missing(error) from error
    if done.status:
        message = f"git {argv[0]} in {repository.name} ended with status {done.status}: {_reason(done.errors)}"
        raise StorageError(message, changed="nothing was lost; the repository only stays larger than it need be")
    return done


def git_afar(repository: Path, *argv: str, cancel: command.Cancel, deadline_seconds: float) -> command.Done:
    """Run a git command that speaks with another host, as the user who runs the guard: with their keys and helpers.

    It asks nobody for anything, and has ended, with all that it started, when this returns or this process dies.

    Raises:
        StorageError: git is missing.
    """
    reaching = {name: os.environ[name] for name in _REACHING if name in os.environ}
    plain = [word for setting in _PLAIN for word in ("-c", setting)]
    try:
        return command.run_tethered(
            ("git", "--git-dir", str(repository), *plain, *argv),
            cancel=cancel,
            environment=command.clean_environment({**reaching, **_UNASKED}),
            deadline_seconds=deadline_seconds,
            cap_bytes=1 << 26,
        )
    except OSError as error:
        raise _missing(error) from error


def git(
    repository: Path,
    *argv: str,
    stdin: bytes = b"",
    extra: Mapping[str, str] | None = None,
    deadline_seconds: float = 60.0,
) -> bytes:
    """Run a git command on a bare repository, free of the caller's git variables and configuration.

    Raises:
        StorageError: git is missing, failed, or passed its deadline.
    """
    return git_raw(("--git-dir", str(repository), *argv), stdin=stdin, extra=extra, deadline_seconds=deadline_seconds)


def git_raw(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    extra: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    deadline_seconds: float = 60.0,
) -> bytes:
    """Run git without naming a repository.

    Raises:
        StorageError: git is missing, failed, or passed its deadline.
    """
    try:
        done = command.run(
            ("git", *argv),
            cwd=cwd,
            environment=command.clean_environment({**_SAFE, **(extra or {})}),
            stdin=stdin,
            deadline_seconds=deadline_seconds,
            cap_bytes=1 << 30,
        )
    except OSError as error:
        raise _missing(error) from error
    words = " ".join(argv[:4])
    if done.status is None:
        message = f"git {words} did not end within {deadline_seconds:.0f} s"
        raise StorageError(message, next_step="look at the load of this host and its disk")
    if done.status:
        message = f"git {words} ended with status {done.status}: {_reason(done.errors)}"
        raise StorageError(message)
    return done.output


def _missing(error: OSError) -> StorageError:
    return StorageError(f"git cannot be started: {error.strerror}", next_step="install git 2.34 or newer")


def _reason(errors: bytes) -> str:
    """Return the line that says what went wrong; advice may follow it."""
    said = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return next((line for line in reversed(said) if line.startswith(("fatal: ", "error: "))), said[-1])
