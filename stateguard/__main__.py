"""Run the command line: ``python -m stateguard``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit."""
    from stateguard.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
