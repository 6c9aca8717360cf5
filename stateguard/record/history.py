"""History: what happened and why, read from the audit chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stateguard.errors import NotFoundError
from stateguard.model.moment import parse_rfc3339
from stateguard.record.audit import Audit, Entry

_OVERLAP = 16
"""Operations enter the chain as they end: so many are looked at beyond a limit to sort them as they began."""

OPERATION = "operation"
"""The kind of the entries that history shows."""

_KEYS = (
    "operation", "kind", "outcome", "from", "to", "started_at", "duration_seconds", "actor", "reason", "incident",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """Which operations are asked for; ``since`` is Unix time in seconds, ``touches`` judges by from and to."""

    kind: str | None = None
    since: float | None = None
    limit: int | None = None
    touches: Callable[[str | None, str | None], bool] | None = None


def operation_entry(record: dict[str, Any]) -> Entry:
    """Return the entry by which an operation enters history."""
    return Entry(OPERATION, str(record["actor"]), record)


def history(audit: Audit, question: Question) -> list[dict[str, Any]]:
    """Return the operations, newest first, each once.

    Raises:
        StorageError: the chain is damaged.
    """
    found: list[dict[str, Any]] = []
    for record in _records(audit):
        if question.limit is not None and len(found) >= question.limit + _OVERLAP:
            break
        if question.since is not None and parse_rfc3339(record["started_at"]) < question.since:
            continue
        if question.kind is not None and record["kind"] != question.kind:
            continue
        if question.touches is not None and not question.touches(record["from"], record["to"]):
            continue
        found.append({key: record.get(key) for key in _KEYS})
    found.sort(key=lambda record: -record["operation"])
    return found[: question.limit]


def show(audit: Audit, operation: int) -> dict[str, Any]:
    """Return everything recorded of one operation.

    Raises:
        NotFoundError: history has none of that number.
    """
    for record in _records(audit):
        if record["operation"] == operation:
            return record
    message = f"history has no operation {operation}"
    raise NotFoundError(message, next_step="see: stateguard history")


def _records(audit: Audit) -> Iterator[dict[str, Any]]:
    seen: set[int] = set()
    for entry in audit.newest_first():
        if entry["kind"] != OPERATION:
            continue
        record = entry["body"]
        if record["operation"] not in seen:
            seen.add(record["operation"])
            yield record
