"""Prepare a transition: the emergency backup, durable, and the plan, before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stateguard.agents.runtime import AgentRuntime
from stateguard.errors import AgentsError, RefusedError
from stateguard.live.ground import database_in_use, exists, survey
from stateguard.live.scan import Scanner
from stateguard.live.tracked import Tracked
from stateguard.model.graph import reads
from stateguard.model.ground import aside_name, cleared, in_the_way
from stateguard.model.health import ALIVE, AgentState, Health
from stateguard.model.identity import ZERO
from stateguard.model.policy import System
from stateguard.model.transition import Conversations, Kind, PathWrite, Plan
from stateguard.model.tree import Entry, PathMap
from stateguard.observe.prober import Prober
from stateguard.state.snapshot import backup_ref
from stateguard.text.words import count
from stateguard.transition.archive import Archive
from stateguard.transition.declared import Declared
from stateguard.transition.plan import Agents, affected, judged, unreadable, writes


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a transition.

    ``source`` and ``target`` are main commits. ``only`` limits it to these paths; None means every desired
    path, ``differing`` only those by which the two commits differ. ``restore`` names exactly what shall lie at
    some paths, whatever the target says, and limits it to these: what lay there before. ``aside`` moves what is
    unmanaged and in the way to another name, instead of refusing. ``healing`` restarts only agents that were
    started since their inputs drifted (Unix time by path). ``judged`` are the probes that count, None lets the
    plan choose. ``any_data`` goes back even to agents that cannot read today's data. ``adopting`` says
    that the target is what lies there already, so that nothing is written and no agent that runs is restarted.
    ``record`` goes to the final step.
    """

    kind: Kind
    source: str
    target: str
    only: frozenset[str] | None = None
    differing: bool = False
    restore: Mapping[str, Entry | None] | None = None
    aside: bool = False
    healing: Mapping[str, float] = field(default_factory=dict)
    judged: frozenset[str] | None = None
    any_data: bool = False
    every: bool = False
    conversations: Conversations = Conversations.KEEP
    snapshot: str | None = None
    hold: bool = False
    turns: bool = False
    adopting: bool = False
    record: dict[str, Any] = field(default_factory=dict)


class Preparation:
    """Looks at what is and decides what a transition will do."""

    def __init__(
        self,
        declared: Declared,
        archive: Archive,
        scanner: Callable[[], Scanner],
        runtime: AgentRuntime,
        prober: Prober,
        tracked: Tracked,
        home: str = "",
    ) -> None:
        """``scanner`` returns the scanner of the live directory under the rules in force, ``tracked`` knows its drift.

        ``home`` is where the guard home lies below the live directory; empty if it lies elsewhere.
        """
        self._home, self._tracked = home, tracked
        self._declared, self._archive, self._scanner = declared, archive, scanner
        self._runtime, self._prober = runtime, prober

    def keep_all(self, commit: str) -> PathMap:
        """Keep the complete live state of a commit that is in force; returns its paths.

        Raises:
            StorageError: captured.git could not be written.
        """
        return self._archive.all(commit, commit)

    def plan(self, operation: int, wish: Wish, *, backup: bool = True) -> Plan:
        """Make the emergency backup and return the plan.

        Without ``backup`` nothing is written: a dry run.

        Raises:
            RefusedError: something unmanaged lies in the way.
            AgentsError: whoever runs the agents concerned does not answer.
            StorageError: the backup could not be made durable, so nothing may be changed.
        """
        self._check_data(wish)
        drifted = self._drifted(wish)
        wanted = self._wanted(wish, drifted or ())
        todo, blocking = self._look(wish, wanted)
        if blocking and not wish.aside:
            raise _refused(blocking)
        if wish.adopting and todo:
            message = f"{todo[0].path} was changed while it was adopted"
            raise RefusedError(message, next_step="try again")
        commit = self._backup(operation, wish, {*wanted, *blocking}, drifted) if backup else ZERO
        source, target = self._declared.system(wish.source), self._declared.system(wish.target)
        agents = self._agents(wish, source, target, {w.path for w in todo})
        self._check_answers({*agents.stop, *agents.start, *agents.reload})
        return Plan(
            kind=wish.kind,
            source=wish.source,
            target=wish.target,
            backup=commit,
            writes=todo,
            stop=agents.stop,
            start=agents.start,
            start_back=agents.start_back,
            reload=agents.reload,
            conversations=wish.conversations,
            snapshot=wish.snapshot,
            judged=self._judged(wish, source, target, agents, todo),
            window_seconds=target.policy.confirm_window_seconds,
            hold=wish.hold,
            turns=wish.turns,
            aside=self._aside(operation, blocking),
            record=wish.record,
        )

    def check(self, wish: Wish) -> None:
        """Look whether anything unmanaged would be in the way.

        Raises:
            RefusedError: something is, or the guard home would be changed.
        """
        blocking = self._look(wish, self._wanted(wish, self._drifted(wish) or ()))[1]
        if blocking:
            raise _refused(blocking)

    def _look(self, wish: Wish, wanted: Mapping[str, Entry | None]) -> tuple[tuple[PathWrite, ...], tuple[str, ...]]:
        """Return what must be written, and what lies in the way and is not stateguard's."""
        scanner, before = self._scanner(), self._declared.desired(wish.source)
        captured = self._declared.rules(wish.target or wish.source).captured
        todo = writes(scanner.observe(wanted), wanted, captured)
        inside = next((w.path for w in todo if self._home and f"{w.path}/".startswith(f"{self._home}/")), None)
        if inside:
            raise RefusedError(f"{inside} lies in the guard home, which no state may change", next_step="rename it")
        if not wish.aside:
            _require_closed(scanner.root, [w.path for w in todo if not captured(w.path)])
        ground = survey(scanner.root, todo)
        return cleared(todo), in_the_way(todo, lambda path: path in before or captured(path), ground)

    def _aside(self, operation: int, blocking: Sequence[str]) -> tuple[tuple[str, str], ...]:
        root = self._scanner().root
        return tuple((path, aside_name(path, operation, lambda name: exists(root, name))) for path in blocking)

    def _check_data(self, wish: Wish) -> None:
        if wish.kind is not Kind.ROLLBACK or wish.any_data or not wish.source:
            return
        found = unreadable(self._declared.system(wish.source), self._declared.system(wish.target))
        if found:
            raise RefusedError(
                f"the older state cannot read today's data: {found[0]}", next_step="choose a newer target, or --force"
            )

    def _check_answers(self, names: set[str]) -> None:
        """Refuse to stop and start agents while whoever runs them is silent: half of it would be done."""
        statuses = self._runtime.statuses()
        silent = [statuses[n] for n in sorted(names) if n in statuses and statuses[n].state is AgentState.UNKNOWN]
        if silent:
            message = f"{silent[0].name} cannot be stopped or started: {silent[0].message}"
            raise AgentsError(message, next_step="bring back what runs the agents, then try again")

    def _judged(
        self, wish: Wish, source: System, target: System, agents: Agents, todo: Sequence[PathWrite]
    ) -> tuple[str, ...]:
        if wish.kind is Kind.HEAL and not agents.start:
            return ()
        if wish.judged is not None:
            return tuple(sorted(p.id for p in target.probes if p.id in wish.judged))
        before = source if wish.source else None
        touched = (*agents.start, *agents.reload)
        return judged(self.verdicts(), before, target, touched, [w.path for w in todo])

    def verdicts(self) -> dict[str, bool]:
        """Return of each probe with a verdict whether it passes: health before the change."""
        known = (Health.HEALTHY, Health.UNHEALTHY)
        return {i: r.health is Health.HEALTHY for i, r in self._prober.readings().items() if r.health in known}

    def _drifted(self, wish: Wish) -> frozenset[str] | None:
        """Return the desired paths that lie there otherwise than they should; None where that does not matter."""
        if wish.differing:
            return None
        return frozenset(one.path for one in self._tracked.drift(wish.source, self._declared.desired(wish.source)))

    def _wanted(self, wish: Wish, drifted: Collection[str]) -> dict[str, Entry | None]:
        """Return what shall lie where; what is equal in both and lies there as it should needs no look."""
        after = self._declared.desired(wish.target)
        paths = {*self._declared.differing(wish.source, wish.target).paths, *drifted}
        if wish.only is not None:
            paths &= wish.only
        wanted: dict[str, Entry | None] = {path: after.get(path) for path in paths}
        if wish.restore is not None:
            wanted = dict(wish.restore)
        if not wish.source:
            taken = {path.split("/", 1)[0] for path in self._scanner().captured().every}
            seeds = self._declared.seeds(wish.target)
            wanted |= {p: e for p, e in seeds.items() if p.split("/", 1)[0] not in taken}
        if wish.conversations is Conversations.RESTORE and wish.snapshot:
            wanted |= self._archive.restoring(wish.snapshot, self._declared.rules(wish.target))
        return wanted

    def _backup(self, operation: int, wish: Wish, wanted: Collection[str], drifted: Collection[str] | None) -> str:
        # Without a watcher to vouch for it, asking once more what drifted would look at everything once more.
        lately = drifted if wish.source and not self._tracked.trusted else None
        paths = self._archive.all(wish.source or wish.target, wish.source, wanted, operation, drifted=lately)
        message = f"Emergency backup of operation {operation}, before it began\n"
        return self._archive.write(paths, backup_ref(operation), message, [])

    def _agents(self, wish: Wish, source: System, target: System, written: set[str]) -> Agents:
        rules = self._declared.rules(wish.target or wish.source)
        statuses = self._runtime.statuses()
        known = {n: status.state for n, status in statuses.items()}
        up = {*ALIVE, AgentState.UNKNOWN}  # where nobody says how it is, nothing says that it is down
        down = {n for n in target.agents if known.get(n) not in up}
        if wish.kind is Kind.HEAL:
            started = {n: s.started_at for n, s in statuses.items() if s.started_at is not None}
            stale = {
                name
                for name, spec in target.agents.items()
                for path, since in wish.healing.items()
                if started.get(name, 0.0) >= since and reads(spec, target.channels, path, rules.glob)
            }
            return affected(source, target, (), rules.glob, also=stale)
        if wish.adopting:
            return affected(source, target, (), rules.glob)
        paths = set(written)
        if not wish.source:
            # The first apply of all: what runs already and finds its inputs as they are is not touched.
            source = replace(target, agents={n: spec for n, spec in target.agents.items() if n not in down})
        elif wish.only is None:
            paths |= set(self._declared.differing(wish.source, wish.target).paths)
        every = wish.every or wish.conversations is not Conversations.KEEP
        return affected(source, target, paths, rules.glob, also=down, every=every)


def _refused(blocking: Sequence[str]) -> RefusedError:
    path = blocking[0]
    more = f" (and {count(len(blocking) - 1, 'more path')})" if len(blocking) > 1 else ""
    message = f"{path}{more} is in the way: it lies in the live directory and stateguard does not manage it"
    return RefusedError(message, next_step=f"take it over: stateguard adopt {path}; or move it away, then try again")


def _require_closed(root: Path, paths: Iterable[str]) -> None:
    """Refuse to write a database whose log holds what is nowhere else: it would be lost, or spoil the new one."""
    found = database_in_use(root, paths)
    if found is not None:
        path, log = found
        message = f"{path} is a database in use: {log} holds what is not in it"
        hint = "close it, or keep databases in a captured section such as conversations/"
        raise RefusedError(message, next_step=hint)
