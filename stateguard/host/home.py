"""The guard home: where things lie, and who may read them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from stateguard.errors import NotFoundError

MARKER = ".stateguard"
"""A file of this name in a directory holds the path of the guard home that belongs to it; a directory may be one."""


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one guard home."""

    root: Path

    @property
    def settings(self) -> Path:
        """guard.yaml."""
        return self.root / "guard.yaml"

    @property
    def repository(self) -> Path:
        """The served repository."""
        return self.root / "repo.git"

    @property
    def captured(self) -> Path:
        """The repository that is never served."""
        return self.root / "captured.git"

    @property
    def database(self) -> Path:
        """guard.db."""
        return self.root / "guard.db"

    @property
    def keys(self) -> Path:
        """Private keys, mode 0700."""
        return self.root / "keys"

    @property
    def trust(self) -> Path:
        """Pinned public keys."""
        return self.root / "trust"

    @property
    def secrets(self) -> Path:
        """Secrets of agents, a file each, mode 0700; there once one was set."""
        return self.root / "secrets"

    @property
    def run(self) -> Path:
        """Socket, locks, records of running agents."""
        return self.root / "run"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.run / "control.sock"

    @property
    def writer_lock(self) -> Path:
        """The single-writer lock."""
        return self.run / "writer.lock"

    @property
    def known(self) -> Path:
        """What a guard that ended knew of a large state; may be lost."""
        return self.run / "known"

    @property
    def logs(self) -> Path:
        """Logs of the guard and of the agents."""
        return self.root / "logs"

    @property
    def reserve(self) -> Path:
        """Space set aside for when the disk is full."""
        return self.root / "reserve"

    @property
    def spool(self) -> Path:
        """Where the repositories go on while they cannot be written; there only then."""
        return self.root / "emergency"

    @property
    def ejected(self) -> Path:
        """There once the home guards nothing any more."""
        return self.root / "ejected"

    @property
    def default_live(self) -> Path:
        """The live directory unless guard.yaml names another."""
        return self.root / "live"

    def inside(self, directory: Path) -> str:
        """Return where this home lies below a directory, slash-separated; an empty text if it does not."""
        above, root = os.path.realpath(directory), os.path.realpath(self.root)
        return os.path.relpath(root, above) if root.startswith(above.rstrip("/") + "/") else ""

    def exists(self) -> bool:
        """Say whether this is a guard home."""
        return self.settings.is_file() and self.repository.is_dir()

    def require(self) -> Home:
        """Return self if this is a guard home.

        Raises:
            NotFoundError: it is none.
        """
        if not self.exists():
            message = f"{self.root} is no guard home"
            yours = "name yours: --home DIR, or export STATEGUARD_HOME=DIR"
            raise NotFoundError(
                message, next_step=f"{yours}; or make one: stateguard --home {self.root} init --from DIR"
            )
        return self

    def create(self) -> None:
        """Make the directories, readable by their owner only."""
        for directory in (self.root, self.keys, self.trust, self.run, self.logs, self.logs / "agents"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)


def find_home(option: str | None, start: Path | None = None) -> Home:
    """Return the home named by an option, by STATEGUARD_HOME, by a marker upwards, or the user's default."""
    named = option or os.environ.get("STATEGUARD_HOME")
    if named:
        return Home(Path(named).expanduser().absolute())
    here = (start or Path.cwd()).absolute()
    for directory in (here, *here.parents):
        marker = directory / MARKER
        if Home(marker).exists():
            return Home(marker)
        if marker.is_file():
            return Home((directory / marker.read_text(encoding="utf-8").strip()).absolute())
        if (directory / "guard.yaml").is_file() and (directory / "repo.git").is_dir():
            return Home(directory)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Home(Path(state) / "stateguard")
