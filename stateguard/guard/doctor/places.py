"""Where things lie: the home with its owner and permissions, the live directory with its lock."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from stateguard.config.host import load_host
from stateguard.config.problem import InvalidDocument
from stateguard.errors import StorageError
from stateguard.guard.compose import read_identity
from stateguard.guard.doctor.finding import Finding, Mending, Subject, note, ok, problem, warning
from stateguard.host.home import Home
from stateguard.host.mounts import NETWORK, kind_of
from stateguard.live.lock import NAME, owner_of

_MOST_FILES = 50_000
_FEW = 3


def home(subject: Subject) -> Iterator[Finding]:
    """Look whether there is a home, and whether its parts are there."""
    if subject.ejected:
        mend = "stateguard --home NEW init --from LIVE --live LIVE"
        yield note("home", "the home was ejected: it guards nothing any more; only the machine is examined", mend)
        return
    if subject.home is None:
        yield note("home", "there is no guard home; only the machine is examined", "stateguard init --from DIRECTORY")
        return
    found = subject.home
    missing = [part.name for part in (found.repository, found.captured, found.keys, found.trust) if not part.is_dir()]
    if missing:
        message = f"{found.root} lacks {', '.join(missing)}; the guard cannot work without"
        yield problem("home", message, f"put it back from your backup of {found.root}")
    else:
        yield ok("home", f"guard home {found.root}")
    try:
        load_host(found.settings.read_bytes(), str(found.settings))
    except OSError as error:
        yield problem("settings", f"{found.settings} cannot be read: {error.strerror}", "put it back from your backup")
    except InvalidDocument as error:
        first = error.problems[0]
        yield problem("settings", f"{first.text()}; no command works until it is mended", f"edit {found.settings}")
    else:
        yield ok("settings", f"{found.settings} is valid")


def permissions(subject: Subject) -> Iterator[Finding]:
    """Look whether anybody else may read or replace what is the guard's own."""
    if subject.home is None:
        return
    root = subject.home.root
    open_to_others = [path for path in _private(subject.home) if path.lstat().st_mode & 0o077]
    for path in open_to_others:
        mode = path.lstat().st_mode
        wanted = stat.S_IMODE(mode) & 0o700
        grave = any(path.is_relative_to(place) for place in (subject.home.keys, subject.home.secrets))
        tell = problem if grave or path == root else warning
        message = f"{path} can be reached by other users (mode {stat.S_IMODE(mode):04o})"
        what = {subject.home.keys: "key", subject.home.secrets: "secret"}.get(path.parent)
        secret = f"; replace the {what} if others may have read it" if what else ""
        yield tell("permissions", message + secret, f"chmod {wanted:04o} {path}", _closing(path, wanted))
    if not open_to_others:
        yield ok("permissions", "only their owner reaches the home, its keys and its socket")
    yield from _owners(root)
    for place in (root, subject.live):
        if place is not None:
            yield from _replaceable(place)


def _closing(path: Path, mode: int) -> Mending:
    return lambda: path.chmod(mode)


def _private(found: Home) -> list[Path]:
    """Return what only its owner may reach; public keys may be read, but nothing there written."""
    listed = [found.root, found.keys, found.trust, found.run, found.logs, found.settings, found.database, found.socket]
    keys = [path for path in _listed(found.keys) if path.suffix != ".pub"]
    secrets = [found.secrets, *_listed(found.secrets)]
    return [path for path in (*listed, *keys, *secrets) if os.path.lexists(path) and not path.is_symlink()]


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []  # a missing directory is told by the check of the home


def _owners(root: Path) -> Iterator[Finding]:
    owner = root.stat().st_uid
    me = os.geteuid()
    if me not in (owner, 0):
        message = f"the home belongs to user {owner}, and this is user {me}: nothing can be written"
        yield problem("ownership", message, f"sudo -u '#{owner}' stateguard --home {root} doctor")
        return
    foreign = _foreign(root, owner)
    if foreign:
        more = f" and {len(foreign) - _FEW} more" if len(foreign) > _FEW else ""
        message = f"{', '.join(foreign[:_FEW])}{more} do not belong to user {owner}, who owns the home"
        yield problem("ownership", f"{message}; the guard cannot change them", f"chown -R {owner} {root}")
    else:
        yield ok("ownership", f"everything in the home belongs to user {owner}")


def _foreign(root: Path, owner: int) -> list[str]:
    found: list[str] = []
    seen = 0
    for directory, names, filenames in os.walk(root):
        if Path(directory) == root:
            names[:] = [name for name in names if name != "live"]  # agents may write there as somebody else
        for name in (*names, *filenames):
            seen += 1
            path = Path(directory, name)
            try:
                if path.lstat().st_uid != owner:
                    found.append(str(path))
            except FileNotFoundError:
                continue  # a lock or temporary file that has gone meanwhile
        if seen > _MOST_FILES:
            break
    return found


def _replaceable(place: Path) -> Iterator[Finding]:
    for parent in place.absolute().parents:
        try:
            mode = parent.stat().st_mode
        except OSError:
            continue  # a live directory that is missing has its own finding
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            message = f"anybody may replace {place}, because anybody may write to {parent}"
            yield problem("permissions", message, f"chmod o-w {parent}")


def live(subject: Subject) -> Iterator[Finding]:
    """Look whether the live directory can be written, is ours, and lies where it can be watched."""
    place, found = subject.live, subject.home
    if place is None or found is None:
        return
    if not place.is_dir():
        mend = f"mkdir -p {place} && stateguard --home {found.root} apply"
        yield problem("live", f"the live directory {place} is missing; agents cannot run", mend)
        return
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        yield problem(
            "live", f"the live directory {place} cannot be written by this user", f"chown -R $(id -u) {place}"
        )
        return
    yield from _owner_of_live(place, found)
    kind = kind_of(place)
    if kind in NETWORK:
        message = f"{place} lies on {kind}: what other hosts change there is only found by the slow scan"
        yield warning("live", message, "move the live directory to a local disk and set live in guard.yaml")
    elif kind == "overlay":
        message = f"{place} lies on an overlay: it is lost with its container, and changes below it are not seen"
        yield warning("live", message, "mount a volume there")
    else:
        yield ok("live", f"live directory {place}{f', on {kind}' if kind else ''}")


def _owner_of_live(place: Path, found: Home) -> Iterator[Finding]:
    try:
        identity = read_identity(found)
    except StorageError as error:
        yield problem("live", f"{error.message}: the guard does not know its own name", error.next_step)
        return
    owner, where = owner_of(place)
    if owner == identity and where == str(found.root):
        return
    if not owner:
        yield note(
            "live", f"no guard stands in {place / NAME} yet; the next writing command claims it", "stateguard apply"
        )
    elif owner == identity:
        yield note(
            "live", f"{place / NAME} names {where}: the home was moved; the next start claims it", "stateguard run"
        )
    elif Path(where, "guard.yaml").is_file():
        message = f"{place} belongs to the guard home {where}; this one will not touch it"
        yield problem("live", message, "set another live directory in guard.yaml")
    else:
        yield note("live", f"{place / NAME} names {where}, which is gone; the next start claims it", "stateguard run")


def file_systems(subject: Subject) -> Iterator[Finding]:
    """Look at the file systems that home and live directory lie on."""
    if subject.home is None:
        return
    root = subject.home.root
    kind = kind_of(root)
    if kind in NETWORK:
        message = f"the home lies on {kind}: its database and locks are not safe there"
        yield problem("file-system", message, "move the home to a local disk")
    elif kind in ("tmpfs", "ramfs", "overlay"):
        message = f"the home lies on {kind}: baselines, audit and keys are lost with it"
        yield warning("file-system", message, "move the home to a disk that stays")
    else:
        yield ok("file-system", f"the home lies on {kind or 'a file system of unknown kind'}")
    devices = {
        path: path.stat().st_dev for path in (root, subject.home.repository, subject.home.captured) if path.exists()
    }
    apart = [str(path) for path, device in devices.items() if device != devices[root]]
    if apart:
        message = f"{' and '.join(apart)} lie on another file system than the home: two disks can fill, two can fail"
        yield note("file-system", message)
