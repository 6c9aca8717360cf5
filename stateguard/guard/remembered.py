"""What a guard knows of a large state, kept for the one after it: that need not read everything again.

Nothing here is needed, and nothing is believed that the kernel does not confirm: a file counts as known only while its
stat is what it was, within one boot, since a power cut may keep a stat and lose the bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from stateguard import __version__
from stateguard.errors import StateguardError
from stateguard.host import files
from stateguard.host.clock import boot_id
from stateguard.host.home import Home
from stateguard.host.logs import warn
from stateguard.live.scan import Scanner
from stateguard.model.identity import APPLIED, MAIN
from stateguard.state.fingerprint import DigestCache
from stateguard.state.repository import Repository
from stateguard.transition.archive import Archive
from stateguard.transition.declared import Declared

_FORMAT = 1
_MANY = 5_000
"""So many files are read within a second: for fewer, nothing is kept."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the file holds: what was seen (paths, stats), digests, the last snapshot. Empty: nothing is known."""

    seen: tuple[bytes, bytes] = (b"", b"")
    digests: bytes = b""
    last: bytes = b""


class Remembered:
    """Reads what was kept when a guard begins, and keeps what it knows when it ends, or now and then."""

    def __init__(self, home: Home, live: Path, many: int = _MANY) -> None:
        """``live`` is the directory that it is about: of another one nothing is believed.

        What fewer than ``many`` reads told is not worth keeping.
        """
        self._path, self._live, self._many = home.known, live, many
        self._parts = self._read()
        self._kept = 0

    def digests(self) -> DigestCache:
        """Return the digests that were known, once."""
        cache = DigestCache()
        cache.unpack(self._parts.digests)
        self._parts = replace(self._parts, digests=b"")
        return cache

    def seen(self) -> tuple[bytes, bytes]:
        """Return what was seen in the live directory, once: it is much."""
        seen, self._parts = self._parts.seen, replace(self._parts, seen=_Parts().seen)
        return seen

    def recall(self, archive: Archive) -> None:
        """Let an archive go on from the last snapshot, if that is still what it was."""
        last, self._parts = self._parts.last, replace(self._parts, last=b"")
        try:
            if last:
                archive.unpack(last)
        except StateguardError as error:  # a repository that was put back holds no more than it did then
            warn("the last snapshot is not gone on from; the next one is made without it", error=error.message)

    def keep(self, scanner: Scanner, digests: DigestCache, archive: Archive) -> None:
        """Keep what is known now, if much of it is new since it was kept last."""
        known = scanner.read + digests.computed
        if known - self._kept < self._many:
            return
        self._kept = known
        parts = (*scanner.packed(), digests.packed(), archive.packed())
        about = self._about() | {"lengths": [len(part) for part in parts]}
        content = json.dumps(about).encode() + b"\n" + b"".join(parts)
        try:
            files.replace(self._path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        except OSError as error:
            warn("what is known of the state could not be kept; the next start takes longer", error=str(error))

    def _read(self) -> _Parts:
        try:
            kept = self._path.read_bytes() if self._path.is_file() else b""
        except OSError as error:
            warn("what was known of the state cannot be read; everything is looked at", error=str(error))
            return _Parts()
        if not kept:
            return _Parts()
        checksum, _, content = kept.partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != checksum:
            warn("what was known of the state is damaged; everything is looked at", file=str(self._path))
            return _Parts()
        head, _, body = content.partition(b"\n")
        about, here = json.loads(head), self._about()
        if any(about.get(key) != here[key] for key in ("format", "version", "live")):
            return _Parts()
        parts = []
        for length in about["lengths"]:
            parts.append(body[:length])
            body = body[length:]
        return _Parts((parts[0], parts[1]) if about["boot"] == here["boot"] else (b"", b""), parts[2], parts[3])

    def _about(self) -> dict[str, object]:
        """Return what must be the same for anything to be believed."""
        found = self._live.stat() if self._live.is_dir() else None
        place = [os.path.realpath(self._live), found.st_dev if found else 0, found.st_ino if found else 0]
        return {"format": _FORMAT, "version": __version__, "boot": boot_id(), "live": place}


class Scanners:
    """Keeps one scanner for as long as the path rules stay the same; the next one knows what it knew."""

    def __init__(self, live: Path, repository: Repository, declared: Declared, remembered: Remembered) -> None:
        """Look at a live directory by the rules that the live commit declares, or main before there is one."""
        self._live, self._repository, self._declared, self._remembered = live, repository, declared, remembered
        self._scanner: Scanner | None = None

    def current(self) -> Scanner:
        """Return the scanner of the live directory under the rules in force.

        Raises:
            InvalidDocument: a declaration file is not valid.
            StorageError: an object is missing.
        """
        revision = self._repository.ref(APPLIED) or self._repository.ref(MAIN) or ""
        rules, before = self._declared.rules(revision), self._scanner
        if before is None or rules is not before.rules:
            scanner = Scanner(self._live, rules)
            scanner.unpack(self._remembered.seen() if before is None else before.packed())
            self._scanner = scanner
            return scanner
        return before

    def keep(self, digests: DigestCache, archive: Archive) -> None:
        """Keep what is known for the guard after this one."""
        if self._scanner is not None:
            self._remembered.keep(self._scanner, digests, archive)
