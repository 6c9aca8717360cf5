"""A plot as SVG, both axes logarithmic: what going back costs against the size of the tree, at a fixed change."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.timing import Row

CURVE = "rollback, with emergency backup, until the answer"
"""The work of the rows that the plot shows, one size each."""
_CHANGED = 10
_WIDE, _HIGH, _EDGE = 640, 360, 60
_COLOURS = ("#1b6ca8", "#c0392b")


def curves(rows: Sequence[Row]) -> str:
    """Return the picture; the rows of the curve are those of one work at several sizes."""
    mine = sorted((row for row in rows if row.work == CURVE and row.changed == _CHANGED), key=lambda row: row.files)
    mine = [row for row in mine if row.peer == "`git reset --hard`"]
    lines = {
        "stateguard rollback": {row.files: statistics.median(row.ours) for row in mine},
        "git reset --hard": {row.files: statistics.median(row.theirs) for row in mine},
    }
    sizes = [row.files for row in mine] or [1, 10]
    seconds = [value for line in lines.values() for value in line.values()] or [1.0]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    left, right = math.log10(sizes[0]), math.log10(sizes[-1])

    def across(files: float) -> float:
        return _EDGE + (math.log10(files) - left) / max(right - left, 1e-9) * (_WIDE - 2 * _EDGE)

    def down(value: float) -> float:
        return _HIGH - _EDGE - (math.log10(value) - low) / max(high - low, 1) * (_HIGH - 2 * _EDGE)

    middle = f'x="{_WIDE / 2}" text-anchor="middle"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" font-family="sans-serif">',
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="white"/>',
        f'<text {middle} y="24">Rolling ten changed files back, by the size of the tree</text>',
        f'<text {middle} y="{_HIGH - 14}">files in the tree</text>',
    ]
    for power in range(low, high + 1):
        y = down(10**power)
        parts.append(f'<path d="M{_EDGE} {y:.1f}H{_WIDE - _EDGE}" stroke="#ddd"/>')
        parts.append(f'<text x="{_EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{_label(10.0**power)}</text>')
    for files in sizes:
        x = across(files)
        parts.append(f'<text x="{x:.1f}" y="{_HIGH - _EDGE + 18}" text-anchor="middle">{files:,}</text>')
    for number, (name, line) in enumerate(lines.items()):
        parts += _line(line, name, _COLOURS[number], across, down)
    return "\n".join([*parts, "</svg>", ""])


def _line(values: Mapping[int, float], name: str, colour: str, across: object, down: object) -> list[str]:
    if not (callable(across) and callable(down)) or not values:
        return []
    points = [(across(files), down(value)) for files, value in values.items()]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    x, y = points[-1]
    name_at = f'<text x="{x:.1f}" y="{y - 9:.1f}" text-anchor="end" fill="{colour}">{name}</text>'
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots, name_at]


def _label(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{value * 1000:g} ms"
