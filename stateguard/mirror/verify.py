"""Read a mirror back and recompute what it holds, with a second implementation: dulwich."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dulwich.object_store import DiskObjectStore
from dulwich.objects import ObjectID

from stateguard.errors import NotFoundError, StateguardError
from stateguard.host.clock import wall_seconds
from stateguard.mirror.plan import Plan, captured_name, decide, either
from stateguard.mirror.remote import RemoteError
from stateguard.mirror.sync import Syncing
from stateguard.mirror.witness import AGAINST, Standing, scratch
from stateguard.model.identity import APPLIED, AUDIT, BASELINE_TAGS, MAIN
from stateguard.model.mirror import MirrorSpec, MirrorState
from stateguard.record.baseline import Baselines
from stateguard.state import fingerprint
from stateguard.state.repository import Repository
from stateguard.text.words import count

_PATIENCE = 60
"""How many deadlines of one push it may take to read everything back."""

_DAMAGED = re.compile(
    r"corrupt|fsck|inflate|bad object|mismatch|missing (blob|tree|commit|tag)|unable to (read|parse)|not a valid object"
    r"|did not (send all necessary|receive expected) object|loose object",
    re.IGNORECASE,
)
"""What git says of objects that are missing or damaged; all else is a matter of the network."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing whose bytes were recomputed: a ref or ``baseline/N``, the commit, and its fingerprint there."""

    what: str
    revision: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a mirror holds. ``evidence`` says why it is not IN_SYNC; ``tampered`` is the part that nothing excuses."""

    state: MirrorState
    refs: int
    checked: tuple[Checked, ...]
    evidence: tuple[str, ...]
    tampered: tuple[str, ...]


class Verifier:
    """Verifies mirrors in scratch repositories below a directory, which are removed afterwards."""

    def __init__(self, syncing: Syncing, baselines: Baselines, scratch: Path) -> None:
        """``baselines`` are this guard's own."""
        self._syncing, self._baselines, self._scratch = syncing, baselines, scratch

    def verify(self, spec: MirrorSpec, *, complete: bool) -> Verdict:
        """Fetch all that a mirror holds, check every object, and judge it; what is found is remembered.

        The tips of main and of what is live and the newest baseline are recomputed to the last byte; if ``complete``,
        all baselines, all tips, and every entry of the audit chain.

        Raises:
            RemoteError: the mirror did not answer.
            StorageError: there is no room here to read it back.
        """
        self._sweep()
        with tempfile.TemporaryDirectory(prefix=f"verify-{os.getpid()}-", dir=self._scratch) as directory:
            copy = scratch(Path(directory) / "copy.git")
            known = self._syncing.store.known(spec)
            try:
                self._syncing.remote(spec).fetch(copy.path, spec.deadline_seconds * _PATIENCE)
            except RemoteError as error:
                if error.timed_out or not _DAMAGED.search(error.message):
                    raise
                verdict = Verdict(MirrorState.TAMPERED, 0, (), (error.message,), (error.message,))
            else:
                known = either(known, self._syncing.store.known(spec))
                ours, theirs = self._syncing.sources.refs(spec), copy.every_ref()
                plan = decide(ours, theirs, known, self._syncing.sources.history())
                verdict = self._judge(spec, copy, plan, theirs, complete=complete)
        self._syncing.store.verified(spec, wall_seconds(), verdict.tampered)
        return verdict

    def _judge(
        self, spec: MirrorSpec, copy: Repository, plan: Plan, theirs: Mapping[str, str], *, complete: bool
    ) -> Verdict:
        tampered: list[str] = []
        checked = list(self._tips(copy, theirs, tampered, complete=complete))
        checked += self._of_baselines(spec, copy, tampered, complete=complete)
        forged, here = self._of_audit(copy, theirs.get(AUDIT), complete=complete)
        tampered += forged
        conflicts = [f"{c.ref}: {c.why}" for c in plan.conflicts if not (here and c.ref == AUDIT)]
        evidence = [*tampered, *here, *conflicts]
        state = MirrorState.IN_SYNC
        if tampered:
            state = MirrorState.TAMPERED
        elif plan.conflicts or here:
            state = MirrorState.DIVERGED
        elif plan.moves:
            state = MirrorState.BEHIND
            evidence.append(f"{count(len(plan.moves), 'ref')} still to be sent, {plan.moves[0].ref} first")
        return Verdict(state, len(theirs), tuple(checked), tuple(evidence), tuple(tampered))

    def _tips(
        self, copy: Repository, theirs: Mapping[str, str], tampered: list[str], *, complete: bool
    ) -> Iterator[Checked]:
        """Recompute trees over there with dulwich and here with pygit2; yields what was recomputed."""
        cache = fingerprint.DigestCache()
        for ref in sorted(theirs) if complete else (MAIN, APPLIED):
            if ref not in theirs or ref == AUDIT or ref.startswith(BASELINE_TAGS):
                continue
            here = self._syncing.sources.of(ref)
            with _noting(tampered, ref):
                try:
                    commit = copy.resolve(theirs[ref])
                except NotFoundError:  # a tag of something else than a commit; the fetch has checked its bytes
                    continue
                found = fingerprint.full(copy.path, copy.commit(commit).tree)
                if here.has(commit) and found != fingerprint.incremental(here, here.commit(commit).tree, cache):
                    tampered.append(f"{ref}: its fingerprint there is {found}, here it is another")
                yield Checked(ref, commit, found)

    def _of_baselines(
        self, spec: MirrorSpec, copy: Repository, tampered: list[str], *, complete: bool
    ) -> Iterator[Checked]:
        """Check signatures, names and fingerprints of baselines over there; yields what was recomputed."""
        elsewhere = self._baselines.elsewhere(copy, copy)
        found = elsewhere.all()
        for baseline in found if complete else found[:1]:
            s = baseline.statement
            with _noting(tampered, s.tag):
                tampered += [f"{s.tag}: {problem}" for problem in baseline.problems]
                if spec.trusted and captured_name(f"refs/stateguard/snapshots/{s.tag}") in copy.every_ref():
                    whole = fingerprint.full(copy.path, copy.commit(s.snapshot).tree)
                    if whole != s.fingerprint:
                        tampered.append(f"{s.tag}: its complete state there is {whole}, not {s.fingerprint}")
                there = fingerprint.full(copy.path, copy.commit(s.revision).tree)
                if there != s.desired_fingerprint:
                    tampered.append(f"{s.tag}: its fingerprint there is {there}, not {s.desired_fingerprint}")
                yield Checked(s.tag, s.revision, there)

    def _of_audit(self, copy: Repository, head: str | None, *, complete: bool) -> tuple[list[str], list[str]]:
        """Return what is wrong with the audit chain over there, which must be a beginning of the one here, and here."""
        if head is None:
            return [], []
        found = self._syncing.witness.compare(head, copy)
        if found.standing in AGAINST:
            return [], [f"{AUDIT}: {found.message}"]
        if found.standing is Standing.FOREIGN:
            return [f"{AUDIT}: {found.message}"], []
        other = unlike(copy.path, self._syncing.sources.repository, head) if complete else None
        return [] if other is None else [f"{AUDIT}: {other} is missing there, or does not hold what it holds here"], []

    def _sweep(self) -> None:
        """Remove what a verification that was killed has left."""
        for path in self._scratch.glob("verify-*-*"):
            pid = path.name.split("-")[1]
            if pid.isdigit() and not Path(f"/proc/{pid}").exists():
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _noting(tampered: list[str], what: str) -> Iterator[None]:
    """Take an object that is missing, damaged or of the wrong kind for evidence."""
    try:
        yield
    except StateguardError as error:
        tampered.append(f"{what}: {error.message}")


def unlike(copy: Path, own: Repository, head: str) -> str | None:
    """Return the newest commit of a line that a copy does not hold byte for byte, as dulwich reads it; None: all do."""
    store = DiskObjectStore(copy / "objects")
    try:
        return next((commit for commit in own.first_parents(head) if not _same(store, own, commit)), None)
    finally:
        with contextlib.suppress(BufferError):  # a pack in whose midst damage was found is closed when collected
            store.close()


def _same(store: DiskObjectStore, own: Repository, commit: str) -> bool:
    try:
        _, content = store.get_raw(ObjectID(commit.encode()))
    except Exception:  # noqa: BLE001 - damaged bytes make dulwich raise nearly anything; whatever it is, it differs
        return False
    return content == own.raw(commit)[1]
