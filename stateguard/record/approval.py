"""Approved baselines: the guard prepares the bytes, a person signs them elsewhere, the guard checks what comes back."""

from __future__ import annotations

from typing import Any

from stateguard.errors import RefusedError, StaleBaselineError, TrustError
from stateguard.host.clock import now_text
from stateguard.host.database import Database
from stateguard.model.baseline import Baseline, Grade
from stateguard.model.tree import PathMap
from stateguard.model.trust import Person, Role, Trust
from stateguard.record.baseline import Baselines, Draft, Signer
from stateguard.record.people import People
from stateguard.trust.statement import of_tag
from stateguard.trust.verdict import Standing

_TABLE = """CREATE TABLE IF NOT EXISTS baseline_draft (
    number INTEGER PRIMARY KEY, unsigned BLOB NOT NULL, prepared_at TEXT NOT NULL)"""
_AGAIN = "stateguard baseline create --sign KEY prepares the state as it is now"


class Approvals:
    """Owner of the table ``baseline_draft``: what was prepared and waits for a signature."""

    def __init__(self, baselines: Baselines, people: People, database: Database) -> None:
        """``people`` says whose signatures count."""
        self._baselines, self._people, self._database = baselines, people, database
        database.create(_TABLE)

    def signer(self, fingerprint: str) -> Person:
        """Return whose key this is, who may approve baselines: asked before anybody types a passphrase.

        Raises:
            TrustError: it is nobody's, or that person is locked or has not the role.
        """
        return _may_sign(self._people.trust(), fingerprint)

    def prepare(self, revision: str, paths: PathMap, evidence: dict[str, Any]) -> Draft:
        """Prepare the next baseline; the newest preparation of a number replaces an earlier one.

        Raises:
            StorageError: a repository could not be written.
        """
        draft = self._baselines.draft(Grade.APPROVED, revision, paths, evidence)
        values = (draft.statement.number, draft.unsigned, now_text())
        self._database.execute("INSERT OR REPLACE INTO baseline_draft VALUES (?, ?, ?)", values)
        return draft

    def prepared(self, unsigned: bytes) -> Draft:
        """Return the draft that has exactly these bytes.

        Raises:
            RefusedError: they were never prepared, or prepared anew since.
            StaleBaselineError: another baseline has its number by now.
        """
        row = self._database.row("SELECT number FROM baseline_draft WHERE unsigned=?", (unsigned,))
        if row is None:
            raise RefusedError("these are not the bytes that the guard prepared last", next_step=_AGAIN)
        number, highest = int(row["number"]), self._baselines.highest()
        if number <= highest:
            message = f"baseline {number} was prepared, but by now baseline {highest} was signed"
            raise StaleBaselineError(message, next_step=_AGAIN)
        return Draft(of_tag(unsigned), unsigned)

    def submit(self, draft: Draft, armored: str, actor: str) -> Baseline:
        """Accept a prepared baseline with a person's signature.

        Raises:
            TrustError: the signature does not hold, or is by nobody who may approve baselines.
            StaleBaselineError: another baseline has its number by now.
            StorageError: a repository could not be written.
        """
        text = armored.replace("\r\n", "\n").strip() + "\n"
        verdict = self._people.judge(draft.unsigned, text)
        if verdict.standing is not Standing.KNOWN:
            next_step = "stateguard trust list shows whose keys count; stateguard trust add NAME adds one"
            raise TrustError(f"the baseline was not signed: {verdict.words}", next_step=next_step)
        person = _may_sign(self._people.trust(), verdict.fingerprint)
        signed = self._baselines.record(draft, text, actor, Signer(person.name, verdict.fingerprint))
        self._database.execute("DELETE FROM baseline_draft WHERE number<=?", (signed.statement.number,))
        return signed


def _may_sign(trust: Trust, fingerprint: str) -> Person:
    person = trust.owner(fingerprint)
    if person is None:
        message = f"the key {fingerprint} is trusted as nobody's"
        raise TrustError(message, next_step="stateguard trust add NAME --ssh KEY.pub (or --gpg KEY) --role baseline")
    lock = trust.lock_of(person.name)
    if lock is not None:
        message = f"{person.name} is {lock.words}"
        raise TrustError(message, next_step=f"stateguard trust unlock {person.name}, if that is over")
    if Role.BASELINE not in person.roles:
        message = f"{person.name} has not the role baseline"
        roles = " ".join(f"--role {role}" for role in (*person.roles, Role.BASELINE))
        raise TrustError(message, next_step=f"stateguard trust add {person.name} {roles}")
    return person
