"""How an operation is printed."""

from __future__ import annotations

from typing import Any

from stateguard.cli.context import table, word
from stateguard.model.identity import short
from stateguard.text.escape import line
from stateguard.text.words import seconds


def lines(record: dict[str, Any]) -> list[str]:
    """Return an operation as people read it."""
    head = f"{record['kind']} {record['operation'] or ''}".strip()
    found = [f"{head}: {word(record['outcome'])} in {seconds(record['duration_seconds'])}"]
    found.append(f"from {short(record['from'] or 'nothing')} to {short(record['to'] or 'nothing')}")
    if record.get("actor"):
        found.append(f"by {line(record['actor'])}: {line(record['reason'])}")
    message = record.get("detail", {}).get("message")
    if message:
        found.append(line(message))
    if record.get("incident"):
        found.append(f"incident {record['incident']}: stateguard incident show {record['incident']}")
    rows = [(s["number"], s["name"], s["outcome"], f"{s['duration_seconds']:.3f} s") for s in record["stages"]]
    return [*found, "", *table(rows, ("STAGE", "", "OUTCOME", "TIME"))] if rows else found
