"""Where faults strike: a system that starts in milliseconds, its journeys, and what must hold after them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pygit2.enums import ObjectType

from faults.kinds import Outcome
from faults.processes import Note, reap
from stateguard import faults
from stateguard.agents.child import VARIABLE
from stateguard.guard.applies import Applies
from stateguard.guard.compose import Guard, read_identity
from stateguard.guard.healing import Healer
from stateguard.host.home import Home
from stateguard.host.lock import WriterLock
from stateguard.host.process import with_variable
from stateguard.live.watch import Watcher
from stateguard.model.incident import IncidentState
from stateguard.model.tree import OBSTACLE, REGULAR, SYMLINK, Entry, PathMap, drift
from stateguard.respond.responder import Back
from stateguard.respond.withdraw import Target
from stateguard.state import trees
from stateguard.state.commits import raw_commit
from transition.setting import Setting, audit_problems, founded, leftovers

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

_STATE = """\
apiVersion: stateguard/v1
response: {confirm_window: 30s, soak: 15m, heal_after: 0s, rollbacks_per_day: 90, rollbacks_per_hour: 90}
sections:
  config: {heal: enforce}
"""

_SHOWN_SECONDS = 3.0

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
        "stateguard.yaml": _STATE,
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


class Broken(Exception):  # noqa: N818 - it is the verdict of a check
    """Something that must hold does not."""

    def __init__(self, outcome: Outcome, what: str) -> None:
        """Say which guarantee it is that was broken, and how."""
        super().__init__(f"{outcome}: {what}")
        self.outcome, self.what = outcome, what


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of a home before a journey: the two commits it may end at, and the length of what is kept."""

    old: str
    new: str
    audit: int
    baselines: int


class Ground:
    """A template home of each journey, made once by each worker."""

    def __init__(self, root: Path, content: dict[str, str] | None = None) -> None:
        """Make the templates below a directory."""
        self.root = root
        self._homes: dict[str, tuple[Home, Before]] = {}
        plain = root / "plain"
        plain.mkdir(parents=True)
        self._plain = founded(plain, content or files())
        self.identity = read_identity(self._plain)

    def template(self, name: str, journey: Journey) -> tuple[Home, Before]:
        """Return the home from which a journey begins, its agents stopped, and what is known of it."""
        if name not in self._homes:
            place = self.root / name
            place.mkdir()
            self._homes[name] = self._make(journey, copy(self._plain, place))
        return self._homes[name]

    def _make(self, journey: Journey, home: Home) -> tuple[Home, Before]:
        setting = Setting(home)
        setting.restart()
        try:
            change, old = journey.prepare(setting), setting.guard.main
            for name in ("helper", "parent"):
                assert setting.guard.runtime.stop(name)
            audit, highest = setting.guard.books.audit.length(), setting.guard.baselines.highest()
            before = Before(old, change, audit, highest)
        finally:
            setting.end()
            self.clear()
        return home, before

    def clear(self) -> None:
        """End every agent of these homes."""
        for pid, value in list(with_variable(VARIABLE)):
            if value.startswith(self.identity + ":"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        reap()


def commit(setting: Setting, changes: Mapping[str, str | None]) -> str:
    """Write a commit on main's head with these files changed, None: removed; the tool is no program in it."""
    repository = setting.guard.repository
    paths = dict(setting.guard.books.declared.paths(setting.guard.main))
    for path in [path for path, text in changes.items() if text is None]:
        del paths[path]
    for path, text in changes.items():
        if text is not None:
            mode = SYMLINK if text.startswith("-> ") else REGULAR
            paths[path] = Entry(mode, repository.write(ObjectType.BLOB, text.removeprefix("-> ").encode()))
    raw = raw_commit(trees.build(repository, paths), [setting.guard.main], "Change\n", 1_800_000_000, "ann <ann@x.org>")
    return repository.write(ObjectType.COMMIT, raw)


class Journey:
    """A transition that faults strike. Where it ends well is ``ends``: at the old commit's state or the new one's."""

    ends, begins = "new", True

    def prepare(self, setting: Setting) -> str:
        """Bring a home to where the journey begins; returns the commit that it goes to."""
        raise NotImplementedError

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Carry it out, and note what was acknowledged."""
        raise NotImplementedError


class Apply(Journey):
    """A push that works."""

    changes: Mapping[str, str | None] = CHANGE

    def prepare(self, setting: Setting) -> str:
        """Write the commit."""
        return commit(setting, self.changes)

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Push it."""
        answer = Applies(guard).receive("push", before.old, before.new, (), "ann", lambda _: None)
        note(("answered", answer.accepted))


class Many(Apply):
    """A push of so many files that they are flushed together."""

    changes = MANY


class Failing(Apply):
    """A push that breaks an agent: tried, and put back."""

    changes, ends = BREAKS, "old"


class Rollback(Journey):
    """A person's rollback to the first baseline."""

    def prepare(self, setting: Setting) -> str:
        """Apply something first."""
        good = setting.guard.main
        assert setting.push(commit(setting, CHANGE)).accepted
        return good

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Roll back."""
        record = guard.responder.back(Back(Target(before.new, "baseline/1", "asked for", 1), "person:ann", "because"))
        note(("answered", str(record.outcome) == "succeeded"))


class Heal(Journey):
    """Drift that is put back without asking."""

    ends = "old"

    def prepare(self, setting: Setting) -> str:
        """Change what nobody but a push may change."""
        config = setting.guard.live / "config"
        config.joinpath("helper.txt").write_text("drifted\n")
        config.joinpath("gone.txt").unlink()
        config.joinpath("swap").unlink()
        config.joinpath("swap").symlink_to("shared.txt")
        config.joinpath("shared.txt").chmod(0o755)
        return setting.guard.main

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Look, and put back."""
        del before
        wanted = guard.books.declared.desired(guard.applied)
        drifted = drift(wanted, guard.scanner().observe(sorted(wanted)))
        watcher = Watcher(guard.live, guard.scanner().rules, lambda _: None)
        note(("answered", Healer(guard, watcher).heal(drifted)))


class Recovering(Apply):
    """A push whose guard was killed while it wrote, and whose agents died with it: what a start after that does."""

    begins = False

    def prepare(self, setting: Setting) -> str:
        """Push, and cut it short."""
        new = commit(setting, self.changes)
        faults.arm("live.put:3:cut")
        with contextlib.suppress(faults.Cut):
            Applies(setting.guard).receive("push", setting.guard.main, new, (), "ann", lambda _: None)
        faults.arm(None)
        return new

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Nothing is left to begin: waking the guard is the journey."""


JOURNEYS: dict[str, Journey] = {
    "apply": Apply(),
    "failing": Failing(),
    "many": Many(),
    "rollback": Rollback(),
    "heal": Heal(),
    "recover": Recovering(),
}


@contextlib.contextmanager
def at_work(home: Home) -> Iterator[Setting]:
    """Take the lock and be the guard of a home, as the daemon is: recover, then start what is missing."""
    with WriterLock(home.writer_lock, "faults").acquire():
        setting = Setting(home)
        try:
            setting.restart()
            yield setting
        finally:
            setting.end()


def check(setting: Setting, journey: Journey, before: Before, noted: tuple[Any, ...]) -> str:
    """Check all that must hold after a guard has recovered; returns which state was reached, ``old`` or ``new``.

    Raises:
        Broken: something does not hold.
    """
    guard = setting.guard
    unfinished = guard.books.journal.unfinished()
    _require(not unfinished, Outcome.STUCK, f"operations without an outcome: {[o.id for o in unfinished]}")
    reached = _state(guard, before)
    _kept(guard, before)
    _told(guard, journey, reached, noted)
    running = _running(setting)
    _require(running == sorted(set(running)), Outcome.DOUBLED, f"agents run twice: {running}")
    _require(running == sorted(guard.system.agents), Outcome.LOST, f"agents that run: {running}")
    labels = {s.running for s in guard.runtime.statuses().values()}
    _require(labels == {guard.applied}, Outcome.TORN, f"agents run {labels}, live is {guard.applied}")
    _require(not leftovers(setting.home), Outcome.TORN, f"temporary files are left: {leftovers(setting.home)}")
    return reached


def _running(setting: Setting) -> list[str]:
    """Return which agents run; the kernel shows the mark of one that has just been started a moment later."""
    give_up_at = time.monotonic() + _SHOWN_SECONDS
    while True:
        running = setting.running()
        if running == sorted(setting.guard.system.agents) or time.monotonic() > give_up_at:
            return running
        time.sleep(0.01)


def _state(guard: Guard, before: Before) -> str:
    declared = guard.books.declared
    old, new, now = (declared.desired(c) for c in (before.old, before.new, guard.applied))
    paths = sorted({*old, *new, *now})
    live = guard.scanner().observe(paths)
    wrong = sorted(p for p in paths if live.get(p) != now.get(p) and not _holds_others(p, now, live))
    _require(not wrong, Outcome.TORN, f"the live directory is between two states: {wrong}")
    _require(guard.main == guard.applied, Outcome.TORN, f"main is {guard.main}, live is {guard.applied}")
    _require(now in (old, new), Outcome.TORN, "what is live is neither the old nor the new state")
    return "old" if now == old else "new"


def _holds_others(path: str, wanted: PathMap, live: PathMap) -> bool:
    """Say whether a path that holds no file is a directory that other wanted paths lie in."""
    inside = any(p.startswith(f"{path}/") for p in wanted)
    return path not in wanted and live.get(path) == OBSTACLE and inside


def _kept(guard: Guard, before: Before) -> None:
    problems = audit_problems(guard)
    _require(not problems, Outcome.LOST, f"the audit chain: {problems}")
    length = guard.books.audit.length()
    _require(length >= before.audit, Outcome.LOST, f"{before.audit - length} audit entries are gone")
    highest = guard.baselines.highest()
    _require(highest == before.baselines, Outcome.LOST, f"the highest baseline is {highest}")
    wrong = guard.baselines.verify(1)
    _require(not wrong, Outcome.LOST, f"baseline/1 does not verify: {wrong}")


def _told(guard: Guard, journey: Journey, reached: str, noted: tuple[Any, ...]) -> None:
    """Hold what was said to whoever waited, or is said to one who asks again, against what is."""
    answers = [value for what, value in noted if what == "answered"]
    if isinstance(journey, Heal):
        return
    if answers:
        true = answers[-1] == (reached == "new")
        _require(true, Outcome.LOST, f"told {answers[-1]}, but the state is the {reached} one")
    if isinstance(journey, Apply):
        operation = guard.books.journal.by_token("push")
        if operation is not None:
            true = (operation.outcome == "succeeded") == (reached == "new")
            _require(true, Outcome.LOST, f"the push {operation.outcome}, but the state is the {reached} one")
    if isinstance(journey, Failing):
        settled = all(i.state is IncidentState.RESOLVED for i in guard.store.incidents())
        _require(settled, Outcome.STUCK, f"incidents: {[str(i.state) for i in guard.store.incidents()]}")


def copy(template: Home, room: Path) -> Home:
    """Copy a home whose agents are stopped into a directory; git's objects, which nobody changes, are shared."""
    home = Home(room / "home")
    shutil.copytree(template.root, home.root, symlinks=True, copy_function=_copy)
    text = home.settings.read_text()
    home.settings.write_text(text.replace(str(template.root), str(home.root)))
    return home


def _copy(source: str, target: str) -> None:
    if "/objects/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _require(holds: object, outcome: Outcome, what: str) -> None:
    if not holds:
        raise Broken(outcome, what)
