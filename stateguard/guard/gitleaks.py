"""A second opinion on secrets: gitleaks, where it is on PATH.

It can only add: what it finds is refused, what it does not find is judged as without it. It is told the last part of a
file's name alone, and works on copies in a directory of their own, where no configuration of a pusher's lies. From what
it reports only the place and the name of a rule are taken. Its command is ``dir``, there since 8.19; see
https://github.com/gitleaks/gitleaks.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stateguard.guard.libraries import version_in
from stateguard.host import command
from stateguard.host.sandbox import UNCONFINED, Confined, Sandbox
from stateguard.text.words import seconds

PROGRAM = "gitleaks"
DEADLINE_SECONDS = 15.0

_SINCE = (8, 19)
_VERSION_SECONDS = 5.0
_FOUND = 9
"""The exit status that it is told to end with when it finds something: 1 is that of its own errors."""
_CAP_BYTES, _REPORT_BYTES = 64 * 1024, 4 * 1024 * 1024
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_RULE = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")


@dataclass(frozen=True, slots=True)
class Leak:
    """One finding: the number of the file, its line from 1 (0: unknown), and the name of the rule."""

    file: int
    line: int
    rule: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What it found; ``trouble`` says why it could not look, in a few words."""

    leaks: tuple[Leak, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Gitleaks:
    """The program."""

    program: str
    sandbox: Sandbox = UNCONFINED

    def version(self) -> str:
        """Return what it says of its version, empty if it cannot be run."""
        try:
            done = command.run((self.program, "version"), deadline_seconds=_VERSION_SECONDS, sandbox=self.sandbox)
        except OSError:
            return ""
        return done.output.decode(errors="replace").strip()[:80] if done.status == 0 else ""

    def look(self, files: Sequence[tuple[str, bytes]], deadline_seconds: float = DEADLINE_SECONDS) -> Opinion:
        """Return what it finds in files, each a name and bytes. Whatever goes wrong with it is told, never raised."""
        if not files:
            return Opinion()
        said = self.version()
        version = version_in(said)
        if version is None or version < _SINCE:
            return Opinion(trouble=f"its version is {said or 'not to be had'}, not 8.19 or later")
        try:
            with tempfile.TemporaryDirectory(prefix="stateguard-look-") as place:
                return self._look(Path(place), files, deadline_seconds)
        except OSError as error:
            return Opinion(trouble=error.strerror or "it cannot be run")

    def _look(self, place: Path, files: Sequence[tuple[str, bytes]], deadline_seconds: float) -> Opinion:
        looked, report = place / "files", place / "report.json"
        for number, (name, content) in enumerate(files):
            last = name.rpartition("/")[2]
            copy = looked / str(number) / (last if _SAFE_NAME.fullmatch(last) else "file")
            copy.parent.mkdir(parents=True)
            copy.write_bytes(content)
        words = (
            self.program, "dir", "--no-banner", "--no-color", "--redact", "--log-level", "error", "--exit-code",
            str(_FOUND), "--report-format", "json", "--report-path", str(report), ".",
        )  # fmt: skip
        done = command.run(
            words,
            cwd=looked,
            environment=command.clean_environment(),
            deadline_seconds=deadline_seconds,
            cap_bytes=_CAP_BYTES,
            sandbox=self.sandbox,
        )
        if done.status is None:
            return Opinion(trouble=f"it did not end within {seconds(deadline_seconds)}")
        if done.status not in (0, _FOUND):
            return Opinion(trouble=f"it ended with status {done.status}")
        leaks = _leaks(report, len(files))
        if leaks is None or bool(leaks) != (done.status == _FOUND):
            return Opinion(trouble="its report cannot be understood")
        return Opinion(leaks)


def on_path(sandbox: Sandbox = UNCONFINED) -> Gitleaks | None:
    """Return the program of this process's PATH, or None. It is confined where agents are."""
    found = shutil.which(PROGRAM)
    return Gitleaks(found, sandbox if isinstance(sandbox, Confined) else UNCONFINED) if found else None


def _leaks(report: Path, files: int) -> tuple[Leak, ...] | None:
    """Return what a report says, or None where it is none."""
    try:
        with report.open("rb") as file:
            content = file.read(_REPORT_BYTES + 1)
        listed = json.loads(content) if len(content) <= _REPORT_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(listed, list):
        return None
    leaks = [_leak(one, files) for one in listed]
    return None if None in leaks else tuple(sorted({leak for leak in leaks if leak}, key=lambda x: (x.file, x.line)))


def _leak(one: object, files: int) -> Leak | None:
    if not isinstance(one, dict):
        return None
    parts, line, rule = str(one.get("File", "")).split("/"), one.get("StartLine"), str(one.get("RuleID", ""))
    number = parts[-2] if len(parts) > 1 else ""
    if not (number.isascii() and number.isdigit() and int(number) < files):
        return None
    at = line if isinstance(line, int) and line > 0 else 0
    return Leak(int(number), at, rule if _RULE.fullmatch(rule) else "(unnamed)")
