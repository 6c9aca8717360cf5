"""Run one agent: ``python3 bin/agent.py agents/<name>/agent.yaml``.

The working directory is the system's own directory; the port comes from the
environment. The process ends on SIGTERM after the requests in progress.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from mealplan.flat import number
from mealplan.roles import load_agent
from mealplan.service import AgentServer

_POLL_SECONDS = 0.05
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def say(name: str, text: str) -> None:
    """Write one line to the log."""
    print(f"{name}: {text}", flush=True)


def open_server(specification: Path) -> AgentServer:
    """Read the agent and listen; raises ValueError or OSError."""
    agent = load_agent(specification, Path.cwd())
    port = int(number(dict(os.environ), "PORT"))
    return AgentServer(port, agent)


def serve(server: AgentServer) -> int:
    """Serve until a stop signal arrives; return the exit status."""
    name, memory = server.agent.name, server.agent.memory
    worker = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,))
    worker.start()
    say(name, f"listening on 127.0.0.1:{server.server_port}")
    if memory:
        say(name, f"remembers {memory.remembered} turns")
    received = signal.sigwait(_STOP_SIGNALS)
    server.shutdown()
    server.server_close()
    worker.join()
    if memory:
        memory.close()
    say(name, f"gave up: {server.gave_up}" if server.gave_up else f"stopped by {signal.Signals(received).name}")
    return 1 if server.gave_up else 0


def main(arguments: list[str]) -> int:
    """Run the agent and return the exit status."""
    if len(arguments) != 1:
        say("agent", "usage: agent.py agents/NAME/agent.yaml")
        return 2
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    specification = Path(arguments[0])
    try:
        server = open_server(specification)
    except (ValueError, OSError, OverflowError) as error:
        say(specification.parent.name, f"cannot start: {error}")
        return 1
    return serve(server)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
