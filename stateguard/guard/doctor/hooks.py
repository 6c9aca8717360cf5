"""The way of a push: hooks that name programs which exist, and a configuration that lets none around them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from stateguard import __version__
from stateguard.errors import StorageError
from stateguard.guard.doctor.finding import Finding, Mending, Subject, ok, problem, warning
from stateguard.guard.hooks import HOOKS, hook_text, install_hooks
from stateguard.host import command
from stateguard.model.policy import PushBudget
from stateguard.state.settings import SHIPPED_SERVICE, configure, settings_of, settings_unlike_wanted
from stateguard.text.words import joined

_FIX = "stateguard doctor --fix"
_EXEC = "exec "
_PYTHON, _CLIENT = 1, 4
"""Where the words stand in ``exec PYTHON -I -S CLIENT NAME``."""


def hooks(subject: Subject) -> Iterator[Finding]:
    """Look whether each hook is there, may run, and names an interpreter and a client of this version."""
    if subject.home is None or not subject.home.repository.is_dir():
        return
    repository = subject.home.repository
    wrong = [finding for name in HOOKS for finding in _hook(repository, name)]
    yield from wrong
    if not wrong:
        yield ok("hooks", f"{joined(HOOKS)} are as this stateguard writes them")


def _hook(repository: Path, name: str) -> Iterator[Finding]:
    path, fix = repository / "hooks" / name, _installing(repository)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        yield problem("hooks", f"the hook {path} is missing or cannot be read: pushes are not guarded", _FIX, fix)
        return
    if not os.access(path, os.X_OK):
        yield problem(
            "hooks", f"the hook {path} may not be executed: git passes it over, pushes are not guarded", _FIX, fix
        )
    elif text != hook_text(name):
        yield _other(path, text, fix) if _EXEC in hook_text(name) else _unlike(path, fix)


def _other(path: Path, text: str, fix: Mending) -> Finding:
    """Judge a hook that is not what this installation would write."""
    words = next((shlex.split(line) for line in text.splitlines() if line.startswith(_EXEC)), [])
    if len(words) <= _CLIENT:
        return problem("hooks", f"{path} is not stateguard's: pushes do what somebody else wrote there", _FIX, fix)
    python, client = words[_PYTHON], words[_CLIENT]
    if not os.access(python, os.X_OK):
        message = f"{path} runs {python}, which is gone or may not be executed: every push fails"
        return problem("hooks", f"{message}; was the environment moved?", _FIX, fix)
    if not Path(client).is_file():
        return problem("hooks", f"{path} runs {client}, which is gone: every push fails", _FIX, fix)
    version = _version_of(python)
    if version is None:
        message = f"{path} runs {python}, which cannot import stateguard: no push is admitted while no guard runs"
        return problem("hooks", message, _FIX, fix)
    if version != __version__:
        message = f"{path} runs stateguard {version}; this is {__version__}"
        return warning("hooks", f"{message}: a push is judged by the other while no guard runs", _FIX, fix)
    return warning("hooks", f"{path} runs another installation ({python}) of the same version", _FIX, fix)


def _unlike(path: Path, fix: Mending) -> Finding:
    """Judge a hook that starts nothing and is not as this installation writes it."""
    message = f"{path} is not as this stateguard writes it: refs are guarded less than they could be"
    return warning("hooks", message, _FIX, fix)


def _version_of(python: str) -> str | None:
    try:
        done = command.run(
            (python, "-I", "-c", "import stateguard; print(stateguard.__version__)"), deadline_seconds=10
        )
    except OSError:
        return None
    return done.output.decode(errors="replace").strip() if done.status == 0 else None


def _installing(repository: Path) -> Mending:
    return lambda: install_hooks(repository)


def configuration(subject: Subject) -> Iterator[Finding]:
    """Look whether both repositories are configured as they were made."""
    if subject.home is None:
        return
    push = subject.settings.push if subject.settings else SHIPPED_SERVICE
    for repository, serves in ((subject.home.repository, push), (subject.home.captured, None)):
        if repository.is_dir():
            yield from _configuration(repository, serves)


def _configuration(repository: Path, serves: PushBudget | None) -> Iterator[Finding]:
    try:
        found = settings_of(repository)
    except StorageError as error:
        yield problem("git-settings", f"{repository}: {error.message}", f"git -C {repository} config --list")
        return
    elsewhere = found.get("core.hookspath")
    if elsewhere is not None:
        message = f"{repository} takes its hooks from {elsewhere}: stateguard's do not run, pushes are not guarded"
        yield problem("git-settings", message, f"git -C {repository} config --unset-all core.hooksPath")
    wrong = settings_unlike_wanted(repository, serves)
    if not wrong:
        if elsewhere is None:
            yield ok("git-settings", f"{repository.name} is configured as it was made")
        return
    named = ", ".join(f"{key} is {found.get(key.lower()) or 'not set'}, not {value}" for key, value in wrong.items())
    tell = problem if "receive.procReceiveRefs" in wrong else warning
    yield tell("git-settings", f"{repository}: {named}", _FIX, _configuring(repository, wrong))


def _configuring(repository: Path, settings: dict[str, str]) -> Mending:
    return lambda: configure(repository, settings)
