"""Bring mirrors up to date: look, decide, send, remember; each step may be interrupted."""

from __future__ import annotations

import os
import random
import tempfile
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stateguard.errors import StateguardError, StorageError
from stateguard.host.clock import moment
from stateguard.host.command import Cancel
from stateguard.host.logs import log, warn
from stateguard.mirror.cadence import Pace, failed, held_up, patience, succeeded
from stateguard.mirror.plan import (
    CAPTURED,
    Conflict,
    History,
    Known,
    Move,
    Plan,
    batches,
    captured_name,
    decide,
    either,
    goes_out,
    missing,
)
from stateguard.mirror.remote import Remote, RemoteError
from stateguard.mirror.store import MirrorStore, Standing
from stateguard.mirror.witness import Account, Finding, Standing as Chain, Witness, scratch
from stateguard.model.identity import AUDIT, ZERO
from stateguard.model.mirror import MirrorSpec
from stateguard.state.repository import Repository
from stateguard.text.words import count

_AT_ONCE = 400
_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Sources:
    """The repositories that are mirrored."""

    repository: Repository
    captured: Repository

    def refs(self, spec: MirrorSpec) -> dict[str, str]:
        """Return what a mirror is to hold: its ref names with their objects.

        Raises:
            StorageError: git could not read them.
        """
        found = {ref: object_id for ref, object_id in self.repository.every_ref().items() if goes_out(ref)}
        if spec.trusted:
            found |= {captured_name(ref): object_id for ref, object_id in self.captured.every_ref().items()}
        return found

    def of(self, ref: str) -> Repository:
        """Return the repository that holds the objects of a mirror's ref."""
        return self.captured if ref.startswith(CAPTURED) else self.repository

    def history(self) -> History:
        """Return what decisions may ask about objects."""

        def has(object_id: str) -> bool:
            return self.repository.has(object_id) or self.captured.has(object_id)

        def continues(older: str, newer: str) -> bool:
            try:
                return self.repository.is_ancestor(older, newer)
            except StorageError:
                return False

        return History(has, continues)


class Syncing:
    """Keeps up mirrors; each is worked on by one thread at a time, and everything said about it goes into its store."""

    def __init__(self, sources: Sources, store: MirrorStore, witness: Witness, place: Path) -> None:
        """Work from these repositories; nothing is done yet.

        ``witness`` compares audit chains; ``place`` is a directory for repositories that are needed for a moment.
        """
        self.sources, self.store, self.witness, self._place = sources, store, witness, place
        self.cancel = Cancel()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._chance = random.SystemRandom()

    def missing(self, spec: MirrorSpec) -> int:
        """Return how many refs a mirror lacks, or holds otherwise, as far as is known.

        Raises:
            StorageError: git or the database could not be read.
        """
        return len(missing(self.sources.refs(spec), self.store.known(spec)))

    def remote(self, spec: MirrorSpec) -> Remote:
        """Return a mirror as git sees it."""
        return Remote(spec.url, self.cancel)

    def sync(self, spec: MirrorSpec) -> Standing | None:
        """Look at a mirror and send it what it lacks, if nothing is in the way; returns how it stands then.

        A mirror that does not answer is no error here: that is in the standing. None: another thread was at work on
        it for longer than its deadline.

        Raises:
            StorageError: git or the database could not be used here.
        """
        lock = self._locks[spec.name]
        if not lock.acquire(timeout=spec.deadline_seconds):
            return None
        try:
            before = self.store.standing(spec)
            if before.tampered:
                after = replace(before, pace=held_up(before.pace, moment(), spec.check_seconds))
            else:
                after = self._tried(spec, before)
            if not self.cancel.cancelled:
                self.store.keep(spec, after)
                _tell(spec, before, after)
            return after
        finally:
            lock.release()

    def look(self, spec: MirrorSpec) -> Plan:
        """Return what would be sent to a mirror and what is in the way, from what it holds now.

        Raises:
            RemoteError: it did not answer.
            StorageError: git or the database could not be used here.
        """
        return self._decided(spec)[1]

    def testify(self, spec: MirrorSpec, *, ask: bool, deadline_seconds: float) -> Account:
        """Return what a mirror says about the audit chain here: asked now, or from what it was last seen to hold.

        A mirror that does not answer is no error: the account says so.

        Raises:
            StateguardError: git or the database could not be read here.
        """
        error = None
        if ask:
            limit = min(deadline_seconds, spec.deadline_seconds)
            try:
                head = self.remote(spec).look(self.sources.repository.path, limit).get(AUDIT)
                return Account(spec.name, head, self._compared(spec, head), asked=True)
            except RemoteError as failed:
                error = failed.message
        known = self.store.known(spec).get(AUDIT, Known()).held
        return Account(spec.name, known, self.witness.compare(known, None), asked=False, error=error)

    def _compared(self, spec: MirrorSpec, head: str | None) -> Finding:
        """Compare the audit chain here with one that a mirror holds, which is fetched where it is no part of it.

        Raises:
            RemoteError: it could not be fetched.
            StateguardError: something could not be read here.
        """
        if head is None or self.witness.holds(head):
            return self.witness.compare(head, None)
        with tempfile.TemporaryDirectory(prefix=f"verify-{os.getpid()}-", dir=self._place) as directory:
            there = scratch(Path(directory) / "chain.git")
            self.remote(spec).fetch(there.path, spec.deadline_seconds, AUDIT)
            return self.witness.compare(there.ref(AUDIT) or head, there)

    def _tried(self, spec: MirrorSpec, before: Standing) -> Standing:
        now = moment()
        since = before.behind_since or now.wall_seconds
        tried = replace(before, attempt_at=now.wall_seconds)
        try:
            plan = self._bring(spec, before.pace)
        except RemoteError as error:
            pace = failed(before.pace, spec, moment(), self._chance.random(), timed_out=error.timed_out)
            return replace(tried, pace=pace, error=error.message, behind_since=since)
        if plan.conflicts:
            told = tuple(
                {"ref": c.ref, "theirs": c.theirs, "ours": c.ours, "why": self._why(spec, c)}
                for c in sorted(plan.conflicts, key=lambda c: c.ref != AUDIT)[:_SHOWN]
            )
            pace = held_up(before.pace, moment(), spec.check_seconds)
            return replace(tried, pace=pace, error=None, behind_since=since, conflicts=told, extra=len(plan.extra))
        now = moment()
        return Standing(
            pace=succeeded(now, spec.check_seconds),
            attempt_at=tried.attempt_at,
            success_at=now.wall_seconds,
            extra=len(plan.extra),
            verified_at=before.verified_at,
        )

    def _why(self, spec: MirrorSpec, conflict: Conflict) -> str:
        """Return why a ref is in conflict; of the audit chain also what has become of it, here or there."""
        if conflict.ref != AUDIT or conflict.theirs == ZERO:
            return str(conflict.why)
        try:
            found = self._compared(spec, conflict.theirs)
        except StateguardError as error:
            warn("two audit chains could not be compared", mirror=spec.name, error=error.message)
            return str(conflict.why)
        return str(conflict.why) if found.standing is Chain.HOLDS else found.message

    def _bring(self, spec: MirrorSpec, pace: Pace) -> Plan:
        known, plan = self._decided(spec)
        self.store.holds(spec, known, plan.holds)
        self._send(spec, plan.moves, pace)
        return plan

    def _decided(self, spec: MirrorSpec) -> tuple[dict[str, Known], Plan]:
        known = self.store.known(spec)
        theirs = self.remote(spec).look(self.sources.repository.path, spec.deadline_seconds)
        known = either(known, self.store.known(spec))
        return known, decide(self.sources.refs(spec), theirs, known, self.sources.history())

    def _send(self, spec: MirrorSpec, moves: Sequence[Move], pace: Pace) -> None:
        parts: dict[Path, list[Move]] = {}
        for move in moves:
            parts.setdefault(self.sources.of(move.ref).path, []).append(move)
        for path in sorted(parts, key=lambda path: path == self.sources.repository.path):
            for part in batches(parts[path], _AT_ONCE):
                self.store.sending(spec, part)
                self.remote(spec).push(path, part, patience(spec, pace.timeouts))
                self.store.sent(spec, part)


def _tell(spec: MirrorSpec, before: Standing, after: Standing) -> None:
    """Log what changed; a mirror that stays away is not told again each time."""
    if after.conflicts and not before.conflicts:
        first = after.conflicts[0]
        warn("a mirror has diverged; nothing more is sent there", mirror=spec.name, ref=first["ref"], why=first["why"])
    elif after.error and not before.pace.failures:
        warn("a mirror could not be brought up to date; it is tried again", mirror=spec.name, error=after.error)
    elif after.pace.failures == spec.breaker_failures:
        failures = count(after.pace.failures, "failure")
        warn("a mirror is left alone for a while", mirror=spec.name, after=failures, error=after.error)
    elif after.success_at and (before.pace.failures or before.conflicts or not before.success_at):
        log("a mirror is in sync", mirror=spec.name)
