"""Programs that are run and timed, free of the configuration of whoever measures."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "LOGNAME")
_ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
_WHO = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "bench"), ("EMAIL", "bench@localhost"))
}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without the settings of whoever measures; ``extra`` are more variables."""
    return {**{k: os.environ[k] for k in _KEPT if k in os.environ}, **_ALONE, **_WHO, **(extra or {})}


def run(*argv: str | Path, cwd: Path | None = None, extra: Mapping[str, str] | None = None) -> str:
    """Run a program that has to succeed; returns what it prints.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(
        [str(a) for a in argv], cwd=cwd, env=environment(extra), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        message = f"{' '.join(map(str, argv))} ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
        raise RuntimeError(message)
    return done.stdout


def missing(program: str) -> bool:
    """Say whether a program is not installed."""
    return shutil.which(program) is None
