"""The audit chain: every ref move, decision, transition and refusal, hash-chained and signed.

``refs/stateguard/audit`` is a line of commits without files. The message of each holds one or more entries,
one canonical JSON document a line; each entry carries a sequence number and the SHA-256 of the entry before
it, each commit its parent and the guard's signature. So anyone can check it with stock git and ssh-keygen.
The head is remembered in guard.db too: a chain cut short is noticed, also when more was written since.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pygit2.enums import ObjectType

from stateguard import faults
from stateguard.errors import StateguardError, StorageError, TrustError
from stateguard.host.clock import now_text, wall_seconds
from stateguard.host.database import Database
from stateguard.model.identity import AUDIT, ZERO
from stateguard.state.commits import split_signature
from stateguard.state.forward import Signer, signed_commit
from stateguard.state.repository import RefMove, Repository
from stateguard.trust.public import PublicKey
from stateguard.trust.ssh import verify

_TABLE = "CREATE TABLE IF NOT EXISTS audit_head (one INTEGER PRIMARY KEY CHECK (one=1), commit_id TEXT NOT NULL)"
_LOST = "CREATE TABLE IF NOT EXISTS audit_lost (commit_id TEXT PRIMARY KEY, noticed_at TEXT NOT NULL)"
_COMMIT = 1
_PARENT = re.compile(rb"^parent ([0-9a-f]{40})$", re.MULTILINE)
_IN_PLACE = re.compile(rb"tree [0-9a-f]{40}\n(?:parent [0-9a-f]{40}\n)*author [^\n]*\ncommitter [^\n]*\n(?:gpgsig |\n)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, as it is written: what kind, who did it, and the facts."""

    kind: str
    actor: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on the whole chain."""

    entries: int
    head: str | None
    problems: tuple[str, ...]
    unsound: frozenset[str] = frozenset()
    """The commits that are not the guard's, or not as it writes them."""

    def as_json(self) -> dict[str, object]:
        """Return the keys of ``audit verify``."""
        return {
            "valid": not self.problems,
            "entries": self.entries,
            "head": self.head,
            "problems": list(self.problems),
        }


class Audit:
    """Appends to the chain and reads it; one writer at a time."""

    def __init__(self, repository: Repository, database: Database, signer: Signer) -> None:
        """``signer`` signs the bytes of a git object with the guard's key."""
        self._repository, self._database, self._signer = repository, database, signer
        self._lock = threading.RLock()
        database.create(_TABLE, _LOST)

    def append(self, entries: Sequence[Entry], moves: Sequence[RefMove] = ()) -> None:
        """Write entries, and move refs in the same transaction: nothing is acknowledged that is not written down.

        Raises:
            StorageError: git refused, or a ref was not where it was thought to be; nothing was written.
        """
        with self._lock:
            head = self._repository.ref(AUDIT)
            sequence, previous = self._last(head)
            at = now_text()
            self._note_loss(head, at)
            lines = []
            for entry in entries:
                sequence += 1
                line = _line(sequence, previous, at, entry)
                previous = hashlib.sha256(line.encode()).hexdigest()
                lines.append(line)
            empty = self._repository.write(ObjectType.TREE, b"")
            message = "\n".join([*lines, ""])
            parents = [head] if head else []
            commit = signed_commit(self._repository, empty, parents, message, wall_seconds(), self._signer)
            faults.point("audit.append")
            self._repository.move([RefMove(AUDIT, commit, head or ZERO), *moves])
            faults.point("audit.appended")
            self._database.execute("INSERT OR REPLACE INTO audit_head VALUES (1, ?)", (commit,))

    def length(self) -> int:
        """Return how many entries the chain has by the number of its last one.

        Raises:
            StorageError: the chain is damaged.
        """
        return self._last(self._repository.ref(AUDIT))[0]

    def newest_first(self) -> Iterator[dict[str, Any]]:
        """Yield every entry, newest first.

        Raises:
            StorageError: the chain is damaged.
        """
        head = self._repository.ref(AUDIT)
        for commit in self._repository.first_parents(head) if head else ():
            yield from reversed(_entries(self._repository, commit))

    def lines(self) -> Iterator[str]:
        """Yield every entry as it was written, oldest first: each holds the SHA-256 of the one before.

        Raises:
            StorageError: the chain is damaged.
        """
        head = self._repository.ref(AUDIT)
        for commit in reversed(list(self._repository.first_parents(head)) if head else []):
            yield from _lines(self._repository, commit)

    def verify(self, key: PublicKey) -> Verification:
        """Check the whole chain: form, sequence, hashes, parents, signatures, and that its end is still there.

        It is read from the disk anew: what this process remembers proves nothing about what lies there.
        """
        return self.verified(key, "")[0]

    def verified(
        self, key: PublicKey, kind: str, *, whole: bool = True
    ) -> tuple[Verification, list[dict[str, Any]]]:  # fmt: skip
        """Do what :meth:`verify` does; returns with it the entries of one kind, oldest first, out of the same bytes.

        Those in unsound commits are among them: whoever made the commit may have written them. Unless ``whole``, the
        signatures of commits without such entries are not looked at, which is most of the work.
        """
        problems: list[str] = []
        kept: list[dict[str, Any]] = []
        unsound: set[str] = set()
        repository = Repository(self._repository.path)
        head = repository.ref(AUDIT)
        commits = _commits(repository, head, problems)
        expected, previous, count = 1, ZERO_HASH, 0
        for commit, content in reversed(commits):
            wrong = signature_problems(commit, content, key) if whole or _mentions(content, kind) else []
            problems += wrong
            unsound |= {commit} if wrong or not _IN_PLACE.match(content) else set()
            try:
                lines = _message_lines(commit, content)
                parsed = [json.loads(line) for line in lines]
            except (StateguardError, ValueError, RecursionError) as error:
                problems.append(f"{commit}: cannot be read: {error}")
                unsound.add(commit)
                continue
            for line, entry in zip(lines, parsed, strict=True):
                count += 1
                if not isinstance(entry, dict) or _canonical(entry) != line:
                    problems.append(f"{commit}: an entry is not in canonical form")
                    unsound.add(commit)
                    continue
                if entry.get("kind") == kind:
                    kept.append(entry | {"commit": commit})
                if entry.get("sequence") != expected:
                    problems.append(f"{commit}: entry {entry.get('sequence')} stands where {expected} belongs")
                if entry.get("previous") != previous:
                    problems.append(f"{commit}: entry {entry.get('sequence')} does not follow the one before it")
                expected, previous = expected + 1, hashlib.sha256(line.encode()).hexdigest()
        problems += self._end_problems([commit for commit, _ in commits])
        return Verification(count, head, tuple(problems), frozenset(unsound)), kept

    def _end_problems(self, commits: Sequence[str]) -> list[str]:
        rows = self._database.rows("SELECT commit_id FROM audit_lost UNION SELECT commit_id FROM audit_head")
        lost = sorted({row["commit_id"] for row in rows} - set(commits))
        return [f"the chain was cut or replaced: {commit}, once its head, is no part of it" for commit in lost]

    def _note_loss(self, head: str | None, at: str) -> None:
        """Keep the remembered head for good if what is there now does not continue it."""
        row = self._database.row("SELECT commit_id FROM audit_head")
        if row is None or row["commit_id"] == head:
            return
        try:
            continued = head is not None and self._repository.is_ancestor(row["commit_id"], head)
        except StorageError:
            continued = False
        if not continued:
            self._database.execute("INSERT OR IGNORE INTO audit_lost VALUES (?, ?)", (row["commit_id"], at))

    def _last(self, head: str | None) -> tuple[int, str]:
        if head is None:
            return 0, ZERO_HASH
        line = _lines(self._repository, head)[-1]
        return _sequence(head, line), hashlib.sha256(line.encode()).hexdigest()


ZERO_HASH = "0" * 64
"""What stands for the entry before the first."""


def sequence_of(repository: Repository, commit: str) -> int:
    """Return the number of the last entry in one commit of a chain.

    Raises:
        StorageError: it cannot be read, or is none.
    """
    return _sequence(commit, _lines(repository, commit)[-1])


def _sequence(commit: str, line: str) -> int:
    try:
        return int(json.loads(line)["sequence"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"audit commit {commit} is damaged: {error}"
        raise StorageError(message, next_step="stateguard audit verify") from error


def _line(sequence: int, previous: str, at: str, entry: Entry) -> str:
    document = {
        "sequence": sequence,
        "previous": previous,
        "at": at,
        "kind": entry.kind,
        "actor": entry.actor,
        "body": entry.body,
    }
    return _canonical(document)


def _canonical(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _lines(repository: Repository, commit: str) -> list[str]:
    return _message_lines(commit, repository.raw(commit)[1])


def _message_lines(commit: str, content: bytes) -> list[str]:
    """Return the lines of the message in the bytes of a commit."""
    lines = content.partition(b"\n\n")[2].decode(errors="replace").splitlines()
    if not lines:
        message = f"audit commit {commit} is empty"
        raise StorageError(message)
    return lines


def _commits(repository: Repository, head: str | None, problems: list[str]) -> list[tuple[str, bytes]]:
    """Return the commits of the chain with their bytes, newest first; each is read once."""
    commits: list[tuple[str, bytes]] = []
    current = head
    try:
        while current:
            kind, content = repository.raw(current)
            if kind != _COMMIT:
                problems.append(f"{current}: no commit")
                break
            commits.append((current, content))
            parents = _PARENT.findall(content.partition(b"\n\n")[0])
            if not _IN_PLACE.match(content):
                problems.append(f"{current}: its headers are not in their places")
            if len(parents) > 1:
                problems.append(f"{current}: it has {len(parents)} parents where the chain has one")
            current = parents[0].decode() if parents else None
    except StateguardError as error:
        problems.append(f"the chain breaks after {len(commits)} commits: {error}")
    return commits


def _entries(repository: Repository, commit: str) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) | {"commit": commit} for line in _lines(repository, commit)]
    except (ValueError, TypeError, RecursionError) as error:
        message = f"audit commit {commit} is damaged: {error}"
        raise StorageError(message, next_step="stateguard audit verify") from error


def _mentions(content: bytes, kind: str) -> bool:
    """Say whether the bytes of a commit may hold an entry of a kind; one in canonical form is not missed."""
    return f'"kind":{json.dumps(kind)}'.encode() in content


def signature_problems(commit: str, content: bytes, key: PublicKey) -> list[str]:
    """Return what is wrong with the signature of one commit of a chain."""
    signed, armored = split_signature(content)
    if armored is None:
        return [f"{commit}: not signed"]
    try:
        verify(signed, armored, key)
    except TrustError as error:
        return [f"{commit}: {error}"]
    return []
