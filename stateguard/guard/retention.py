"""Let go of what is not to be kept any more: which refs of captured.git that concerns, and the record of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from stateguard.guard.compose import Guard
from stateguard.host.clock import wall_seconds
from stateguard.model.baseline import Baseline, Grade
from stateguard.model.identity import BACKUPS, GUARD, SNAPSHOTS, ZERO
from stateguard.model.moment import parse_rfc3339
from stateguard.model.retention import KeptBackup, KeptBaseline, KeptLine
from stateguard.model.tree import REGULAR, Entry
from stateguard.record import audit
from stateguard.respond.retention import backups_to_drop, baselines_to_thin, lines_to_drop
from stateguard.state import trees
from stateguard.state.repository import RefMove
from stateguard.state.snapshot import MARKED, backed_up, baseline_ref, line_place, line_to, running_ref, write_snapshot


@dataclass(frozen=True, slots=True)
class LetGo:
    """What was let go: numbers of baselines, operations with an emergency backup, and how many snapshots."""

    baselines: tuple[int, ...]
    backups: tuple[int, ...]
    snapshots: int

    def __bool__(self) -> bool:
        """Say whether it was anything."""
        return bool(self.baselines or self.backups or self.snapshots)


def let_go(guard: Guard) -> LetGo:
    """Remove the refs of what retention does not keep; the objects stay until they are released.

    It is entered in the audit chain first. Interrupted, it is done again.

    Raises:
        StorageError: a repository or the database could not be read or written.
    """
    refs = guard.captured.refs("refs/stateguard/")
    settings, now = guard.settings.retention, wall_seconds()
    baselines, incidents = _baselines(guard, refs), guard.store.unsettled()
    named = "".join(json.dumps(i.decision) for i in incidents)
    unfinished = guard.books.journal.unfinished()
    named += "".join(o.plan.snapshot or "" for o in unfinished if o.plan)
    held = {b.statement.number for b in baselines if b.statement.snapshot in named}
    onsets = [parse_rfc3339(at) for at in (*(i.opened_at for i in incidents), *_onsets(guard))]
    thin = sorted(baselines_to_thin([_kept(b) for b in baselines], onsets, held, settings, now))
    operations = {o.id for o in unfinished} | {one for i in incidents for one in i.operations}
    soak = guard.store.soak()
    operations |= {soak.operation} if soak else set()
    backups = backups_to_drop(_backups(guard, refs), operations, settings, now)
    lines = lines_to_drop(list(_lines(guard, refs)), settings, now)
    found = LetGo(tuple(thin), tuple(sorted(b.operation for b in backups)), sum(line.snapshots for line in lines))
    if not found:
        return found
    body = {"baselines": list(found.baselines), "backups": list(found.backups), "snapshots": found.snapshots}
    guard.books.audit.append([audit.Entry("retention", GUARD, body)])
    guard.baselines.thinned(thin)
    gone = [*map(baseline_ref, thin), *(ref for b in backups for ref in b.refs), *(line.ref for line in lines)]
    guard.captured.move([RefMove(ref, ZERO, refs[ref]) for ref in gone])
    return found


def hold_marked(guard: Guard) -> None:
    """Keep the blobs that watermarks need under a ref of their own.

    Raises:
        StorageError: captured.git or the database could not be read or written.
    """
    captured = guard.captured
    paths = {digest: Entry(REGULAR, digest) for digest in guard.watermarks.needed() if captured.has(digest)}
    last = captured.ref(MARKED)
    if last is None or captured.commit(last).tree != trees.tree_id(paths):
        write_snapshot(captured, paths, MARKED, "What watermarks refer to\n", wall_seconds(), [])


def _onsets(guard: Guard) -> Iterator[str]:
    """Yield when what fails now began to fail, even before an incident is opened for it."""
    for name in ("onset", "onset-outside"):
        if (at := guard.store.marked(name)) is not None:
            yield str(at)


def _baselines(guard: Guard, refs: dict[str, str]) -> list[Baseline]:
    """Return the baselines whose complete state is kept."""
    return [b for b in guard.baselines.all() if baseline_ref(b.statement.number) in refs]


def _kept(baseline: Baseline) -> KeptBaseline:
    statement = baseline.statement
    return KeptBaseline(
        number=statement.number,
        approved=statement.grade is Grade.APPROVED,
        readable=baseline.valid,
        revoked=baseline.revoked,
        suspect=baseline.suspect,
        at=parse_rfc3339(statement.issued_at),
    )


def _backups(guard: Guard, refs: dict[str, str]) -> list[KeptBackup]:
    found: dict[int, list[str]] = {}
    for ref in refs:
        operation = backed_up(ref) if ref.startswith(BACKUPS) else None
        if operation is not None:
            found.setdefault(operation, []).append(ref)
    return [
        KeptBackup(operation, tuple(names), max(guard.captured.commit(refs[name]).committed_at for name in names))
        for operation, names in found.items()
    ]


def _lines(guard: Guard, refs: dict[str, str]) -> Iterator[KeptLine]:
    current = running_ref(guard.baselines.highest())
    for ref, tip in refs.items():
        place = line_place(ref) if ref.startswith(SNAPSHOTS) else None
        if place is not None:
            line = line_to(guard.captured, tip, refs.get(baseline_ref(place[0])))
            yield KeptLine(ref, place, line.snapshots, line.ended_at, ref == current)
