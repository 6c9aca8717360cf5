"""What lies at the paths of the live directory: hashed only when its stat changed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stateguard.config.sections import PathRules
from stateguard.host import files
from stateguard.host.clock import wall_seconds
from stateguard.host.logs import warn
from stateguard.host.walk import Walk, open_directory, open_root, walking
from stateguard.live import database
from stateguard.live.seen import Seen
from stateguard.model.ceiling import Over, beyond
from stateguard.model.policy import Section
from stateguard.model.tree import EXECUTABLE, OBSTACLE, REGULAR, SYMLINK, Entry, blob_id

Store = Callable[[bytes], str]
"""Keeps bytes as a blob, durably; returns its object id."""


_LOG = "-wal"
"""Where a SQLite database may change while its own file does not."""
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_UNREACHABLE = (*_ABSENT, errno.ENAMETOOLONG)
_DEEPEST = 500
"""No push has paths with more directories: agents must not make a tree that cannot be gone through."""


@dataclass(frozen=True, slots=True)
class Captured:
    """The captured paths that exist, sorted: those that are kept, and those that pass a ceiling.

    ``stamp`` is another number when any of them may have changed.
    """

    paths: tuple[str, ...] = ()
    over: tuple[Over, ...] = ()
    stamp: int = 0

    @property
    def every(self) -> tuple[str, ...]:
        """All of them, kept or not."""
        return tuple(sorted((*self.paths, *(one.path for one in self.over))))


class Scanner:
    """Looks at paths below one root and remembers what it hashed."""

    def __init__(self, root: Path, rules: PathRules) -> None:
        """``rules`` say which paths are captured: those are read as :func:`settled` has it."""
        self.root, self.rules = root, rules
        self._seen = Seen()
        self._told_too_deep = False

    def observe(self, paths: Iterable[str]) -> dict[str, Entry]:
        """Return what lies at these paths now; a path with nothing is left out.

        Raises:
            OSError: something there cannot be read.
        """
        return self._look(paths, None, None)

    def beside(self, wanted: Iterable[tuple[str, Entry]]) -> Iterator[tuple[str, Entry, Entry | None]]:
        """Yield paths with what is wanted and what lies there now (None: nothing), one after the other.

        Raises:
            OSError: something there cannot be read.
        """
        with walking(self.root) as walk:
            for path, want in wanted:
                yield path, want, self._one(walk, path, None, None)

    def keep(self, paths: Iterable[str], store: Store, has: Callable[[str], bool]) -> dict[str, Entry]:
        """Return what lies at these paths now, with every byte of it stored; obstacles are left out.

        Raises:
            OSError: something there cannot be read.
        """
        return {p: e for p, e in self._look(paths, store, has).items() if e != OBSTACLE}

    @property
    def read(self) -> int:
        """How often a file was read because nothing was known of it."""
        return self._seen.read

    def packed(self) -> tuple[bytes, bytes]:
        """Return what is known of files that agents do not own, for another scanner of the same directory."""
        return self._seen.packed(self.rules.captured)

    def unpack(self, packed: Sequence[bytes]) -> None:
        """Go on with what another scanner knew; files that changed since are read again.

        Raises:
            ValueError: no scanner packed this.
        """
        self._seen.unpack(packed, self.rules.captured)

    def changed_unseen(self, path: str) -> bool:
        """Hash a path anew; say whether it holds other bytes than were remembered although its stat is the same.

        What was found is what is remembered from then on.

        Raises:
            OSError: it cannot be read.
        """
        known = self._seen.both(path)
        self._seen.forget(path)
        now = self.observe([path]).get(path)
        if known is None or now is None:
            return False
        entry, signature = known
        return signature == self._seen.signature(path) and entry != now

    def content(self, path: str) -> bytes:
        """Return the bytes of one path as they count for a fingerprint.

        Raises:
            OSError: it cannot be read.
        """
        *parts, name = path.split("/")
        with open_root(self.root) as root, open_directory(root, tuple(parts)) as directory:
            found = files.read_at(directory, name)[0]
            return settled(directory, name, found) if self.rules.captured(path) else found

    def captured(self) -> Captured:
        """Return what there is of the paths that the running system owns, without reading it."""
        found = {path: stat for prefix in self.rules.captured_roots() for path, stat in self._walk(prefix)}
        sections: dict[str, tuple[Section, dict[str, int]]] = {}
        seen: list[tuple[str, tuple[int, ...]]] = []
        for path, status in found.items():
            section = self.rules.section(path)
            if section is None or not section.captured or self.rules.ignored(path):
                continue
            log = found.get(path + _LOG)
            size = status.st_size + (log.st_size if log else 0)
            sections.setdefault(section.name, (section, {}))[1][path] = size
            seen.append((path, _signature(status) + (_signature(log) if log else ())))
        over = [one for section, sizes in sections.values() for one in beyond(sizes, section.ceiling, section.name)]
        left_out = {one.path for one in over}
        return Captured(
            paths=tuple(sorted(path for path, _ in seen if path not in left_out)),
            over=tuple(sorted(over, key=lambda one: one.path)),
            stamp=hash(tuple(sorted(seen))),
        )

    def everything(self) -> list[str]:
        """Return every file and link below the root, for showing what is unmanaged; ignored ones left out."""
        return sorted(p for p, _ in self._walk("") if not self.rules.ignored(p))

    def _walk(self, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        base = self.root / prefix if prefix else self.root
        if os.path.realpath(base) != os.path.join(os.path.realpath(self.root), prefix).rstrip("/"):
            return
        if not base.is_dir():
            for path in (prefix, prefix + _LOG):
                with contextlib.suppress(OSError):
                    if stat.S_ISREG((found := os.lstat(self.root / path)).st_mode):
                        yield path, found
            return
        for directory, names, filenames in os.walk(base, followlinks=False):
            relative = os.path.relpath(directory, self.root)
            lead = "" if relative == "." else relative + "/"
            names[:] = [n for n in names if not self.rules.ignored(f"{lead}{n}/") and not n.startswith(files.TEMPORARY)]
            if names and lead.count("/") >= _DEEPEST:
                self._say_too_deep(lead)
                names.clear()
            links = [n for n in names if os.path.islink(os.path.join(directory, n))]
            yield from self._files(directory, lead, (*filenames, *links))

    def _files(self, directory: str, lead: str, names: Iterable[str]) -> Iterator[tuple[str, os.stat_result]]:
        for name in names:
            path = lead + name
            if name.startswith(files.TEMPORARY) or not _is_text(path):
                continue
            try:
                found = os.lstat(os.path.join(directory, name))
            except OSError as error:
                if error.errno not in _UNREACHABLE:
                    raise
                continue
            if stat.S_ISREG(found.st_mode) or (stat.S_ISLNK(found.st_mode) and not self.rules.captured(path)):
                yield path, found

    def _say_too_deep(self, lead: str) -> None:
        if not self._told_too_deep:
            warn("what lies deeper than so many directories is left out", most=_DEEPEST, below=lead.partition("/")[0])
        self._told_too_deep = True

    def _look(self, paths: Iterable[str], store: Store | None, has: Callable[[str], bool] | None) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        with walking(self.root) as walk:
            for path in paths:
                entry = self._one(walk, path, store, has)
                if entry is not None:
                    found[path] = entry
        return found

    def _one(self, walk: Walk, path: str, store: Store | None, has: Callable[[str], bool] | None) -> Entry | None:
        *parts, name = path.split("/")
        try:
            directory = walk.at(tuple(parts))
            signature = self._signature(path, directory, name)
            seen = self._seen.trusted(path, signature)
            if seen is not None and (has is None or has(seen.id)):
                return seen
            hashed_at = wall_seconds() * 1e9
            content, found = files.read_at(directory, name)
            if self.rules.captured(path) and stat.S_ISREG(found.st_mode):
                content = settled(directory, name, content)
        except IsADirectoryError:
            return OBSTACLE
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            if error.errno == errno.EINVAL:
                return OBSTACLE
            raise
        entry = Entry(_mode(found), store(content) if store else blob_id(content))
        self._seen.keep(path, signature, hashed_at, entry)
        return entry

    def _signature(self, path: str, directory: int, name: str) -> tuple[int, ...]:
        """Return what changes when the file changes; a SQLite database may change in its log alone."""
        found = _signature(os.lstat(name, dir_fd=directory))
        if self.rules.captured(path):
            with contextlib.suppress(OSError):  # no log beside it
                found += _signature(os.lstat(name + _LOG, dir_fd=directory))
        return found


def settled(directory: int, name: str, content: bytes) -> bytes:
    """Return the part of a captured file that is complete while somebody is writing it.

    JSON lines are cut at the last line end; of a SQLite database everything that was committed is taken.

    Raises:
        OSError: a database was written all the time for longer than our patience, or there is no room for a copy.
    """
    if name.endswith(".jsonl"):
        return content[: content.rfind(b"\n") + 1]
    return database.image(directory, name) if database.is_database(content) else content


def _mode(found: os.stat_result) -> int:
    if stat.S_ISLNK(found.st_mode):
        return SYMLINK
    return EXECUTABLE if found.st_mode & stat.S_IXUSR else REGULAR


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
