"""How programs are started that somebody else chose: as another user, kept out of a directory, or as they are."""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from stateguard.host import landlock
from stateguard.host.threads import NO_THREAD

Output = IO[bytes] | int | None


@dataclass(frozen=True, slots=True)
class Start:
    """What is started, where, with which variables and descriptors; always in a session of its own."""

    argv: Sequence[str]
    cwd: Path | None
    environment: Mapping[str, str]
    stdin: Output = subprocess.DEVNULL
    stdout: Output = subprocess.DEVNULL
    stderr: Output = subprocess.DEVNULL


class Sandbox(Protocol):
    """Starts programs."""

    @property
    def words(self) -> str:
        """What it keeps them from, or why from nothing."""
        ...

    @property
    def keeps_out(self) -> bool:
        """Whether it keeps them from anything."""
        ...

    def start(self, start: Start) -> subprocess.Popen[bytes]:
        """Start a program.

        Raises:
            OSError: it cannot be executed, or the host lacks something for it.
            ValueError: an argument or variable holds NUL.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unconfined:
    """Starts programs as we are ourselves."""

    words: str = "programs are started as the guard itself"
    keeps_out: bool = False

    def start(self, start: Start) -> subprocess.Popen[bytes]:
        """Start a program, as :meth:`Sandbox.start` has it."""
        return _begin(start, start.environment)


UNCONFINED = Unconfined()


@dataclass(frozen=True, slots=True)
class AsUser:
    """Starts programs as another user, with that user's groups. Only root can."""

    name: str
    keeps_out: bool = True

    @property
    def words(self) -> str:
        """What it keeps them from."""
        return f"agents and command probes run as the user {self.name}"

    def start(self, start: Start) -> subprocess.Popen[bytes]:
        """Start a program, as :meth:`Sandbox.start` has it."""
        try:
            found = pwd.getpwnam(self.name)
        except KeyError as error:
            raise OSError(errno.EINVAL, f"there is no user {self.name}") from error
        environment = {**start.environment, "HOME": found.pw_dir, "USER": found.pw_name, "LOGNAME": found.pw_name}
        return _begin(start, environment, found)


@dataclass(frozen=True, slots=True)
class Confined:
    """Starts programs that can reach nothing below a directory, but what lies there and is shown to them.

    Nor can they, beside the directories that lead there, make new names: of those they reach what is there when they
    start. What is ``read`` they can read and execute only. All paths are as they are without links, and were
    worked out before anybody was started who might make links of them.
    """

    hidden: str
    shown: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    keeps_out: bool = True

    @property
    def words(self) -> str:
        """What it keeps them from."""
        return f"agents and command probes are kept out of the guard home (Landlock {landlock.version()})"

    def start(self, start: Start) -> subprocess.Popen[bytes]:
        """Start a program, as :meth:`Sandbox.start` has it.

        A thread is confined, for good, and starts it; then it ends. In the child itself nothing can be done after it
        was forked: other threads may hold what that would need.
        """
        begun: list[subprocess.Popen[bytes]] = []
        failed: list[Exception] = []
        # /dev/stdout is the log once more, and that lies in the home.
        written = {one for one in (start.stdout, start.stderr) if isinstance(one, int) and one >= 0}

        def begin() -> None:
            try:
                landlock.confine((*beside(self.hidden, self.read), *self.shown), self.read, written)
                begun.append(_begin(start, start.environment))
            except Exception as error:  # noqa: BLE001 - raised again below, where somebody waits for it
                failed.append(error)

        thread = threading.Thread(target=begin, name="start")
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, NO_THREAD) from error
        thread.join()
        if failed:
            raise failed[0]
        return begun[0]


def beside(hidden: str, but: Sequence[str] = ()) -> Iterator[str]:
    """Yield what there is beside a directory, beside those above it, and beside some others; those left out.

    A directory that may not be listed is left out with all that lies in it, and so is what is another name of the
    hidden one or of one above it, such as a second mount.
    """
    above = [hidden, *map(str, Path(hidden).parents)]
    same = {(found.st_dev, found.st_ino) for found in map(os.stat, above)}
    yield from _beside("/", [hidden, *(path for path in but if not _is_in(hidden, path))], same)


def _beside(directory: str, left_out: Sequence[str], same: set[tuple[int, int]]) -> Iterator[str]:
    try:
        with os.scandir(directory) as found:
            entries = list(found)
    except PermissionError:
        return
    for entry in entries:
        mine = [path for path in left_out if _is_in(path, entry.path)]
        if not mine and not (entry.is_dir(follow_symlinks=False) and _identity(entry) in same):
            yield entry.path
        elif mine and entry.path not in mine:
            yield from _beside(entry.path, mine, same)


def _identity(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = os.stat(entry.path, follow_symlinks=False)
    except OSError:  # nobody can reach it
        return 0, 0
    return found.st_dev, found.st_ino


def _is_in(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def choose(hidden: Path, live: Path, user: str, *, confine: bool) -> Sandbox:
    """Return how programs are started that a push chose: they are to be kept from what lies in ``hidden``.

    ``live`` is theirs in any case. Only root can start them as another user; else they are confined. The code of the
    guard is theirs to read, unless it is root, who owns all code.
    """
    if user and os.geteuid() == 0:
        return AsUser(user)
    if not confine:
        return Unconfined("guard.yaml says confine: false")
    if landlock.version() < landlock.MOVES_SINCE:
        return Unconfined(
            "this kernel has no Landlock" + (" by which files can be moved" if landlock.version() else "")
        )
    home, place = os.path.realpath(hidden), os.path.realpath(live)
    if _is_in(home, place):
        return Unconfined("the guard home lies in the live directory")
    own = within(hidden, live)
    code = {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, Path(__file__).parents[1])}
    mine = sorted(path for path in code if os.access(path, os.W_OK) and not _is_in(home, path))
    if os.geteuid() == 0:
        mine = []
    return Confined(home, (own,) if own else (() if _is_in(place, home) else (place,)), tuple(mine))


def within(home: Path, live: Path) -> str:
    """Return where the live directory lies in a home, if it was put there; nothing if only a link leads there."""
    real, path = os.path.realpath(home), os.path.abspath(live)
    for root in (real, os.path.abspath(home)):
        inside = real + path[len(root) :]
        if path.startswith(root + "/") and os.path.realpath(inside) == inside:
            return inside
    return ""


def _begin(
    start: Start, environment: Mapping[str, str], user: pwd.struct_passwd | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(start.argv),
        cwd=start.cwd,
        env=dict(environment),
        stdin=start.stdin,
        stdout=start.stdout,
        stderr=start.stderr,
        start_new_session=True,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else os.getgrouplist(user.pw_name, user.pw_gid),
    )
