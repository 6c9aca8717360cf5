"""Whose signatures count: the trust document in force, changed only with an entry in the audit chain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stateguard.config.trust import TRUST_FILE, trust_document
from stateguard.errors import StateguardError, TrustError
from stateguard.host.clock import wall_seconds
from stateguard.host.database import Database
from stateguard.model.trust import Trust
from stateguard.record.audit import Audit, Entry
from stateguard.record.signed import Signed
from stateguard.trust import gpg, people
from stateguard.trust.gpgstatus import Finding, Sighting
from stateguard.trust.keys import load_pinned
from stateguard.trust.public import PublicKey
from stateguard.trust.ssh import GIT_NAMESPACE
from stateguard.trust.verdict import Proof, Verdict, judge, prove

_TABLE = "CREATE TABLE IF NOT EXISTS trust_version (one INTEGER PRIMARY KEY CHECK (one=1), version INTEGER NOT NULL)"
_DOCUMENTS = """CREATE TABLE IF NOT EXISTS trust_document (
    digest TEXT PRIMARY KEY, version INTEGER NOT NULL, without_admins TEXT NOT NULL)"""


class People:
    """Owner of ``trust/trust.yaml`` and of the tables ``trust_version`` and ``trust_document``.

    The first is the highest version that was in force; the second the SHA-256 of the document that is, and of the next
    one while it is put in force.
    """

    def __init__(self, folder: Path, gnupg: Path, database: Database, audit: Audit) -> None:
        """``folder`` is ``trust/``, ``gnupg`` the GNUPGHOME in which gpg verifies."""
        self._folder, self._gnupg, self._database, self._audit = folder, gnupg, database, audit
        database.create(_TABLE, _DOCUMENTS)

    def trust(self) -> Trust:
        """Return the document in force.

        Raises:
            TrustError: it was taken back to an earlier version, or away, or changed past the guard.
            StateguardError: it does not hold or cannot be read.
        """
        return self.in_force()[0]

    def in_force(self) -> tuple[Trust, str]:
        """Return the document in force, and its text; empty if there is none.

        Raises:
            TrustError: it was taken back to an earlier version, or away, or changed past the guard.
            StateguardError: it does not hold or cannot be read.
        """
        found, content = people.read(self._folder)
        highest = self.highest()
        if found.version < highest:
            message = f"{self._folder / TRUST_FILE} has version {found.version}, but {highest} was in force"
            raise TrustError(message, next_step="stateguard trust restore puts the newest one back")
        known = {row["digest"] for row in self._database.rows("SELECT digest FROM trust_document")}
        if known and digest_of(content) not in known:  # none: a home that an earlier stateguard made
            message = f"{self._folder / TRUST_FILE} was changed past the guard: it is not what version {highest} was"
            raise TrustError(message, next_step="stateguard trust restore puts it back; stateguard trust changes it")
        return found, content.decode(errors="replace")

    def highest(self) -> int:
        """Return the highest version that was in force, as far as the database knows; 0: it knows none."""
        row = self._database.row("SELECT version FROM trust_version")
        return int(row["version"]) if row else 0

    def guard_key(self) -> PublicKey:
        """Return the guard's pinned key, which signs the audit chain.

        Raises:
            TrustError: it is missing or not exactly one.
        """
        return load_pinned(self._folder)

    def problem(self) -> str:
        """Return why the document cannot be used; empty if it can."""
        try:
            self.trust()
        except StateguardError as error:
            return error.message
        return ""

    def without_admins(self) -> str:
        """Return who put the document in force although admins should have signed it; empty if nobody did."""
        try:
            digest = digest_of(people.read(self._folder)[1])
        except StateguardError:
            digest = ""  # it cannot be told which one lies there: the newest
        rows = self._database.rows("SELECT digest, without_admins FROM trust_document ORDER BY version DESC")
        found = [row for row in rows if row["digest"] == digest] or rows
        return str(found[0]["without_admins"]) if found else ""

    def begun(self, version: int) -> bool:
        """Say whether a document of a version was begun to be put in force; it may be in the audit chain, or not."""
        return self._database.row("SELECT digest FROM trust_document WHERE version=?", (version,)) is not None

    def change(
        self, before: Trust, after: Trust, actor: str, body: dict[str, Any], signed: Sequence[Signed] = (),
        without_admins: str = "",
    ) -> Trust:  # fmt: skip
        """Put a new document in force, first into the audit chain; one that says the same changes nothing.

        The entry holds the document and who signed it, so that whoever has the chain can follow every change.
        ``without_admins`` is who did so, now or before, although admins should have signed it; what is signed now is
        not marked for that in the chain.

        Raises:
            StorageError: the disk or git refused.
        """
        if after == before:
            return before
        document = trust_document(after)
        digest = digest_of(document.encode())
        whole = {**body, "version": after.version, "document": digest, "text": document}
        if signed:
            whole["signatures"] = [one.signer.as_json() | {"signature": one.armored} for one in signed]
        if without_admins and not signed:
            whole["without_admins"] = True
        row = (digest, after.version, without_admins)
        self._database.execute("INSERT OR REPLACE INTO trust_document VALUES (?, ?, ?)", row)
        self._audit.append([Entry("trust", actor, whole)])
        people.save(self._folder, after)
        with self._database.transaction():
            self._database.execute("INSERT OR REPLACE INTO trust_version VALUES (1, ?)", (after.version,))
            self._database.execute("DELETE FROM trust_document WHERE digest<>?", (digest,))
        return after

    def armored(self) -> dict[str, str]:
        """Return the OpenPGP keys that lie beside the document, whatever it says.

        Raises:
            StorageError: they cannot be read.
        """
        return people.armored_in(self._folder)

    def put_back(self, found: Trust, document: str, without_admins: str) -> None:
        """Write a document of the audit chain as it stands there, and remember it as the one in force.

        ``without_admins`` is whose change admins have had no say in since; empty: nobody's.

        Raises:
            StorageError: the disk refused.
        """
        people.save(self._folder, found, document)
        with self._database.transaction():
            digest = digest_of(document.encode())
            row = (digest, found.version, without_admins)
            self._database.execute("INSERT OR REPLACE INTO trust_document VALUES (?, ?, ?)", row)
            self._database.execute("INSERT OR REPLACE INTO trust_version VALUES (1, ?)", (found.version,))
            self._database.execute("DELETE FROM trust_document WHERE digest<>?", (digest,))

    def judge(self, content: bytes, text: str | None, namespace: str = GIT_NAMESPACE) -> Verdict:
        """Return whose signature an armored one over these bytes is, by the document in force.

        Raises:
            StateguardError: the document does not hold, or gpg could not be given what it needs.
        """
        trust = self.trust() if text else Trust()
        return judge(content, text, trust, self._gpg, now_seconds=wall_seconds(), namespace=namespace)

    def prove_at(
        self, trust: Trust, content: bytes, text: str, fingerprint: str, namespace: str, at: float
    ) -> Proof:  # fmt: skip
        """Look again at a signature that was accepted at a moment, Unix time, when another document was in force.

        A key that had expired by then, or that its owner had revoked by then, counts for nothing.

        Raises:
            StateguardError: gpg could not be given what it needs.
        """

        def gpg_then(keys: Sequence[str], content: bytes, text: str) -> Sighting:
            found = gpg.verify(self._gnupg, keys, content, text, at_any_time=True, at=at)
            if found.finding is not Finding.REVOKED_KEY:
                return found
            since = [gpg.revoked_at(self._gnupg, key) for key in keys]
            later = all(one is not None and one > at for one in since)
            return replace(found, finding=Finding.GOOD, detail="") if later else found

        return prove(content, text, fingerprint, trust, gpg_then, namespace, lasting=False)

    def prove(self, content: bytes, text: str | None, fingerprint: str) -> Proof:
        """Look again at a signature that was accepted as one by this key."""
        try:
            return prove(content, text, fingerprint, self.trust(), self._gpg_again)
        except StateguardError as error:
            proof = prove(content, text, fingerprint, Trust(), self._gpg_again)
            return replace(proof, warnings=(f"whose key it is cannot be told: {error.message}",))

    def _gpg(self, keys: Sequence[str], content: bytes, text: str) -> Sighting:
        return gpg.verify(self._gnupg, keys, content, text)

    def _gpg_again(self, keys: Sequence[str], content: bytes, text: str) -> Sighting:
        """Verify what was accepted once: a clock that is wrong by now takes nothing back."""
        return gpg.verify(self._gnupg, keys, content, text, at_any_time=True)


def digest_of(document: bytes) -> str:
    """Return the SHA-256 of a document, in hexadecimal digits, as the audit chain names it."""
    return hashlib.sha256(document).hexdigest()
