"""What is written down: the database, the refs, the keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from stateguard.errors import StorageError, TrustError
from stateguard.guard.doctor.finding import Finding, Subject, note, ok, problem, warning
from stateguard.host.database import VERSION
from stateguard.model.identity import APPLIED, MAIN
from stateguard.state import trees
from stateguard.state.repository import Repository
from stateguard.state.spool import is_writable
from stateguard.trust.keys import load_guard_key, load_pinned

_MOST_FAULTS = 10


def database(subject: Subject) -> Iterator[Finding]:
    """Look whether guard.db is whole and of a version this stateguard knows."""
    if subject.home is None:
        return
    path = subject.home.database
    if not path.is_file():
        message = f"{path} is missing: incidents, journal and what was withdrawn are forgotten"
        yield problem("database", message, "put it back from your backup; the next command makes an empty one")
        return
    try:
        faults, version, unfinished = _read(path)
    except sqlite3.Error as error:
        yield problem("database", f"{path} cannot be read: {error}", "put it back from your backup")
        return
    if faults:
        message = f"{path} is damaged: {'; '.join(faults)}"
        yield problem("database", message, f"sqlite3 {path} .recover | sqlite3 {path}.recovered, or your backup")
    elif version > VERSION:
        message = f"{path} has schema version {version}, this stateguard knows {VERSION}"
        yield problem("database", message, "use the newer stateguard that wrote it")
    elif version < VERSION:
        message = f"{path.name} is whole, of version {version}; the next start brings it to {VERSION}"
        yield note("database", message, "stateguard upgrade")
    else:
        yield ok("database", f"{path.name} is whole, schema version {version}")
    if unfinished:
        message = f"operation {', '.join(map(str, unfinished))} has not ended: it runs, or was interrupted"
        yield note("operations", message, "stateguard recover")


def spool(subject: Subject) -> Iterator[Finding]:
    """Look whether a repository could not be written, so that what is new waits in the spool."""
    if subject.home is None:
        return
    waiting = [p for p in (subject.home.repository, subject.home.captured) if (subject.home.spool / p.name).is_dir()]
    for path in waiting:
        message = f"{path.name} could not be written: what is new since waits in {subject.home.spool / path.name}"
        if is_writable(path):
            yield note("spool", f"{message}; it can be written again", "stateguard recover, or wait a moment")
        else:
            yield warning("spool", message, f"make {path} writable again; what waits then comes home by itself")
    if not waiting:
        yield ok("spool", "both repositories are where they belong")


def _read(path: Path) -> tuple[list[str], int, list[int]]:
    """Return what is wrong, the schema version, and the operations without an outcome; nothing is written."""
    connection = reading(path)
    try:
        found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_MOST_FAULTS})")]
        faults = [] if found == ["ok"] else found
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if faults or "operation" not in tables:
            return faults, version, []
        rows = connection.execute("SELECT id FROM operation WHERE outcome IS NULL ORDER BY id").fetchall()
        return faults, version, [int(row[0]) for row in rows]
    finally:
        connection.close()


def reading(path: Path) -> sqlite3.Connection:
    """Return a connection to a database that changes nothing, not even beside it.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    # Even a reader makes the files of the write-ahead log; where there are none, nobody has the database open.
    way = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{way}", uri=True, timeout=5)


def refs(subject: Subject) -> Iterator[Finding]:
    """Look whether main and what is live can be read, and are the same."""
    if subject.home is None:
        return
    for path in (subject.home.repository, subject.home.captured):
        try:
            _ = Repository(path).handle
        except StorageError as error:
            yield problem("repository", error.message, "put it back from a clone, a mirror or your backup")
            return
    repository = Repository(subject.home.repository)
    heads: dict[str, str] = {}
    for ref, what in ((MAIN, "main"), (APPLIED, "what is live")):
        try:
            heads[ref] = repository.ref(ref) or ""
            _read_all(repository, heads[ref])
        except StorageError as error:
            yield problem("refs", f"{what} cannot be read: {error.message}", f"git -C {repository.path} fsck --full")
            return
    if not heads[MAIN]:
        yield problem("refs", "main names nothing; there is no state to guard", "git push HOME/repo.git main")
    elif not heads[APPLIED]:
        yield problem("refs", f"main is {heads[MAIN][:10]}, but nothing was ever applied", "stateguard apply")
    elif heads[MAIN] != heads[APPLIED]:
        message = f"main is {heads[MAIN][:10]}, live is {heads[APPLIED][:10]}: a change waits, or is being tried"
        yield note("refs", message, "stateguard status; stateguard apply")
    else:
        yield ok("refs", f"main, {heads[MAIN][:10]}, is live")


def _read_all(repository: Repository, commit: str) -> None:
    """Read every tree of a commit and look for every file.

    Raises:
        StorageError: something of it is missing or damaged.
    """
    if not commit:
        return
    for path, entry in trees.path_map(repository, repository.commit(commit).tree).items():
        if not repository.has(entry.id):
            message = f"the content of {path} ({entry.id[:10]}) is missing"
            raise StorageError(message)


def keys(subject: Subject) -> Iterator[Finding]:
    """Look whether the guard's key is there and is the one that is pinned."""
    if subject.home is None:
        return
    try:
        pinned = load_pinned(subject.home.trust)
        key = load_guard_key(subject.home.keys)
    except TrustError as error:
        yield problem("keys", f"{error.message}: nothing can be signed or verified", error.next_step)
        return
    if key.public.line != pinned.line:
        message = "the guard's key is not the one pinned in trust/allowed_signers: what it signs does not verify"
        yield problem("keys", message, "put keys/ and trust/ back from the same backup")
    else:
        yield ok("keys", "the guard's key is there, and pinned")
