"""Baselines: the statement that is signed, and what is known of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Grade(StrEnum):
    """Who vouches for a baseline: the guard after a soak, or people."""

    CONFIRMED = "confirmed"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a baseline tag says; its canonical bytes are what is signed. Times are RFC 3339 UTC.

    ``threshold``: how many persons must have signed these bytes for it to count.
    """

    repository: str
    tag: str
    number: int
    grade: Grade
    revision: str
    snapshot: str
    desired_fingerprint: str
    fingerprint: str
    issued_at: str
    expires_at: str | None = None
    previous_fingerprint: str | None = None
    evidence: dict[str, object] = field(default_factory=dict)
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed, and the fingerprint of the key."""

    name: str
    fingerprint: str

    def as_json(self) -> dict[str, str]:
        """Return the name and the key."""
        return {"name": self.name, "key": self.fingerprint}


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline as it stands in the repository, with the verdict on it.

    ``signers`` are in the order in which they signed: the tag carries the first one's signature. Warnings are what is
    worth knowing of one that holds.
    ``thinned``: retention let go of its complete state; what is on main, its desired state, is still there.
    """

    statement: Statement
    signers: tuple[Signer, ...]
    tag_object: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    suspect: bool = False
    revoked: bool = False
    thinned: bool = False

    @property
    def signer(self) -> str:
        """The names of those who signed."""
        return ", ".join(s.name for s in self.signers)

    @property
    def key(self) -> str:
        """The fingerprint of the first signer's key; empty if nobody's signature was accepted."""
        return next((s.fingerprint for s in self.signers), "")

    @property
    def valid(self) -> bool:
        """Whether its statement, signature and name hold."""
        return not self.problems

    @property
    def usable(self) -> bool:
        """Whether a rollback may go to it."""
        return self.valid and not self.revoked

    def as_json(self) -> dict[str, object]:
        """Return the keys of ``baseline list``."""
        s = self.statement
        return {
            "number": s.number,
            "grade": str(s.grade),
            "fingerprint": s.fingerprint,
            "desired_fingerprint": s.desired_fingerprint,
            "revision": s.revision,
            "snapshot": s.snapshot,
            "issued_at": s.issued_at,
            "expires_at": s.expires_at,
            "signer": self.signer,
            "key": self.key,
            "signers": [s.as_json() for s in self.signers],
            "threshold": s.threshold,
            "valid": self.valid,
            "suspect": self.suspect,
            "revoked": self.revoked,
            "thinned": self.thinned,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }


def next_number(highest_accepted: int, listed: tuple[int, ...]) -> int:
    """Return the number of the next baseline: numbers only grow, whatever the repository shows."""
    return max((highest_accepted, *listed), default=0) + 1


def before_onset(baselines: tuple[Baseline, ...], onset_at: str | None) -> tuple[Baseline, ...]:
    """Return the usable baselines issued before an RFC 3339 time (None: all), newest first, suspects last."""
    fit = [b for b in baselines if b.usable and (onset_at is None or b.statement.issued_at <= onset_at)]
    return tuple(sorted(fit, key=lambda b: (b.suspect, -b.statement.number)))
