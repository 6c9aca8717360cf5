"""A SQLite database as bytes while agents write it: read where it lies, never opened there.

Whoever opens a database in WAL mode makes files beside it, and keeps its writer from tidying up; one whose writer
was killed in a transaction cannot be opened for reading at all. So the files are read as SQLite itself would be
allowed to, and a log beside the database is applied to the copy. How: ADR 15; the formats and locks are those of
https://www.sqlite.org/fileformat2.html and https://www.sqlite.org/lockingv3.html.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from stateguard.host import files
from stateguard.host.clock import boot_seconds, wall_seconds

_LOGS = ("-wal", "-shm", "-journal")
_MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_READ_VERSION, _IN_WAL_MODE = 19, 2
_JOURNAL_NONCE = slice(12, 16)
_WAL_HEADER_BYTES, _JOURNAL_HEADER_BYTES = 32, 28
_PENDING_BYTE, _SHARED_BYTE, _SHARED_BYTES = 0x40000000, 0x40000002, 510
_BETWEEN_SECONDS = 0.002
_SURE_NANOSECONDS = 50_000_000
"""What changed longer ago than this has a time stamp that any later change would move."""


def is_database(content: bytes) -> bool:
    """Say whether bytes are those of a SQLite database."""
    return content.startswith(_MAGIC)


def lies_at(directory: int, name: str) -> bool:
    """Say whether a regular file of an open directory is a SQLite database."""
    with contextlib.suppress(OSError):  # nothing there, or nothing that can be read
        found = _head(directory, name, len(_MAGIC))
        return found is not None and is_database(found[1])
    return False


def forget_logs(directory: int, name: str) -> int:
    """Remove what SQLite keeps beside a database that is about to be replaced; returns how many files that were.

    A log is of no use without the bytes that it was made for, and spoils any others.

    Raises:
        OSError: the disk refused.
    """
    removed = 0
    for suffix in _LOGS:
        with contextlib.suppress(FileNotFoundError):
            os.lstat(name + suffix, dir_fd=directory)
            files.remove_at(directory, name + suffix)
            removed += 1
    return removed


def image(directory: int, name: str, patience_seconds: float = 10.0) -> bytes:
    """Return a database with everything that was committed, and nothing that was not, as one file.

    ``directory`` is an open directory. Nothing in it is changed, nobody's transaction is disturbed for longer than
    a copy takes. A damaged database is returned as it is.

    Raises:
        FileNotFoundError: it is gone.
        OSError: it changed all the time for longer than our patience, or there is no room for a copy.
    """
    give_up_at = boot_seconds() + patience_seconds
    while True:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(name, flags, dir_fd=directory)
        try:
            attempt = _through_wal if _in_wal_mode(os.pread(descriptor, 100, 0)) else _through_journal
            found = attempt(directory, name, descriptor)
        finally:
            os.close(descriptor)
        if found is not None:
            return found
        if boot_seconds() > give_up_at:
            raise OSError(errno.EBUSY, "the database is written all the time and cannot be copied", name)
        time.sleep(_BETWEEN_SECONDS)


def _in_wal_mode(head: bytes) -> bool:
    return len(head) > _READ_VERSION and head[_READ_VERSION] == _IN_WAL_MODE


def _through_wal(directory: int, name: str, main: int) -> bytes | None:
    """Copy the database, then its log: right if that log was not begun anew meanwhile.

    Until then a checkpoint only copies pages that the log still holds, so whatever of it the first copy caught,
    the log says it again. Without a log the database itself must not have changed.
    """
    log = name + "-wal"
    before, as_it_was = _head(directory, log, _WAL_HEADER_BYTES), os.fstat(main)
    content = _whole(main)
    frames = _beside(directory, log)
    if _head(directory, log, _WAL_HEADER_BYTES) != before or not _in_place(directory, name, main):
        return None
    if before is None:
        return content if _at_rest(as_it_was, os.fstat(main)) else None
    return _recovered(content, "-wal", frames)


def _through_journal(directory: int, name: str, main: int) -> bytes | None:
    """Copy the database, then the journal that takes back a transaction half done.

    Right if nobody could write, because we held the lock of a reader; or if one and the same transaction was under
    way all the time: the journal then holds the old bytes of every page that the first copy caught in a new state.
    Whoever holds the lock without a journal either writes nothing, or chose to do without one.
    """
    journal = name + "-journal"
    before, as_it_was = _transaction(directory, journal), os.fstat(main)
    with _reading(main) as held:
        content = _whole(main)
        pages = _beside(directory, journal)
    if _in_wal_mode(content) or not _in_place(directory, name, main):
        return None
    same = _transaction(directory, journal) == before
    if not held and not (same and (before is not None or _at_rest(as_it_was, os.fstat(main)))):
        return None
    return _recovered(content, "-journal", pages) if pages.startswith(_JOURNAL_MAGIC) else content


@contextlib.contextmanager
def _reading(main: int) -> Iterator[bool]:
    """Hold the lock under which SQLite reads, if nobody is writing; say whether it is held."""
    held = False
    try:
        if _locked(main, fcntl.F_RDLCK, _PENDING_BYTE, 1):
            held = _locked(main, fcntl.F_RDLCK, _SHARED_BYTE, _SHARED_BYTES)
            _locked(main, fcntl.F_UNLCK, _PENDING_BYTE, 1)
        yield held
    finally:
        _locked(main, fcntl.F_UNLCK, _PENDING_BYTE, _SHARED_BYTE + _SHARED_BYTES - _PENDING_BYTE)


def _locked(descriptor: int, kind: int, start: int, length: int) -> bool:
    """Set or release a lock of this open file alone; a file system that knows none grants none."""
    request = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
    except OSError:
        return False
    return True


def _head(directory: int, name: str, length: int) -> tuple[int, bytes] | None:
    """Return inode and first bytes of a file that is at least so long."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        head = os.pread(descriptor, length, 0)
        return (os.fstat(descriptor).st_ino, head) if len(head) == length else None
    finally:
        os.close(descriptor)


def _transaction(directory: int, journal: str) -> tuple[int, bytes] | None:
    """Return what tells one transaction from the next, if one is under way or was cut short."""
    found = _head(directory, journal, _JOURNAL_HEADER_BYTES)
    if found is None or not found[1].startswith(_JOURNAL_MAGIC):
        return None
    return found[0], found[1][_JOURNAL_NONCE]


def _beside(directory: int, name: str) -> bytes:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return b""
    try:
        return _whole(descriptor)
    finally:
        os.close(descriptor)


def _whole(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        stream.seek(0)
        return stream.read()


def _in_place(directory: int, name: str, main: int) -> bool:
    """Say whether a name still stands for an open file."""
    return os.path.samestat(os.lstat(name, dir_fd=directory), os.fstat(main))


def _at_rest(before: os.stat_result, after: os.stat_result) -> bool:
    """Say whether nothing was written between two looks, the first a moment after the last change."""
    changed = max(before.st_mtime_ns, before.st_ctime_ns)
    same = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    return same and changed < wall_seconds() * 1e9 - _SURE_NANOSECONDS


def _recovered(content: bytes, suffix: str, log: bytes) -> bytes:
    """Return a copied database as SQLite has it after a crash: the log applied or taken back, and gone."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "copy"
            copy.write_bytes(content)
            copy.with_name(copy.name + suffix).write_bytes(log)
            with closing(sqlite3.connect(copy)) as database:
                database.execute("SELECT count(*) FROM sqlite_master").fetchone()
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return copy.read_bytes()
    except (sqlite3.OperationalError, OSError) as error:
        raise OSError(errno.EIO, f"the database cannot be copied: {error}") from error
    except sqlite3.DatabaseError:
        return content
