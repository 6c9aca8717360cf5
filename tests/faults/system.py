"""The system that faults strike: two shell agents that start in milliseconds, and changes of its files."""

from __future__ import annotations

_AGENT = """\
trap 'rm -f up-$1; exit 0' TERM
[ "$(cat config/$1.txt)" != broken ] || exit 7
sleep 0.01
echo > up-$1
sleep 600 & wait $!
"""

_SPEC = """\
name: {name}
critical: {critical}
command: [sh, bin/agent.sh, {name}]
restart: {restart}
depends_on: [{needs}]
restart_on: ["bin/agent.sh", "config/{name}.txt"]
probes:
  - name: up
    file: {{path: up-{name}}}
    period_seconds: 0.05
    timeout_seconds: 10
    failure_threshold: 200
"""

STATE = """\
apiVersion: stateguard/v1
response: {confirm_window: 30s, soak: 15m, heal_after: 0s, rollbacks_per_day: 90, rollbacks_per_hour: 90}
sections:
  config: {heal: enforce}
"""

TOOL = "#!/bin/sh\n"

CHANGE: dict[str, str | None] = {
    "config/helper.txt": "better\n",
    "config/gone.txt": None,
    "config/swap": None,
    "config/swap/deep/file.txt": "a directory where a file was\n",
    "config/room/one.txt": None,
    "config/room/two.txt": None,
    "config/room": "a file where a directory was\n",
    "config/link": "-> shared.txt",
    "bin/tool.sh": TOOL,
    "config/shared.txt": "two\n",
    "agents/helper/prompt.md": "be brief\n",
}
"""Changed, removed and added files, a mode, a link, a file and a directory that take each other's place."""

BREAKS: dict[str, str | None] = CHANGE | {"config/helper.txt": "broken\n"}


MANY: dict[str, str | None] = CHANGE | {f"config/many/file{n}.txt": f"{n}\n" for n in range(40)}


def files() -> dict[str, str]:
    """Return the files of the system."""
    agents = (("parent", "true", "always", ""), ("helper", "false", "never", "parent"))
    return {
        "stateguard.yaml": STATE,
        "bin/agent.sh": _AGENT,
        "bin/tool.sh": TOOL,
        "conversations/seed.jsonl": '{"seed": 1}\n',
        "config/shared.txt": "one\n",
        "config/gone.txt": "to be removed\n",
        "config/swap": "a file where a directory will be\n",
        "config/room/one.txt": "1\n",
        "config/room/two.txt": "2\n",
        **{f"config/{name}.txt": "fine\n" for name, *_ in agents},
        **{f"agents/{name}/prompt.md": "be good\n" for name, *_ in agents},
        **{
            f"agents/{name}/agent.yaml": _SPEC.format(name=name, critical=critical, restart=restart, needs=needs)
            for name, critical, restart, needs in agents
        },
    }
