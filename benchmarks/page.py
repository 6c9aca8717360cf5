"""What is published: one line a row, a Markdown table, a JSON file, and a plot of cost against the size of the tree."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.commands import run
from benchmarks.plot import curves
from benchmarks.timing import Row

BEGIN, END = "<!-- begin: written by make bench -->", "<!-- end: written by make bench -->"
_RESULTS, _PAGE, _PLOT = Path("benchmarks/results.json"), Path("docs/performance.md"), Path("docs/performance.svg")
_HEAD = "| work | files | changed | stateguard | peer | peer's | figure | at most | |\n" + 9 * "|---" + "|"


def shown(row: Row) -> str:
    """Return a row as one line of text."""
    peer = f" against {row.peer}: {_value(row.theirs, row.unit)}" if row.theirs else ""
    size = f", {row.files} files" if row.files else ""
    some = f", {row.changed} changed" if row.changed else ""
    promised = f" (at most {_promise(row)}: {'held' if row.held else 'MISSED'})" if row.most is not None else ""
    figure = f"; {_figure(row)}" if row.theirs else ""
    return f"{row.work}{size}{some}: {_value(row.ours, row.unit)}{peer}{figure}{promised}"


def publish(rows: Sequence[Row], root: Path) -> None:
    """Write the results and the generated part of the page in a checkout."""
    facts = machine()
    document = {"machine": facts, "rows": [row.as_json() for row in rows]}
    (root / _RESULTS).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (root / _PLOT).write_text(curves(rows), encoding="utf-8")
    page = root / _PAGE
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{table(rows, facts)}\n{END}{after}", encoding="utf-8")


def table(rows: Sequence[Row], facts: dict[str, str]) -> str:
    """Return the generated part of the page."""
    limited = [row for row in rows if row.most is not None]
    gates = [row for row in limited if row.gate]
    held, gates_held = (sum(1 for row in some if row.held) for some in (limited, gates))
    lines = [
        f"Measured on {'; '.join(facts.values())}.",
        "",
        f"**{held} of {len(limited)} limits are held**, {gates_held} of {len(gates)} gates among them.",
        "",
        _HEAD,
    ]
    for row in rows:
        verdict = "" if row.most is None else ("held" if row.held else "**missed**")
        gate = " (gate)" if row.gate else ""
        promised = _promise(row) if row.most is not None else ""
        cells = (
            row.work, f"{row.files:,}" if row.files else "", f"{row.changed:,}" if row.changed else "",
            _value(row.ours, row.unit), row.peer, _value(row.theirs, row.unit) if row.theirs else "",
            _figure(row) if row.theirs else "", promised, verdict + gate,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", "![What a rollback costs against the size of the tree](performance.svg)"])


def machine() -> dict[str, str]:
    """Return what the numbers depend on, without names or paths of this machine."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{os.cpu_count()} cores of {model}",
        "memory": f"{memory:.0f} GB of memory",
        "system": f"Linux {platform.release()}",
        "python": f"Python {platform.python_version()}",
        "git": run("git", "version").strip().replace("git version", "git"),
    }


def _value(values: Sequence[float], unit: str) -> str:
    middle = statistics.median(values)
    if unit != "s":
        return f"{middle:.0f} {unit}" if unit == "MB" else f"{middle:.2f} {unit}"
    return f"{middle * 1000:.1f} ms" if middle < 1 else f"{middle:.2f} s"


def _figure(row: Row) -> str:
    return f"{row.figure * 1000:+.0f} ms" if row.beyond else f"{row.figure:.3f}"


def _promise(row: Row) -> str:
    most = row.most or 0.0
    if row.beyond:
        return f"{most * 1000:+.0f} ms"
    return _value([most], row.unit) if not row.theirs else f"{most:g}"
