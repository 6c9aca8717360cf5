"""How programs are started that somebody else chose: as another user, kept out of a directory, or as they are."""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    start.
    """

    hidden: Path
    shown: tuple[Path, ...] = ()
    keeps_out: bool = field(default=True)

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

        def begin() -> None:
            try:
                landlock.confine(beside(self.hidden, self.shown))
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


def beside(hidden: Path, shown: Sequence[Path]) -> Iterator[str]:
    """Yield what there is beside a directory and the directories above it, and what lies in it and is shown.

    Raises:
        OSError: a directory above it cannot be read.
    """
    above, *parts = Path(os.path.realpath(hidden)).parts
    for part in parts:
        with os.scandir(above) as found:
            yield from (entry.path for entry in found if entry.name != part)
        above = os.path.join(above, part)
    inside = (os.path.realpath(path) for path in shown)
    yield from (path for path in inside if path.startswith(above + "/"))


def choose(hidden: Path, live: Path, user: str, *, confine: bool) -> Sandbox:
    """Return how programs are started that a push chose: they are to be kept from what lies in ``hidden``.

    ``live`` is theirs in any case.
    """
    if user and os.geteuid() == 0:
        return AsUser(user)
    if user and user != pwd.getpwuid(os.geteuid()).pw_name:
        return Unconfined(f"only root can start agents as {user}")
    if not confine:
        return Unconfined("guard.yaml says confine: false")
    if landlock.version() == 0:
        return Unconfined("this kernel has no Landlock")
    if f"{os.path.realpath(hidden)}/".startswith(f"{os.path.realpath(live)}/"):
        return Unconfined("the guard home lies in the live directory")
    return Confined(hidden, (live,))


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
