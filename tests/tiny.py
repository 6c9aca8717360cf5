"""A tiny system: two agents of a few lines of shell, probes of one, and words in its files that break it in known ways.

In ``config/alpha.conf``: ``crash`` ends agent alpha at its start, ``unready`` fails its probe, ``wrong`` fails that
of the whole state, ``fuse`` fails that one as soon as somebody makes the file ``lit`` in the live directory.
"""

from __future__ import annotations

from pathlib import Path

STATE = """\
apiVersion: stateguard/v1
probes:
  - name: judge
    kind: readiness
    command: [sh, bin/judge.sh]
    period_seconds: 0.2
    timeout_seconds: 20
    failure_threshold: 2
response: {{confirm_window: {confirm}, soak: {soak}, heal_after: 0.3s, rollbacks_per_hour: 90, rollbacks_per_day: 90}}
sections:
  config: {{heal: enforce}}
"""

_AGENT = """\
name: {name}
critical: {critical}
command: [sh, bin/agent.sh, {name}]
depends_on: [{depends}]
restart: always
restart_on: ["bin/agent.sh", "config/{name}.conf"]
stop: {{signal: TERM, grace_period_seconds: 20}}
probes:
  - name: ready
    kind: readiness
    command: [sh, bin/ready.sh, {name}]
    period_seconds: 0.2
    timeout_seconds: 20
    failure_threshold: 2
"""

GOOD = "mode = plain\n"
FILES = {
    "agents/alpha/agent.yaml": _AGENT.format(name="alpha", critical="true", depends=""),
    "agents/alpha/prompt.md": "Answer shortly.\n",
    "agents/beta/agent.yaml": _AGENT.format(name="beta", critical="false", depends="alpha"),
    "bin/agent.sh": 'echo "$1 starts"\nmkdir -p logs; echo $$ > "logs/$1.pid"\n'
    '! grep -q crash "config/$1.conf" || exit 7\nexec sleep 100000\n',
    "bin/ready.sh": '! grep -q unready "config/$1.conf" && kill -0 "$(cat "logs/$1.pid")"\n',
    "bin/judge.sh": "! grep -q wrong config/*.conf || exit 1\n! { grep -q fuse config/*.conf && [ -e lit ]; }\n",
    "config/alpha.conf": GOOD,
    "config/beta.conf": GOOD,
    "config/shared.yaml": "limits: {plans: 3}\n",
    "conversations/alpha.jsonl": '{"id": "1", "role": "user", "content": "hello"}\n',
}
ALPHA = "config/alpha.conf"


def write_tiny(directory: Path, *, confirm: str = "20s", soak: str = "90s") -> Path:
    """Write the tiny system; long windows, because nothing here waits for one to end unless asked to."""
    files = {**FILES, "stateguard.yaml": STATE.format(confirm=confirm, soak=soak)}
    for path, text in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")
    return directory
