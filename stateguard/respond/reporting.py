"""Gather what an incident's report says, write it, and publish it."""

from __future__ import annotations

from typing import Any

from stateguard.errors import StateguardError, StorageError
from stateguard.host.clock import now_text, wall_seconds
from stateguard.host.logs import failure
from stateguard.model.identity import short
from stateguard.model.incident import Incident, IncidentState
from stateguard.model.moment import rfc3339
from stateguard.observe.prober import Prober
from stateguard.record.audit import Entry
from stateguard.report.incident import CommitLine, ReportFacts, render
from stateguard.report.publish import publish
from stateguard.respond.store import Store
from stateguard.state.git import git
from stateguard.state.repository import RefMove
from stateguard.transition.operations import Books, so_far

_DIFF_LINES = 400


class Reporter:
    """Writes incident reports onto ``refs/heads/incidents``."""

    def __init__(self, books: Books, store: Store, prober: Prober) -> None:
        """Read from these books."""
        self._books, self._store, self._prober = books, store, prober

    def publish(self, number: int) -> str | None:
        """Write and publish the report of an incident; returns its path there, None if it could not be written.

        An incident is never made worse by its paperwork: what goes wrong here is logged, and tried again.
        """
        try:
            self._analyse(number)
            incident = self._store.incident(number)
            markdown = render(self.facts(incident))
            path = publish(
                self._books.repository,
                lambda moves: self._move(number, moves),
                number,
                markdown,
                wall_seconds(),
                self._books.signer,
            )
        except (StateguardError, OSError):
            failure("the report could not be published", incident=number)
            return None
        self._store.reported(number, path)
        return path

    def catch_up(self) -> None:
        """Publish what was not: the guard died, or git refused, after an incident changed its state."""
        for number in self._store.unreported():
            if self._store.incident(number).state is not IncidentState.MITIGATING:
                self.publish(number)

    def _analyse(self, number: int) -> None:
        """Write down the preliminary analysis once: which change is to blame, if one is."""
        incident = self._store.incident(number)
        if any(e.event.startswith("analysis") for e in incident.timeline):
            return
        blamed = f"put down to change {short(incident.culprit)}" if incident.culprit else "put down to no change"
        self._store.event(number, f"analysis: {blamed}")

    def text(self, number: int) -> str:
        """Return the report of an incident as Markdown.

        Raises:
            NotFoundError: there is no such incident.
        """
        return render(self.facts(self._store.incident(number)))

    def facts(self, incident: Incident) -> ReportFacts:
        """Return everything that the report of an incident says."""
        operations = tuple(so_far(self._books.journal, n) for n in incident.operations)
        good, bad = self._sides(incident, operations)
        commits = self._books.repository.between(good, bad) if bad else []
        changed = self._books.declared.moved(good, bad) if bad else ()
        return ReportFacts(
            incident=incident,
            operations=operations,
            culprit=tuple(
                CommitLine(c.id, c.author, (c.message.splitlines() or [""])[0], rfc3339(c.committed_at))
                for c in commits[:50]
            ),
            files=tuple(changed[:200]),
            diff=self._diff(good, bad) if bad else "",
            displaced=self._displaced(operations),
            probes=tuple(
                (r.probe.title, str(r.health), r.last.message if r.last else "")
                for _, r in sorted(self._prober.readings().items())
            ),
            communications=tuple((e.at, e.event) for e in incident.timeline if e.event.startswith("told ")),
            target=next((str(o["detail"].get("target_label", "")) for o in operations if o["kind"] == "rollback"), ""),
            generated_at=now_text(),
            forward_commit=self._forward_commit(operations),
        )

    def _forward_commit(self, operations: tuple[dict[str, Any], ...]) -> str:
        """Return the commit by which a rollback moved main, or an empty text if main never moved."""
        for operation in operations:
            if operation["kind"] == "rollback" and operation["outcome"] == "succeeded":
                good = operation["detail"].get("good")
                return str(operation["to"]) if operation["to"] != good else ""
        return ""

    def _sides(self, incident: Incident, operations: tuple[dict[str, Any], ...]) -> tuple[str, str]:
        """Return the last good commit and the culprit; the culprit is empty if no change is suspected."""
        if not incident.culprit:
            return "", ""
        for operation in operations:
            if operation["kind"] == "rollback" and operation["detail"].get("good"):
                return operation["detail"]["good"], incident.culprit
        parents = self._books.repository.commit(incident.culprit).parents
        return (parents[0] if parents else ""), incident.culprit

    def _diff(self, good: str, bad: str) -> str:
        excluded = [f":(exclude,glob){p}" for s in self._books.declared.system(good).policy.sections if s.captured
                    for p in s.patterns]  # fmt: skip
        argv = ("diff", "--no-ext-diff", "--no-textconv", "--stat", "--patch", good, bad, "--", ":/", *excluded)
        try:
            text = git(self._books.repository.path, *argv).decode(errors="replace")
        except StorageError:
            failure("the diff of an incident's report could not be made", good=good, bad=bad)
            return f"git could not make it; see: git diff {short(good)} {short(bad)}"
        lines = text.splitlines()
        if len(lines) > _DIFF_LINES:
            left = len(lines) - _DIFF_LINES
            lines = [*lines[:_DIFF_LINES], f"... {left} more lines; see: git diff {short(good)} {short(bad)}"]
        return "\n".join(lines)

    def _displaced(self, operations: tuple[dict[str, Any], ...]) -> tuple[tuple[str, str], ...]:
        found = []
        for operation in operations:
            backup = operation["detail"].get("backup")
            if operation["kind"] == "rollback" and backup:
                captured = self._books.repository.path.parent / "captured.git"
                found += [
                    (path, f"git --git-dir {captured} show {short(backup)}:{path}")
                    for path in operation["detail"].get("files", [])
                ]
        return tuple(found[:200])

    def _move(self, number: int, moves: list[RefMove]) -> None:
        body = {"incident": number, "moves": [[m.name, m.old, m.new] for m in moves]}
        self._books.audit.append([Entry("report", "guard", body)], moves)
