"""A watcher in a process of its own, to be stopped for a while: ``watching.py ROOT``.

It prints ``watching``; each line that it is then given is answered by a JSON document, after it was tended as the
guard does at each turn.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules
from stateguard.live.watch import Watcher


def main() -> None:
    told: list[frozenset[str]] = []
    watcher = Watcher(Path(sys.argv[1]), PathRules(default_policy()), told.append)
    watcher.start()
    print("watching", flush=True)  # noqa: T201 - what the test waits for
    for _ in sys.stdin:
        watcher.tend()
        paths = sorted({path for one in told for path in one})
        document = {"any": told.count(frozenset()), "paths": paths, "blind": watcher.due_seconds() < 1000}
        print(json.dumps(document), flush=True)  # noqa: T201
    watcher.stop()


if __name__ == "__main__":
    main()
