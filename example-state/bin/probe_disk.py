"""Check how much the agents have written to ``scratch/`` against ``config/limits.yaml``.

Prints one line; exit status 0 or 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mealplan.flat import FlatError, number, read_flat

_MEGABYTE = 1024 * 1024


def used_mb(directory: Path) -> float:
    """Return the size of all files below a directory, in megabytes."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue
    return total / _MEGABYTE


def main() -> int:
    """Run the probe and return the exit status."""
    try:
        limit = number(read_flat(Path("config/limits.yaml")), "scratch_max_mb")
        used = used_mb(Path("scratch"))
    except (FlatError, OSError) as error:
        print(f"cannot check the disk: {error}")
        return 1
    print(f"{used:.1f} MB in scratch/, at most {limit:g}")
    return int(used > limit)


if __name__ == "__main__":
    sys.exit(main())
