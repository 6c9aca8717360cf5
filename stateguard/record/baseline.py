"""Baselines: made, listed, verified, revoked; the highest number is kept outside the repository."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stateguard import faults
from stateguard.errors import NotFoundError, RefusedError, StateguardError, TrustError
from stateguard.host.clock import now_text, wall_seconds
from stateguard.host.database import Database
from stateguard.model.baseline import Baseline, Grade, Signer, Statement, next_number
from stateguard.model.identity import BASELINE_TAGS, ZERO, fingerprint_prefix
from stateguard.model.tree import PathMap
from stateguard.record.audit import Audit, Entry
from stateguard.record.people import People
from stateguard.record.signed import Signed, Signers
from stateguard.state import fingerprint
from stateguard.state.repository import RefMove, Repository
from stateguard.state.snapshot import baseline_ref, write_snapshot
from stateguard.state.tags import TagView, raw_tag, read_tag, write_tag
from stateguard.trust.keys import PRINCIPAL
from stateguard.trust.public import PublicKey
from stateguard.trust.ssh import SigningKey, verify
from stateguard.trust.statement import canonical, check_acceptance, parse
from stateguard.trust.verdict import Proof

_TABLE = """CREATE TABLE IF NOT EXISTS baseline (
    number INTEGER PRIMARY KEY, tag_object TEXT NOT NULL, accepted_at TEXT NOT NULL,
    suspect INTEGER NOT NULL DEFAULT 0, revoked TEXT)"""
_THINNED = "CREATE TABLE IF NOT EXISTS baseline_thinned (number INTEGER PRIMARY KEY, at TEXT NOT NULL)"
_TAG = re.compile(re.escape(BASELINE_TAGS) + r"([1-9][0-9]{0,17})", re.ASCII)
"""The one name of a number: without leading zeros, and no larger than SQLite can keep."""


@dataclass(frozen=True, slots=True)
class Places:
    """The two repositories, the id under which statements are made, and where numbers are kept."""

    repository: Repository
    captured: Repository
    identity: str
    database: Database


@dataclass(frozen=True, slots=True)
class Draft:
    """A baseline that lacks its signature: the statement, and the bytes of the tag object that are to be signed."""

    statement: Statement
    unsigned: bytes


class Baselines:
    """Owner of ``refs/tags/baseline/*`` and of the tables whose names begin with ``baseline``."""

    def __init__(
        self, places: Places, audit: Audit, key: PublicKey, signing: Callable[[], SigningKey], people: People
    ) -> None:
        """``key`` is pinned: confirmed baselines are by it; ``signing`` loads the private one; ``people`` approve."""
        self._places, self._audit, self._key, self._signing, self._people = places, audit, key, signing, people
        self._proofs: dict[tuple[str, str], Proof] = {}
        self._signers = Signers(places.repository, places.database)
        places.database.create(_TABLE, _THINNED)

    def elsewhere(self, repository: Repository, captured: Repository) -> Baselines:
        """Return the same judgment over copies of the two repositories; nothing may be created there."""
        places = replace(self._places, repository=repository, captured=captured)
        return Baselines(places, self._audit, self._key, self._signing, self._people)

    def create(self, revision: str, paths: PathMap, actor: str, evidence: dict[str, Any]) -> Baseline:
        """Sign the complete state ``paths`` (blobs already in captured.git) of a main commit as a confirmed baseline.

        Raises:
            StorageError: a repository could not be written.
            TrustError: the guard's key cannot be used.
        """
        draft = self.draft(Grade.CONFIRMED, revision, paths, evidence)
        key = self._signing()
        signed = Signed(Signer(PRINCIPAL, key.public.fingerprint), key.sign(draft.unsigned))
        return self.record(draft, [signed], actor)

    def draft(self, grade: Grade, revision: str, paths: PathMap, evidence: dict[str, Any], threshold: int = 1) -> Draft:
        """Return the next baseline of a complete state, written down but for its signatures.

        Raises:
            StorageError: a repository could not be written.
        """
        places = self._places
        number = next_number(self.highest(), tuple(self._tags()))
        previous = self._newest()
        message = f"Complete state of baseline/{number}\n"
        # Without a parent, so that each can be let go by itself; the statement says which baseline came before.
        snapshot = write_snapshot(places.captured, paths, baseline_ref(number), message, wall_seconds(), [])
        statement = Statement(
            repository=places.identity,
            tag=f"baseline/{number}",
            number=number,
            grade=grade,
            revision=revision,
            snapshot=snapshot,
            desired_fingerprint=fingerprint.full(places.repository.path, places.repository.commit(revision).tree),
            fingerprint=fingerprint.full(places.captured.path, places.captured.commit(snapshot).tree),
            issued_at=now_text(),
            previous_fingerprint=previous.statement.fingerprint if previous else None,
            evidence=evidence,
            threshold=threshold,
        )
        return Draft(statement, raw_tag(statement.tag, revision, canonical(statement), wall_seconds()))

    def record(self, draft: Draft, signed: Sequence[Signed], actor: str) -> Baseline:
        """Accept a draft with its signatures, which the caller has verified and counted; the tag carries the first.

        Raises:
            StaleBaselineError: its number was taken meanwhile.
            TrustError: it is not of this repository.
            StorageError: a repository could not be written.
        """
        places, statement = self._places, draft.statement
        number = statement.number
        check_acceptance(
            statement, repository=places.identity, tag=f"baseline/{number}", highest=self.highest(), known=None,
            now_seconds=wall_seconds(),
        )  # fmt: skip
        tag = write_tag(places.repository, draft.unsigned, signed[0].armored)
        moves = self._signers.write(number, draft.unsigned, signed[1:])
        faults.point("baseline.signed")
        with places.database.transaction():
            row = (number, tag, now_text())
            places.database.execute("INSERT INTO baseline (number, tag_object, accepted_at) VALUES (?, ?, ?)", row)
            self._signers.note(number, [one.signer for one in signed])
        body = {
            "number": number, "tag": tag, "fingerprint": statement.fingerprint, "revision": statement.revision,
            "grade": str(statement.grade), "signer": signed[0].signer.name, "key": signed[0].signer.fingerprint,
        }  # fmt: skip
        if signed[1:]:
            body["cosigners"] = [one.signer.as_json() for one in signed[1:]]
        name = BASELINE_TAGS + str(number)
        old = places.repository.ref(name)
        moves += [RefMove(name, tag, old or ZERO)] if old != tag else []
        self._audit.append([Entry("baseline", actor, body)], moves)
        return self.get(number)

    def highest(self) -> int:
        """Return the highest number this guard has ever accepted."""
        row = self._places.database.row("SELECT MAX(number) AS n FROM baseline")
        return int(row["n"] or 0) if row else 0

    def all(self) -> list[Baseline]:
        """Return every baseline, newest first, each with the verdict on its signature and name."""
        return list(self._newest_first())

    def usable(self) -> Baseline | None:
        """Return the newest baseline that a rollback may go to; only as many as needed are read."""
        return next((b for b in self._newest_first() if b.usable), None)

    def get(self, number: int) -> Baseline:
        """Return one baseline.

        Raises:
            NotFoundError: there is none of that number.
        """
        tag = self._tags().get(number)
        found = None if tag is None else self._read(number, tag)
        if found is None:
            message = f"there is no baseline {number}"
            raise NotFoundError(message, next_step="see: stateguard baseline list")
        return found

    def find(self, target: str) -> Baseline:
        """Return the baseline that a TARGET names: ``baseline/N``, ``N``, or a fingerprint prefix.

        Raises:
            NotFoundError: none, or more than one, fits.
        """
        number = target.removeprefix("baseline/")
        digits = fingerprint_prefix(target)
        if number.isascii() and number.isdigit() and (digits is None or int(number) in self._tags()):
            return self.get(int(number))
        fit = [
            b
            for b in self.all()
            if digits
            and any(
                f.removeprefix("sha256:").startswith(digits)
                for f in (b.statement.fingerprint, b.statement.desired_fingerprint)
            )
        ]
        if len(fit) != 1:
            message = f"{target!r} names {'no' if not fit else 'more than one'} baseline"
            raise NotFoundError(message, next_step="see: stateguard baseline list")
        return fit[0]

    def verify(self, number: int, pace: Callable[[], None] = lambda: None) -> tuple[str, ...]:
        """Return what is wrong with a baseline, after reading every byte of it; nothing means it holds.

        Of one that was thinned, what is left is read: its statement and its desired state.

        ``pace`` is called between two objects.

        Raises:
            NotFoundError: there is none of that number.
        """
        self._proofs.clear()
        baseline = self.get(number)
        s, places = baseline.statement, self._places
        problems = list(baseline.problems)
        for what, path, commit, expected in (
            ("desired state", places.repository.path, s.revision, s.desired_fingerprint),
            ("complete state", places.captured.path, s.snapshot, s.fingerprint),
        )[: 1 if baseline.thinned else 2]:
            try:
                found = fingerprint.full(path, Repository(path).commit(commit).tree, pace)
            except StateguardError as error:
                problems.append(f"{what}: {error}")
                continue
            if found != expected:
                problems.append(f"{what}: its fingerprint is {found}, the statement says {expected}")
        return tuple(problems)

    def revoke(self, number: int, actor: str, reason: str) -> None:
        """Take a baseline out of use for good; its tag stays for the record.

        Raises:
            NotFoundError: there is none of that number.
            RefusedError: it was revoked before.
        """
        if self.get(number).revoked:
            message = f"baseline {number} was revoked before"
            raise RefusedError(message)
        self._places.database.execute("UPDATE baseline SET revoked=? WHERE number=?", (reason, number))
        self._audit.append([Entry("revoke", actor, {"number": number, "reason": reason})])

    def suspect(self, number: int) -> None:
        """Mark a baseline whose state may have been bad already when it was signed."""
        self._places.database.execute("UPDATE baseline SET suspect=1 WHERE number=?", (number,))

    def thinned(self, numbers: Iterable[int]) -> None:
        """Note that the complete state of baselines is let go; their statements and desired states stay.

        Raises:
            StorageError: the database could not be written.
        """
        database = self._places.database
        with database.transaction():
            for number in numbers:
                database.execute("INSERT OR IGNORE INTO baseline_thinned VALUES (?, ?)", (number, now_text()))

    def _newest(self) -> Baseline | None:
        return next((b for b in self._newest_first() if b.valid), None)

    def _newest_first(self) -> Iterator[Baseline]:
        for number, object_id in sorted(self._tags().items(), reverse=True):
            found = self._read(number, object_id)
            if found is not None:
                yield found

    def _tags(self) -> dict[int, str]:
        refs = self._places.repository.refs(BASELINE_TAGS)
        return {int(match[1]): tag for name, tag in refs.items() if (match := _TAG.fullmatch(name))}

    def _read(self, number: int, object_id: str) -> Baseline | None:
        name = f"baseline/{number}"
        row = self._places.database.row("SELECT * FROM baseline WHERE number=?", (number,))
        try:
            tag = read_tag(self._places.repository, object_id)
            statement = parse(tag.message)
        except StateguardError:
            return None if row is None else self._damaged(number, object_id)
        problems = self._problems(tag.name == name and tag.target == statement.revision, statement, name)
        signers = self._signed_by(number, statement.grade)
        proof = self._signers.prove(tag, number, statement.threshold, signers, self._proof)
        problems += proof.problems
        if row is None or row["tag_object"] != object_id:
            problems.append("the tag is not the one that was accepted under this number")
        return Baseline(
            statement=statement,
            signers=signers,
            tag_object=object_id,
            problems=tuple(problems),
            warnings=proof.warnings,
            suspect=bool(row and row["suspect"]),
            revoked=row is not None and row["revoked"] is not None,
            thinned=self._is_thinned(number),
        )

    def _is_thinned(self, number: int) -> bool:
        return self._places.database.row("SELECT 1 FROM baseline_thinned WHERE number=?", (number,)) is not None

    def _signed_by(self, number: int, grade: Grade) -> tuple[Signer, ...]:
        """Return who signed a baseline when it was accepted; a confirmed one is the guard's, whatever is noted."""
        if grade is Grade.CONFIRMED:
            return (Signer(PRINCIPAL, self._key.fingerprint),)
        return self._signers.of(number)

    def _proof(self, tag: TagView, signer: Signer) -> Proof:
        """Look at a tag's signature; what gpg said of the same bytes is remembered until somebody verifies anew."""
        if signer.name == PRINCIPAL:
            try:
                verify(tag.signed, tag.signature or "", self._key)
            except TrustError as error:
                return Proof((str(error),))
            return Proof()
        found = self._proofs.get((tag.id, signer.fingerprint))
        if found is None:
            found = self._people.prove(tag.signed, tag.signature, signer.fingerprint)
            self._proofs[tag.id, signer.fingerprint] = found
        return found

    def _problems(self, fits: bool, statement: Statement, name: str) -> list[str]:  # noqa: FBT001 - one call
        problems = [] if fits else ["the tag object names another tag or commit than its statement"]
        try:
            check_acceptance(
                statement, repository=self._places.identity, tag=name, highest=0, known=None, now_seconds=0.0
            )
        except TrustError as error:
            problems.append(str(error))
        return problems

    def _damaged(self, number: int, object_id: str) -> Baseline:
        nothing = "sha256:" + "0" * 64
        statement = Statement(
            repository="", tag=f"baseline/{number}", number=number, grade=Grade.CONFIRMED, revision=ZERO,
            snapshot=ZERO, desired_fingerprint=nothing, fingerprint=nothing, issued_at="1970-01-01T00:00:00Z",
        )  # fmt: skip
        problem = "the tag was replaced by something that is no baseline"
        return Baseline(statement, (), object_id, problems=(problem,))
