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
from stateguard.trust import gpg, people
from stateguard.trust.gpgstatus import Sighting
from stateguard.trust.verdict import Proof, Verdict, judge, prove

_TABLE = "CREATE TABLE IF NOT EXISTS trust_version (one INTEGER PRIMARY KEY CHECK (one=1), version INTEGER NOT NULL)"


class People:
    """Owner of ``trust/trust.yaml`` and of the table ``trust_version``: the highest version that was in force."""

    def __init__(self, folder: Path, gnupg: Path, database: Database, audit: Audit) -> None:
        """``folder`` is ``trust/``, ``gnupg`` the GNUPGHOME in which gpg verifies."""
        self._folder, self._gnupg, self._database, self._audit = folder, gnupg, database, audit
        database.create(_TABLE)

    def trust(self) -> Trust:
        """Return the document in force.

        Raises:
            TrustError: it was taken back to an earlier version, or away.
            StateguardError: it does not hold or cannot be read.
        """
        found = people.load(self._folder)
        row = self._database.row("SELECT version FROM trust_version")
        highest = int(row["version"]) if row else 0
        if found.version < highest:
            message = f"{self._folder / TRUST_FILE} has version {found.version}, but {highest} was in force"
            raise TrustError(message, next_step="put the newest one back from your backup")
        return found

    def change(self, before: Trust, after: Trust, actor: str, body: dict[str, Any]) -> Trust:
        """Put a new document in force, first into the audit chain; one that says the same changes nothing.

        Raises:
            StorageError: the disk or git refused.
        """
        if after == before:
            return before
        digest = hashlib.sha256(trust_document(after).encode()).hexdigest()
        self._audit.append([Entry("trust", actor, {**body, "version": after.version, "document": digest})])
        people.save(self._folder, after)
        self._database.execute("INSERT OR REPLACE INTO trust_version VALUES (1, ?)", (after.version,))
        return after

    def judge(self, content: bytes, text: str | None) -> Verdict:
        """Return whose signature an armored one over these bytes is, by the document in force.

        Raises:
            StateguardError: the document does not hold, or gpg could not be given what it needs.
        """
        return judge(content, text, self.trust() if text else Trust(), self._gpg, now_seconds=wall_seconds())

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
