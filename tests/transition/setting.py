"""A small real system under a real guard without a daemon: two shell agents, probes, a script, captured words."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from pygit2.enums import ObjectType

from stateguard.agents.child import VARIABLE
from stateguard.guard.applies import Answer, Applies
from stateguard.guard.compose import Guard, compose
from stateguard.guard.found import Founding, found
from stateguard.guard.recover import recover
from stateguard.host.home import Home
from stateguard.host.process import identify, is_session_leader, with_variable
from stateguard.live.lock import claim
from stateguard.model.graph import start_order
from stateguard.model.transition import Step
from stateguard.model.tree import EXECUTABLE, REGULAR, SYMLINK, Entry
from stateguard.state import trees
from stateguard.state.commits import raw_commit
from stateguard.transition.journal import Operation
from stateguard.trust.keys import load_pinned

AGENT = """\
#!/bin/sh
# Says that it begins, and one last word when it is told to stop.
mkdir -p conversations
echo "$1 $$" >> starts
trap 'echo "{\\"last\\": \\"$1\\"}" >> conversations/$1.jsonl; exit 0' TERM
while :; do sleep 600 & wait $!; done
"""

PROBE = """\
#!/bin/sh
# Fails for a bad mode; for a brief prompt once a file called late is there; and while stuck-NAME is there.
grep -q bad config/$1.txt && { echo "the mode is bad"; exit 1; }
test -e late && grep -q brief agents/$1/prompt.md && { echo "too brief"; exit 1; }
test ! -e stuck-$1
"""

SPEC = """\
name: {name}
role: {role}
critical: {critical}
command: [sh, bin/agent.sh, {name}]
depends_on: [{needs}]
restart_on: ["bin/**", "config/{name}.txt"]
probes:
  - name: ready
    command: [sh, bin/probe.sh, {name}]
    period_seconds: 0.1
    failure_threshold: 1
"""

STATE = """\
apiVersion: stateguard/v1
response: {confirm_window: 4s, soak: 15m, rollbacks_per_day: 4}
"""

Files = Mapping[str, "str | None"]

EXECUTABLES = ("bin/agent.sh", "bin/tool.sh")
UNCOUNTED = ("conversations/", "starts", ".stateguard.lock")


def small_system() -> dict[str, str]:
    """Return the files of the small system."""
    files = {
        "stateguard.yaml": STATE,
        "bin/agent.sh": AGENT,
        "bin/probe.sh": PROBE,
        "conversations/seed.jsonl": '{"seed": 1}\n',
        "config/shared.txt": "one\n",
        "config/gone.txt": "to be removed\n",
    }
    for name, role, critical, needs in (("parent", "parent", "true", ""), ("helper", "support", "false", "parent")):
        files[f"agents/{name}/agent.yaml"] = SPEC.format(name=name, role=role, critical=critical, needs=needs)
        files[f"agents/{name}/prompt.md"] = "be good\n"
        files[f"config/{name}.txt"] = "mode: fine\n"
    return files


CHANGE: dict[str, str | None] = {
    "agents/helper/prompt.md": "be brief\n",
    "config/helper.txt": "mode: better\n",
    "config/gone.txt": None,
    "config/new/deep.txt": "new\n",
}
"""A good change: one agent restarted; files changed, removed and added, in both writing stages."""

BREAKS: dict[str, str | None] = CHANGE | {"config/helper.txt": "mode: bad\n"}
"""The same change, under which the helper's probe fails."""


def write_tree(root: Path, files: Mapping[str, str]) -> None:
    """Write files below a directory."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        if path in EXECUTABLES:
            (root / path).chmod(0o755)


def ignored(text: str) -> None:
    """Hear a line and forget it."""


@dataclass
class Setting:
    """One guard home; guards come and go in it, as after crashes."""

    home: Home
    guards: list[Guard] = field(default_factory=list)
    numbers: Any = field(default_factory=count)

    def wake(self, announce: Callable[[Operation, Step], None] = lambda *_: None) -> Guard:
        """Build a guard anew from what lies in the home; the one before lets go, as if it were dead."""
        self.end()
        guard = compose(self.home, announce)
        self.guards.append(guard)
        claim(guard.live, guard.identity, self.home.root)
        guard.supervise()
        return guard

    def restart(self) -> Guard:
        """Do what a guard does that is started after a crash: recover, then start what is missing."""
        guard = self.wake()
        recover(guard, Applies(guard))
        guard.start_missing()
        return guard

    def end(self) -> None:
        """Let the guard go; its agents stay running."""
        while self.guards:
            self.guards.pop().close()

    @property
    def guard(self) -> Guard:
        """The guard at work."""
        return self.guards[-1]

    def commit(self, changes: Files, parent: str | None = None) -> str:
        """Write a commit on main's head (or another) with these files changed, None: removed."""
        repository = self.guard.repository
        parent = parent or self.guard.main
        paths = dict(self.guard.books.declared.paths(parent))
        for path, text in changes.items():
            if text is None:
                paths.pop(path, None)
                continue
            mode = EXECUTABLE if path in EXECUTABLES else SYMLINK if text.startswith("-> ") else REGULAR
            content = text.removeprefix("-> ").encode()
            paths[path] = Entry(mode, repository.write(ObjectType.BLOB, content))
        message = f"Change {next(self.numbers)}\n"
        raw = raw_commit(trees.build(repository, paths), [parent], message, 1_800_000_000, "ann <ann@example.org>")
        return repository.write(ObjectType.COMMIT, raw)

    def push(self, new: str, *options: str, token: str | None = None) -> Answer:
        """Push a commit to main, as the hook would hand it over."""
        guard = self.guard
        return Applies(guard).receive(token or f"push-{new}", guard.main, new, options, "ann", ignored)

    def running(self) -> list[str]:
        """Return the names of the agents' processes that live."""
        mine = self.guard.identity + ":"
        return sorted(
            value.split(":")[1]
            for pid, value in with_variable(VARIABLE)
            if value.startswith(mine) and is_session_leader(pid) and identify(pid)
        )


def everything(live: Path, *, but: tuple[str, ...] = UNCOUNTED) -> dict[str, tuple[int, bytes]]:
    """Return permission bits and bytes (or the target) of every file and link of a live directory."""
    temporary(live)
    found = {}
    for path in sorted(live.rglob("*")):
        name = path.relative_to(live).as_posix()
        if path.is_symlink():
            found[name] = (0, os.fsencode(path.readlink()))
        elif path.is_file() and not name.startswith(but):
            found[name] = (path.stat().st_mode & 0o777, path.read_bytes())
    return found


def leftovers(home: Home) -> list[str]:
    """Return the temporary files that lie about in the live directory and the home, and do not go by themselves."""
    return temporary(home.root)


def temporary(root: Path) -> list[str]:
    """Return the temporary files below a directory; replaced files are given the moment in which they are removed."""
    give_up_at = time.monotonic() + 2.0
    while found := [str(path) for path in root.rglob(".stateguard-tmp-*")]:
        if time.monotonic() > give_up_at:
            break
        time.sleep(0.005)
    return found


def audit_problems(guard: Guard) -> tuple[str, ...]:
    """Return what is wrong with the audit chain."""
    return guard.books.audit.verify(load_pinned(guard.home.trust)).problems


def kill_agents(identity: str) -> None:
    """Kill every process that carries the mark of a home."""
    for pid, value in list(with_variable(VARIABLE)):
        if value.startswith(identity + ":"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def founded(root: Path, files: Mapping[str, str]) -> Home:
    """Found a home below a directory, with its first baseline; its agents are stopped again."""
    source = root / "source"
    source.mkdir()
    write_tree(source, files)
    home = Home(root / "home")
    found(Founding(home, source, home.default_live, baseline=False, user="ann"), ignored)
    setting = Setting(home)
    guard = setting.wake()
    for name in reversed(start_order(guard.system.agents)):
        assert guard.runtime.stop(name)
    paths = guard.operations.preparation.keep_all(guard.applied)
    guard.baselines.create(guard.applied, paths, "person:ann", {})
    setting.end()
    return home


def copied(template: Home, root: Path) -> Home:
    """Copy a home whose agents are stopped; the copy guards its own live directory."""
    home = Home(root / "home")
    shutil.copytree(template.root, home.root, symlinks=True)
    text = home.settings.read_text()
    home.settings.write_text(text.replace(str(template.root), str(home.root)))
    return home
