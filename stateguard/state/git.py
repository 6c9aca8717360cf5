"""The one file that runs git."""

from __future__ import annotations

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
}


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
        message = f"git cannot be started: {error.strerror}"
        raise StorageError(message, next_step="install git 2.34 or newer") from error
    words = " ".join(argv[:4])
    if done.status is None:
        message = f"git {words} did not end within {deadline_seconds:.0f} s"
        raise StorageError(message, next_step="look at the load of this host and its disk")
    if done.status:
        message = f"git {words} ended with status {done.status}: {_reason(done.errors)}"
        raise StorageError(message)
    return done.output


def _reason(errors: bytes) -> str:
    """Return the line that says what went wrong; advice may follow it."""
    said = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return next((line for line in reversed(said) if line.startswith(("fatal: ", "error: "))), said[-1])
