"""What the test suite of a checkout needs beyond Python: the list that continuous integration installs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stateguard.guard.doctor.finding import Finding, Subject, note, ok, problem

LIST = Path(__file__).resolve().parents[3] / ".ci" / "packages"
_FIELDS = 3


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package, a program by which it is known to be there (empty: by nothing), and what needs it."""

    name: str
    program: str
    why: str


def packages(text: str) -> list[Package]:
    """Return the packages that a list names: package, program or ``-``, and why, a line each."""
    found = []
    for line in text.splitlines():
        fields = line.split(None, _FIELDS - 1)
        if fields and not line.startswith("#"):
            name, program, why = fields
            found.append(Package(name, "" if program == "-" else program, why))
    return found


def look(_subject: Subject) -> Iterator[Finding]:
    """Look whether the programs of every package are there."""
    yield from judge(LIST)


def judge(listed: Path) -> Iterator[Finding]:
    """Look whether the programs of the packages in a list are there."""
    if not listed.is_file():
        yield note("tests", "this is no checkout of stateguard; its tests are not here")
        return
    wanted = packages(listed.read_text(encoding="utf-8"))
    missing = [package for package in wanted if package.program and shutil.which(package.program) is None]
    for package in missing:
        message = f"{package.program} is not installed; needed: {package.why}"
        yield problem("tests", message, f"apt-get install {package.name}")
    if not missing:
        yield ok("tests", f"what the tests need is there: {', '.join(package.name for package in wanted)}")
