"""Changes of trust: once somebody is an admin, admins sign the next document before it is in force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stateguard.config.trust import trust_document
from stateguard.errors import ApprovalNeededError, NotFoundError, RefusedError, TrustError
from stateguard.host.clock import now_text, wall_seconds
from stateguard.host.database import Database
from stateguard.model.baseline import Signer
from stateguard.model.trust import Person, Role, Trust
from stateguard.record.audit import Audit, Entry
from stateguard.record.people import People, digest_of
from stateguard.record.signed import Signed
from stateguard.record.trail import RESTORED, Document, Trail, follow, has_signed
from stateguard.text.words import count
from stateguard.trust.change import document_in, to_sign
from stateguard.trust.people import armored_keys, parse
from stateguard.trust.roles import Quorum, decided_by, qualified, quorum
from stateguard.trust.ssh import TRUST_NAMESPACE
from stateguard.trust.verdict import Standing

_CHANGE = """CREATE TABLE IF NOT EXISTS trust_change (
    version INTEGER PRIMARY KEY, payload BLOB NOT NULL, document TEXT NOT NULL, armored TEXT NOT NULL,
    body TEXT NOT NULL, prepared_at TEXT NOT NULL)"""
_SIGNATURES = """CREATE TABLE IF NOT EXISTS trust_signature (
    fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, armored TEXT NOT NULL, at TEXT NOT NULL)"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A next trust document that admins are to sign: the bytes for that, what it changes, and who has signed.

    ``base`` is the document to show it against, where it was looked up when the change was prepared.
    """

    after: Trust
    payload: bytes
    body: dict[str, Any]
    signers: tuple[Signer, ...]
    needed: int
    base: Document | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, object]:
        """Return the keys of the pending change of ``trust list``."""
        return {
            "version": self.after.version,
            "change": self.body,
            "signers": [one.as_json() for one in self.signers],
            "threshold": self.needed,
        }


class Changes:
    """Owner of the tables ``trust_change`` and ``trust_signature``: the next document, and which admins signed it.

    It ends when another document has its version.
    """

    def __init__(self, people: People, database: Database, audit: Audit, identity: str) -> None:
        """``identity`` is the home's: what was signed for another one counts for nothing."""
        self._people, self._database, self._audit, self._identity = people, database, audit, identity
        database.create(_CHANGE, _SIGNATURES)

    def change(self, before: Trust, after: Trust, actor: str, body: dict[str, Any], *, force: bool) -> Trust:
        """Put a new document in force that nobody has signed, if nobody must, or by ``force``: that is on record.

        Raises:
            ApprovalNeededError: admins must sign it.
            RefusedError: it would leave fewer admins than a change takes.
            StorageError: the disk or git refused.
        """
        if after == before:
            return before
        _check_reachable(after)
        self._check_nothing_was_cut(before, after)
        needed = decided_by(before, after)
        if needed and not force:
            names = ", ".join(p.name for p in before.holders(Role.ADMIN))
            message = f"a change of trust takes {count(needed, 'signature')} of {names}"
            hint = "add --sign KEY, with the key of an admin; or --force, which is on record"
            raise ApprovalNeededError(message, next_step=hint)
        # A lock, which nobody has to sign, is no reason to forget that the document before it should have been.
        unsigned = actor if needed else self._people.without_admins() if before.holders(Role.ADMIN) else ""
        return self._people.change(before, after, actor, body, without_admins=unsigned)

    def propose(self, before: Trust, after: Trust, body: dict[str, Any], key: str) -> Proposal:
        """Prepare the bytes that admins sign; ``key`` is the fingerprint with which the first of them will.

        Raises:
            TrustError: it is nobody's key, or of nobody who may sign; or the document in force is not what the audit
                chain says.
            RefusedError: another change waits for signatures, or it would leave fewer admins than a change takes.
            StorageError: the database could not be written.
        """
        _check_reachable(after)
        self.signer(key)
        base = self._base(self._followed())
        if before != self._people.trust():
            raise TrustError("trust was changed meanwhile; nothing was signed", next_step="say the change again")
        waiting = self.pending()
        if waiting is not None:
            names = ", ".join(one.name for one in waiting.signers)
            message = f"another change, to version {waiting.after.version}, is signed by {names} and waits for more"
            raise RefusedError(message, next_step="stateguard trust sign --key KEY; or stateguard trust drop")
        document = trust_document(after)
        payload = to_sign(self._identity, document)
        armored = json.dumps(armored_keys(after))
        with self._database.transaction():
            self._forget()
            values = (after.version, payload, document, armored, json.dumps(body), now_text())
            self._database.execute("INSERT INTO trust_change VALUES (?, ?, ?, ?, ?, ?)", values)
        return Proposal(after, payload, body, (), decided_by(before, after), base)

    def base(self) -> Document:
        """Return the document against which whoever signs a change is shown it: the last one that admins agreed to.

        That is the one in force, but for changes by force: in those they had no say yet.

        Raises:
            TrustError: the document in force is not what the audit chain says.
            StateguardError: the chain or the document cannot be read.
        """
        return self._base(self._followed())

    def _base(self, trail: Trail) -> Document:
        if trail.agreed is not None:
            return trail.agreed
        trust, text = self._people.in_force()
        return Document(trust.version, digest_of(text.encode()), text, trust)

    def restore(self, actor: str, *, force: bool = False) -> Trust:
        """Put the document back that the audit chain says is in force; returns it.

        With ``force`` the last one that admins agreed to is put in force again, as a new version above all that are
        known, though the chain does not hold or admins did not sign what came after it; that is on record.

        Raises:
            NotFoundError: the chain holds none.
            TrustError: the chain does not hold, a change in it was not decided as it took, or it is cut; nothing was
                changed.
            StorageError: the chain cannot be read, or the disk refused.
        """
        trail = follow(self._audit, self._people, self._identity, whole=True)
        last, highest = trail.agreed if force else trail.last, self._people.highest()
        wrong = "" if force else next(iter((*trail.chain, *trail.standing)), "")
        if not wrong and not force and last is not None and last.version < highest:
            wrong = f"the audit chain ends with version {last.version}, but {highest} was in force"
        if wrong:
            hint = (
                "see stateguard trust verify and audit verify; bring the chain back from a mirror or a backup; "
                "or stateguard trust restore --force, which is on record"
            )
            raise TrustError(f"the trust document was not put back: {wrong}", next_step=hint)
        if last is None or last.trust is None:
            message = "the audit chain holds no trust document"
            raise NotFoundError(message, next_step="put trust/trust.yaml back from your backup")
        if not force:
            self._people.put_back(last.trust, last.text, trail.owed)
            return last.trust
        after = replace(last.trust, version=max(highest, trail.highest) + 1)
        body = {"action": RESTORED, "restored": last.version}
        return self._people.change(last.trust, after, actor, body, without_admins=actor)

    def _followed(self, going_on: str = "") -> Trail:
        """Return the trail, if what is in force is what it leads to, or else would be by ``going_on``, a document.

        Raises:
            TrustError: it is not, or admins did not sign what leads to it.
        """
        trail = follow(self._audit, self._people, self._identity)
        cut_short = trail.last is not None and bool(going_on) and trail.last.text == going_on
        wrong = [*trail.standing, *([trail.astray] if trail.astray and not cut_short else [])]
        if wrong:
            message = f"nothing is signed while what is in force does not follow from the audit chain: {wrong[0]}"
            hint = "stateguard trust verify shows all; stateguard trust restore puts back what the chain has"
            raise TrustError(message, next_step=hint)
        return trail

    def _check_nothing_was_cut(self, before: Trust, after: Trust) -> None:
        """Refuse a change while another one with its version is in the chain: whoever follows it counts that one.

        Raises:
            RefusedError: it was never put in force, because the guard was cut short.
        """
        if not self._people.begun(before.version + 1):
            return
        entries = (entry["body"] for entry in self._audit.newest_first() if entry["kind"] == "trust")
        last = next((body for body in entries if isinstance(body, dict)), {})
        if last.get("version") == before.version + 1 and last.get("text") not in (None, trust_document(after)):
            message = f"the guard was cut short between writing version {before.version + 1} down and using it"
            hint = "stateguard trust restore puts it in force; then say the change again"
            raise RefusedError(message, next_step=hint)

    def signer(self, key: str) -> Person:
        """Return the admin whose key this is: asked before anybody types a passphrase.

        Raises:
            TrustError: it is nobody's, or of nobody who may sign.
        """
        return qualified(self._people.trust(), Role.ADMIN, key, wall_seconds())

    def pending(self) -> Proposal | None:
        """Return the change that waits for more signatures; None if there is none.

        Raises:
            StateguardError: the document in force or the database cannot be read.
        """
        found = self._prepared()
        counted = self._counted(found) if found is not None else []
        return self._with(found, counted) if found is not None and counted else None

    def submit(self, payload: bytes, armored: str, actor: str) -> Proposal | Trust:
        """Take an admin's signature of a prepared change, which is in force once enough admins have signed.

        Signatures given before are counted anew, by the document that is in force.

        Raises:
            TrustError: the signature does not hold, or is of nobody who may sign; or the document in force is not what
                the audit chain says.
            RefusedError: these bytes were not prepared last, trust has changed since, or that admin has signed.
            StorageError: the disk or git refused.
        """
        found = self._prepared()
        if found is None or found.payload != payload:
            message = "this is not the change that was prepared last, or trust was changed meanwhile"
            raise RefusedError(message, next_step="stateguard trust list shows how it is; then say the change again")
        given = self._judged(payload, armored)
        trail = self._followed(document_in(payload))
        so_far = self._counted(found)
        if given.signer.name in {one.signer.name for one in so_far}:
            message = f"{given.signer.name} has signed this change already"
            raise RefusedError(message, next_step="another admin must sign it: stateguard trust sign --key KEY")
        so_far = [*so_far, given]
        if self._count(so_far, found.needed).reached:
            unsigned = "" if _agreed(trail, so_far) else self._people.without_admins()
            before = self._people.trust()
            trust = self._people.change(before, found.after, actor, found.body, so_far, without_admins=unsigned)
            self._forget()
            return trust
        self._keep(found, given, actor, len(so_far))
        return self._with(found, so_far)

    def drop(self, actor: str) -> Proposal:
        """Give up the change that waits for signatures.

        Raises:
            NotFoundError: there is none.
            StorageError: the audit chain or the database could not be written.
        """
        found = self.pending()
        if found is None:
            raise NotFoundError("no change of trust waits for signatures", next_step="see: stateguard trust list")
        self._audit.append([Entry("signature", actor, {"dropped": digest_of(found.payload), **_named(found)})])
        self._forget()
        return found

    def _prepared(self) -> Proposal | None:
        """Return what was prepared, without signers, if it is still the next version."""
        row = self._database.row("SELECT * FROM trust_change ORDER BY version DESC")
        before = self._people.trust()
        if row is None or int(row["version"]) != before.version + 1:
            return None
        after = parse(row["document"], json.loads(row["armored"]))
        return Proposal(after, row["payload"], json.loads(row["body"]), (), max(1, decided_by(before, after)))

    def _judged(self, payload: bytes, armored: str) -> Signed:
        text = armored.replace("\r\n", "\n").strip() + "\n"
        verdict = self._people.judge(payload, text, TRUST_NAMESPACE)
        if verdict.standing is not Standing.KNOWN:
            message = f"the change was not signed: {verdict.words}"
            raise TrustError(message, next_step="stateguard trust list shows who is an admin")
        admin = self.signer(verdict.fingerprint)
        return Signed(Signer(admin.name, verdict.fingerprint), text)

    def _keep(self, found: Proposal, given: Signed, actor: str, signatures: int) -> None:
        body = {
            "trust": found.after.version, **given.signer.as_json(), "signatures": signatures,
            "needed": found.needed, "document": digest_of(found.payload),
        }  # fmt: skip
        self._audit.append([Entry("signature", actor, body)])
        values = (given.signer.fingerprint, given.signer.name, given.armored, now_text())
        self._database.execute("INSERT OR REPLACE INTO trust_signature VALUES (?, ?, ?, ?)", values)

    def _counted(self, found: Proposal) -> list[Signed]:
        """Return the signatures given so far that count by now."""
        rows = self._database.rows("SELECT * FROM trust_signature ORDER BY rowid")
        kept = [Signed(Signer(row["name"], row["fingerprint"]), row["armored"]) for row in rows]
        return [kept[place] for place in self._count(kept, found.needed).counted]

    def _count(self, signed: Sequence[Signed], needed: int) -> Quorum:
        keys = [one.signer.fingerprint for one in signed]
        return quorum(self._people.trust(), Role.ADMIN, keys, needed, wall_seconds())

    def _with(self, found: Proposal, signed: Sequence[Signed]) -> Proposal:
        return Proposal(found.after, found.payload, found.body, tuple(s.signer for s in signed), found.needed)

    def _forget(self) -> None:
        with self._database.transaction():
            self._database.execute("DELETE FROM trust_signature")
            self._database.execute("DELETE FROM trust_change")


def _named(found: Proposal) -> dict[str, Any]:
    return {"trust": found.after.version, "change": found.body}


def _agreed(trail: Trail, signed: Sequence[Signed]) -> bool:
    """Say whether as many admins of the last document that admins agreed to have signed a next one as it took then."""
    agreed = trail.agreed.trust if trail.agreed else None
    return agreed is None or has_signed(agreed, [one.signer.fingerprint for one in signed], wall_seconds())


def _check_reachable(after: Trust) -> None:
    """Refuse a document after which no change could be signed any more.

    Raises:
        RefusedError: it names fewer admins than a change takes, though it names one.
    """
    admins, needed = len(after.holders(Role.ADMIN)), after.thresholds.admin
    if 0 < admins < needed:
        message = f"that would leave {count(admins, 'admin')}, and a change of trust takes {needed}"
        raise RefusedError(message, next_step="first: stateguard trust threshold admin 1 (or as many as there will be)")
