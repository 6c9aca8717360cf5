"""A guard as a process of its own, to be killed: ``guard_process.py HOME LIVE IDENTITY COMMANDS``.

COMMANDS is a JSON list of ``[verb, [name, argv, grace seconds]...]``, verb one of adopt, start, stop; afterwards it
prints ``ready`` and waits.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from stateguard.agents.process import ProcessRuntime
from stateguard.host.home import Home
from stateguard.model.agent import AgentSpec, StopPolicy


def main() -> None:
    home, live, identity, commands = sys.argv[1:]
    runtime = ProcessRuntime(Path(live), Home(Path(home)), identity, lambda _: None)
    for verb, *rest in json.loads(commands):
        specs = [AgentSpec(name, tuple(argv), stop=StopPolicy("TERM", grace)) for name, argv, grace in rest]
        for spec in specs:
            if verb == "start":
                runtime.start(spec, "r1")
            if verb == "stop":
                runtime.stop(spec.name)
        if verb == "adopt":
            runtime.adopt({spec.name: spec for spec in specs})
    print("ready", flush=True)  # noqa: T201 - what the test waits for
    time.sleep(600)


if __name__ == "__main__":
    main()
