"""A watcher in a process of its own, to be stopped for a while: ``watching.py ROOT``.

It prints ``watching``; each line that it is then given is answered by a JSON document.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules
from stateguard.live.watch import Watcher


class _Overflows(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "overflowed" in record.getMessage()


def main() -> None:
    woken: list[None] = []
    overflows = _Overflows()
    logging.getLogger("watchdog").addHandler(overflows)
    watcher = Watcher(Path(sys.argv[1]), PathRules(default_policy()), lambda: woken.append(None))
    watcher.start()
    print("watching", flush=True)  # noqa: T201 - what the test waits for
    for _ in sys.stdin:
        told = {"woken": len(woken), "quiet": watcher.quiet_for(), "overflows": overflows.count}
        print(json.dumps(told | {"late": [p for p in watcher.take() if p.endswith("late")]}), flush=True)  # noqa: T201
    watcher.stop()


if __name__ == "__main__":
    main()
