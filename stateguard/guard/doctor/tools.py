"""Programs and libraries: are they there, new enough, and not among the versions with known holes?"""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stateguard import __version__
from stateguard.errors import StorageError
from stateguard.guard.doctor.finding import Finding, Subject, note, ok, problem, warning
from stateguard.guard.libraries import LIBRARIES, MEND, Version, version_in
from stateguard.host import command
from stateguard.state.git import git_raw


@dataclass(frozen=True, slots=True)
class Hole:
    """A known fault: the first release of each series that mends it, oldest series first."""

    mended_in: tuple[Version, ...]
    reason: str

    def affects(self, version: Version) -> bool:
        """Say whether a release has it: older than the mended one of its series, or of a series with none."""
        series = next((m for m in self.mended_in if m[:2] == version[:2]), self.mended_in[-1])
        return version < series


@dataclass(frozen=True, slots=True)
class Tool:
    """A program or library: how its version is read, what is required of it, and what is known of old ones."""

    name: str
    read: Callable[[], str]
    floor: Version
    why: str
    package: str
    required: bool = True
    holes: tuple[Hole, ...] = ()


def _git() -> str:
    return git_raw(("version",)).decode(errors="replace")


def _output(*argv: str) -> Callable[[], str]:
    def read() -> str:
        done = command.run(argv, deadline_seconds=10)
        return (done.output + done.errors).decode(errors="replace").split("\n")[0]

    return read


TOOLS = (
    Tool(
        "git", _git, (2, 34), "pushes are received by it, with proc-receive hooks and SSH signatures", "git",
        holes=(
            Hole(((2, 34, 6), (2, 35, 6), (2, 36, 4), (2, 37, 5), (2, 38, 3), (2, 39, 1)),
                 "a pushed .gitattributes can overwrite memory (CVE-2022-23521, CVE-2022-41903)"),
            Hole(((2, 39, 4), (2, 40, 2), (2, 41, 1), (2, 42, 2), (2, 43, 4), (2, 44, 1), (2, 45, 1)),
                 "cloning a hostile repository can run its code (CVE-2024-32002)"),
            Hole(((2, 43, 7), (2, 44, 4), (2, 45, 4), (2, 46, 4), (2, 47, 3), (2, 48, 2), (2, 49, 1), (2, 50, 1)),
                 "cloning a hostile repository with its submodules can run its code (CVE-2025-48384)"),
        ),
    ),
    Tool(
        "gpg", _output("gpg", "--version"), (2, 2, 20), "signatures with GPG keys are verified by it", "gnupg",
        required=False,
        holes=(
            Hole(((2, 2, 36), (2, 3, 7)),
                 "a signature can forge what gpg says of its validity (CVE-2022-34903)"),
        ),
    ),
    Tool(
        "ssh", _output("ssh", "-V"), (8, 2), "with ssh-keygen of the same package people sign", "openssh-client",
        required=False,
    ),
    Tool("python", platform.python_version, (3, 11), "stateguard is written for it", "python3"),
    Tool(
        "sqlite", lambda: sqlite3.sqlite_version, (3, 24), "the journal is kept by it", "libsqlite3-0",
        holes=(
            Hole(((3, 44, 6), (3, 50, 7), (3, 51, 3)),
                 "two connections that write at once can damage a database (WAL-reset bug); the guard opens one"),
        ),
    ),
    *(Tool(library.name, library.read, library.floor, library.reason, "") for library in LIBRARIES),
    Tool("linux", platform.release, (5, 4), "agents are followed by pidfd, files exchanged by renameat2", ""),
)  # fmt: skip


def look(_subject: Subject) -> Iterator[Finding]:
    """Look at every tool."""
    yield ok("stateguard", f"stateguard {__version__}, run by {sys.executable}")
    for tool in TOOLS:
        yield from judge(tool)


def judge(tool: Tool) -> Iterator[Finding]:
    """Judge one tool by its version."""
    mend = f"apt-get install {tool.package}" if tool.package else MEND
    try:
        said = tool.read()
    except (OSError, StorageError) as error:
        tell = problem if tool.required else warning
        yield tell(tool.name, f"{tool.name} cannot be run ({error}); {tool.why}", mend)
        return
    version = version_in(said)
    if version is None:
        yield warning(tool.name, f"{tool.name} does not say its version, but {said.strip()[:80]!r}", mend)
        return
    shown, floor = ".".join(map(str, version)), ".".join(map(str, tool.floor))
    if version < tool.floor:
        tell = problem if tool.required else warning
        yield tell(tool.name, f"{tool.name} {shown} is older than {floor}; {tool.why}", mend)
        return
    holes = [hole for hole in tool.holes if hole.affects(version)]
    for hole in holes:
        doubt = "; a distribution may have mended it under the same number"
        yield note(tool.name, f"{tool.name} {shown}: {hole.reason}{doubt}", mend)
    if not holes:
        yield ok(tool.name, f"{tool.name} {shown}, at least {floor} is needed: {tool.why}")
