"""Approved baselines: the guard prepares the bytes, people sign them elsewhere, the guard counts what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stateguard.errors import NotFoundError, RefusedError, StaleBaselineError, TrustError
from stateguard.host.clock import now_text, wall_seconds
from stateguard.host.database import Database
from stateguard.model.baseline import Baseline, Grade, Signer
from stateguard.model.identity import short
from stateguard.model.tree import PathMap
from stateguard.model.trust import Person, Role
from stateguard.record.audit import Audit, Entry
from stateguard.record.baseline import Baselines, Draft
from stateguard.record.people import People
from stateguard.record.signed import Signed
from stateguard.trust.roles import Quorum, qualified, quorum
from stateguard.trust.statement import of_tag
from stateguard.trust.verdict import Standing

_DRAFTS = """CREATE TABLE IF NOT EXISTS baseline_draft (
    number INTEGER PRIMARY KEY, unsigned BLOB NOT NULL, prepared_at TEXT NOT NULL)"""
_SIGNATURES = """CREATE TABLE IF NOT EXISTS baseline_signature (
    number INTEGER NOT NULL, fingerprint TEXT NOT NULL, name TEXT NOT NULL, armored TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (number, fingerprint))"""
_AGAIN = "stateguard baseline create --sign KEY prepares the state as it is now"


@dataclass(frozen=True, slots=True)
class Pending:
    """A baseline that some have signed and others must sign yet."""

    draft: Draft
    signers: tuple[Signer, ...]
    needed: int

    @property
    def names(self) -> str:
        """The names of those who have signed, as they stand in a sentence."""
        return ", ".join(one.name for one in self.signers)

    def as_json(self) -> dict[str, object]:
        """Return the keys of one of the pending baselines of ``baseline list``."""
        s = self.draft.statement
        return {
            "number": s.number,
            "grade": str(s.grade),
            "pending": True,
            "fingerprint": s.fingerprint,
            "desired_fingerprint": s.desired_fingerprint,
            "revision": s.revision,
            "snapshot": s.snapshot,
            "issued_at": s.issued_at,
            "signers": [one.as_json() for one in self.signers],
            "threshold": self.needed,
        }


class Approvals:
    """Owner of the tables ``baseline_draft`` and ``baseline_signature``: what was prepared, and who signed it so far.

    What was prepared ends when its number is taken, or when another commit is live.
    """

    def __init__(self, baselines: Baselines, people: People, database: Database, audit: Audit) -> None:
        """``people`` says whose signatures count."""
        self._baselines, self._people, self._database, self._audit = baselines, people, database, audit
        database.create(_DRAFTS, _SIGNATURES)

    def signer(self, fingerprint: str) -> Person:
        """Return whose key this is, who may approve baselines: asked before anybody types a passphrase.

        Raises:
            TrustError: it is nobody's, or that person is locked or has not the role.
        """
        return qualified(self._people.trust(), Role.BASELINE, fingerprint, wall_seconds())

    def prepare(self, revision: str, paths: PathMap, evidence: dict[str, Any]) -> Draft:
        """Prepare the next baseline; the newest preparation of a number replaces an earlier one that nobody signed.

        Raises:
            RefusedError: one of the same commit waits for more signatures.
            StorageError: a repository could not be written.
        """
        waiting = self.pending(revision)
        if waiting is not None:
            number = waiting.draft.statement.number
            message = f"baseline/{number} is prepared, signed by {waiting.names}, and waits for more signatures"
            hint = f"stateguard baseline sign {number} --key KEY; or give it up: stateguard baseline revoke {number}"
            raise RefusedError(message, next_step=hint)
        threshold = self._people.trust().thresholds.baseline
        draft = self._baselines.draft(Grade.APPROVED, revision, paths, evidence, threshold)
        with self._database.transaction():
            self._forget()
            values = (draft.statement.number, draft.unsigned, now_text())
            self._database.execute("INSERT INTO baseline_draft VALUES (?, ?, ?)", values)
        return draft

    def pending(self, revision: str) -> Pending | None:
        """Return the baseline of this commit, which is live, that waits for more signatures; None if there is none.

        While the trust document cannot be used, nobody's signature counts, so nothing waits for another one.

        Raises:
            StorageError: the database cannot be read.
        """
        row = self._database.row("SELECT * FROM baseline_draft ORDER BY number DESC")
        if row is None or int(row["number"]) <= self._baselines.highest():
            return None
        draft = Draft(of_tag(row["unsigned"]), row["unsigned"])
        found = self._signed(draft)
        if not found or self._people.problem():
            return None
        counted = self._count(draft, found).counted
        if not counted or draft.statement.revision != revision:
            return None
        return Pending(draft, tuple(found[place].signer for place in counted), self._needed(draft))

    def waiting(self, number: int, revision: str) -> Pending:
        """Return the pending baseline of a number.

        Raises:
            NotFoundError: none of that number waits for signatures.
        """
        found = self.pending(revision)
        if found is None or found.draft.statement.number != number:
            message = f"no baseline {number} waits for signatures"
            raise NotFoundError(message, next_step="see: stateguard baseline list")
        return found

    def prepared(self, unsigned: bytes, revision: str) -> Draft:
        """Return the draft that has exactly these bytes, if its commit is still the live one.

        Raises:
            RefusedError: they were never prepared, or prepared anew since, or another commit is live.
            StaleBaselineError: another baseline has its number by now.
        """
        row = self._database.row("SELECT number FROM baseline_draft WHERE unsigned=?", (unsigned,))
        if row is None:
            raise RefusedError("these are not the bytes that the guard prepared last", next_step=_AGAIN)
        number, highest = int(row["number"]), self._baselines.highest()
        if number <= highest:
            message = f"baseline {number} was prepared, but by now baseline {highest} was signed"
            raise StaleBaselineError(message, next_step=_AGAIN)
        draft = Draft(of_tag(unsigned), unsigned)
        if draft.statement.revision != revision:
            then = short(draft.statement.revision)
            message = f"the live state is another by now ({short(revision)}, prepared was {then})"
            raise RefusedError(message, next_step="look at it, then stateguard baseline create --sign KEY again")
        return draft

    def submit(self, draft: Draft, armored: str, actor: str) -> Baseline | Pending:
        """Take a person's signature of a prepared baseline, which is accepted once enough persons have signed.

        Signatures given before are counted anew: whoever has lost the role since, or was locked, counts no more.

        Raises:
            TrustError: the signature does not hold, or is by nobody who may approve baselines.
            RefusedError: that person has signed it already.
            StaleBaselineError: another baseline has its number by now.
            StorageError: a repository could not be written.
        """
        given = self._judged(draft, armored)
        before = self._signed(draft)
        kept = self._count(draft, before)
        so_far = [before[place] for place in kept.counted]
        if given.signer.name in {one.signer.name for one in so_far}:
            message = f"{given.signer.name} has signed baseline {draft.statement.number} already"
            raise RefusedError(
                message, next_step=f"somebody else must: stateguard baseline sign {draft.statement.number} --key KEY"
            )
        so_far.append(given)
        if self._count(draft, so_far).reached:
            baseline = self._baselines.record(draft, so_far, actor)
            self._forget()
            return baseline
        self._keep(draft, given, actor, len(so_far))
        return Pending(draft, tuple(one.signer for one in so_far), self._needed(draft))

    def give_up(self, pending: Pending, actor: str, reason: str) -> None:
        """Give up a baseline that waits for signatures; its number is free again.

        Raises:
            StorageError: the audit chain or the database could not be written.
        """
        body = {"number": pending.draft.statement.number, "reason": reason, "pending": True}
        self._audit.append([Entry("revoke", actor, body)])
        self._forget()

    def _judged(self, draft: Draft, armored: str) -> Signed:
        text = armored.replace("\r\n", "\n").strip() + "\n"
        verdict = self._people.judge(draft.unsigned, text)
        if verdict.standing is not Standing.KNOWN:
            next_step = "stateguard trust list shows whose keys count; stateguard trust add NAME adds one"
            raise TrustError(f"the baseline was not signed: {verdict.words}", next_step=next_step)
        person = qualified(self._people.trust(), Role.BASELINE, verdict.fingerprint, wall_seconds())
        return Signed(Signer(person.name, verdict.fingerprint), text)

    def _keep(self, draft: Draft, given: Signed, actor: str, signatures: int) -> None:
        number = draft.statement.number
        body = {
            "number": number, "signer": given.signer.name, "key": given.signer.fingerprint, "signatures": signatures,
            "needed": self._needed(draft), "document": hashlib.sha256(draft.unsigned).hexdigest(),
        }  # fmt: skip
        self._audit.append([Entry("signature", actor, body)])
        values = (number, given.signer.fingerprint, given.signer.name, given.armored, now_text())
        self._database.execute("INSERT OR REPLACE INTO baseline_signature VALUES (?, ?, ?, ?, ?)", values)

    def _signed(self, draft: Draft) -> list[Signed]:
        question = "SELECT * FROM baseline_signature WHERE number=? ORDER BY rowid"
        rows = self._database.rows(question, (draft.statement.number,))
        return [Signed(Signer(row["name"], row["fingerprint"]), row["armored"]) for row in rows]

    def _needed(self, draft: Draft) -> int:
        return max(draft.statement.threshold, self._people.trust().thresholds.baseline)

    def _count(self, draft: Draft, signed: Sequence[Signed]) -> Quorum:
        keys = [one.signer.fingerprint for one in signed]
        return quorum(self._people.trust(), Role.BASELINE, keys, self._needed(draft), wall_seconds())

    def _forget(self) -> None:
        with self._database.transaction():
            self._database.execute("DELETE FROM baseline_signature")
            self._database.execute("DELETE FROM baseline_draft")
