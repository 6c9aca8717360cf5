"""Who signed a baseline: one signature is in its tag, each other one in a tag object of the same bytes beside it.

So every signature can be checked with stock git, from a mirror too: ``git verify-tag refs/stateguard/cosigned/N/2``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stateguard.errors import StateguardError, TrustError
from stateguard.host.database import Database
from stateguard.model.baseline import Signer
from stateguard.model.identity import COSIGNED, ZERO
from stateguard.state.repository import RefMove, Repository
from stateguard.state.tags import TagView, read_tag, write_tag
from stateguard.trust.verdict import Proof

_TABLE = """CREATE TABLE IF NOT EXISTS baseline_signer (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, fingerprint TEXT NOT NULL)"""
_COSIGNERS = """CREATE TABLE IF NOT EXISTS baseline_cosigner (
    number INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, fingerprint TEXT NOT NULL,
    PRIMARY KEY (number, place))"""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature, and by whom it is."""

    signer: Signer
    armored: str


def cosigned_ref(number: int, place: int) -> str:
    """Return the ref of a baseline's signature; places begin with 2, the first signature is in its tag."""
    return f"{COSIGNED}{number}/{place}"


class Signers:
    """Owner of the tables ``baseline_signer`` and ``baseline_cosigner``, and of ``refs/stateguard/cosigned/*``."""

    def __init__(self, repository: Repository, database: Database) -> None:
        """``repository`` holds the tags, the guard's own or a copy."""
        self._repository, self._database = repository, database
        database.create(_TABLE, _COSIGNERS)

    def write(self, number: int, unsigned: bytes, others: Sequence[Signed]) -> list[RefMove]:
        """Write the signatures that are not in the tag itself, durably; returns the moves of refs that name them.

        Raises:
            StorageError: the disk refused.
        """
        moves = []
        for place, one in enumerate(others, 2):
            ref, tag = cosigned_ref(number, place), write_tag(self._repository, unsigned, one.armored)
            moves.append(RefMove(ref, tag, self._repository.ref(ref) or ZERO))
        return [move for move in moves if move.old != move.new]

    def note(self, number: int, signers: Sequence[Signer]) -> None:
        """Note who signed a baseline that is accepted.

        Raises:
            StorageError: the database could not be written.
        """
        first, *others = signers
        row = (number, first.name, first.fingerprint)
        self._database.execute("INSERT OR REPLACE INTO baseline_signer VALUES (?, ?, ?)", row)
        for place, one in enumerate(others, 2):
            row_of_other = (number, place, one.name, one.fingerprint)
            self._database.execute("INSERT OR REPLACE INTO baseline_cosigner VALUES (?, ?, ?, ?)", row_of_other)

    def of(self, number: int) -> tuple[Signer, ...]:
        """Return who signed a baseline when it was accepted, in that order; nobody if it never was."""
        rows = self._database.rows("SELECT name, fingerprint FROM baseline_signer WHERE number=?", (number,))
        question = "SELECT name, fingerprint FROM baseline_cosigner WHERE number=? ORDER BY place"
        rows += self._database.rows(question, (number,))
        return tuple(Signer(row["name"], row["fingerprint"]) for row in rows)

    def prove(
        self,
        tag: TagView,
        number: int,
        needed: int,
        signers: Sequence[Signer],
        look: Callable[[TagView, Signer], Proof],
    ) -> Proof:
        """Count again: every signature that was accepted must hold, and be of as many persons as the statement says.

        ``look`` gives what is to be said of the one signature that a tag object carries.
        """
        problems: list[str] = []
        warnings: list[str] = []
        holding: set[str] = set()
        for place, signer in enumerate(signers, 1):
            try:
                proof = look(tag if place == 1 else self._other(tag, number, place), signer)
            except StateguardError as error:
                proof = Proof((error.message,))
            problems += proof.problems if place == 1 else (f"{signer.name}'s signature: {p}" for p in proof.problems)
            warnings += proof.warnings
            holding |= set() if proof.problems else {signer.name}
        if not signers:
            problems.append("nobody's signature of it was ever accepted")
        elif len(holding) < needed and needed > 1:
            problems.append(f"{len(holding)} of the {needed} signatures that it takes hold")
        return Proof(tuple(problems), tuple(warnings))

    def _other(self, tag: TagView, number: int, place: int) -> TagView:
        """Return the tag object with another signature of the same bytes."""
        ref = cosigned_ref(number, place)
        found = self._repository.ref(ref)
        if found is None:
            message = f"{ref} is missing"
            raise TrustError(message)
        other = read_tag(self._repository, found)
        if other.signed != tag.signed:
            message = f"{ref} carries other bytes than the tag"
            raise TrustError(message)
        return other
