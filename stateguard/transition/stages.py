"""The seven stages: what each step of a transition does; every one may be run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from stateguard.agents.runtime import AgentRuntime
from stateguard.config.sections import PathRules
from stateguard.errors import StorageError
from stateguard.host import threads
from stateguard.host.clock import boot_seconds
from stateguard.live.ground import bring_back, set_aside
from stateguard.live.replaced import Replaced, sweep
from stateguard.live.scan import Scanner
from stateguard.live.write import make_equal
from stateguard.model.agent import AgentSpec
from stateguard.model.graph import layers, stop_batches
from stateguard.model.policy import System
from stateguard.model.transition import Conversations, Direction, Kind, PathWrite, Plan, Step, StepName
from stateguard.model.tree import OBSTACLE, Entry
from stateguard.observe.prober import Prober
from stateguard.state.repository import Repository
from stateguard.state.snapshot import backup_ref
from stateguard.text.words import count
from stateguard.transition.archive import Archive
from stateguard.transition.engine import StageError
from stateguard.transition.journal import Operation
from stateguard.transition.plan import WRITE_STAGES, in_step
from stateguard.transition.validate import Watch, watching

_MOST_HELD = 1500
"""The events of so many written paths can wait in the kernel, which keeps some 16,000."""
_A_MOMENT_SECONDS = 0.05
_AT_ONCE = 16
"""So many agents are stopped at once at most."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the stages work with.

    ``systems`` reads what a commit declares; ``record`` moves refs at the end; ``hold`` lets the watcher wait a moment.
    """

    live: Path
    repository: Repository
    captured: Repository
    scanner: Callable[[], Scanner]
    archive: Archive
    runtime: AgentRuntime
    prober: Prober
    watch: Watch
    systems: Callable[[str], System]
    record: Callable[[Operation, Plan], str]
    hold: Callable[[], None]


class Stages:
    """The runner of the engine."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts
        self._replaced = Replaced()
        self._seen_first = (0, 0.0)
        """The operation that wrote last, and when the first of what it wrote was looked at."""
        self._steps: dict[StepName, Callable[[Operation, Plan, Direction], str]] = {
            StepName.STOP: self._stop,
            StepName.CAPTURE: self._capture,
            StepName.START: self._start,
            StepName.CHANNELS: self._channels,
            StepName.VALIDATE: self._validate,
            StepName.RECORD: self._record,
        }

    def run(self, operation: Operation, plan: Plan, step: Step) -> str:
        """Carry out one step.

        Raises:
            StageError: it failed.
            StateguardError: storage or the runtime failed.
        """
        if step.name in WRITE_STAGES:
            return self._write(operation, plan, step)
        return self._steps[step.name](operation, plan, step.direction)

    def _stop(self, operation: Operation, plan: Plan, direction: Direction) -> str:
        self._parts.prober.pause(plan.stop)
        left = self._end(plan)
        if direction is Direction.BACK:
            self._parts.archive.note(plan.target, operation.id)
        if left:
            return f"{', '.join(left)} could not be ended and is left out"
        return f"{count(len(plan.stop), 'agent')} stopped"

    def _end(self, plan: Plan) -> list[str]:
        """Stop the agents of a plan, those together that need nothing of each other; returns those that remain."""
        parts, left = self._parts, list[str]()
        agents = {**parts.systems(plan.target).agents, **parts.systems(plan.source).agents} if plan.stop else {}
        for batch in stop_batches(agents, plan.stop):
            gone = threads.each(parts.runtime.stop, batch, _AT_ONCE, "stop-agent")
            left += [name for name, is_gone in zip(batch, gone, strict=True) if not is_gone]
        return left

    def _capture(self, operation: Operation, plan: Plan, direction: Direction) -> str:
        """Agents write their last words while stopping: keep those too."""
        del direction
        if not plan.stop:
            return "nothing was stopped, nothing new to keep"
        archive = self._parts.archive
        now = archive.again(plan.backup, plan.source, operation.id)
        if archive.tree(now) == self._parts.captured.commit(plan.backup).tree:
            return "nothing was written since the backup"
        message = f"Emergency backup of operation {operation.id}, after its agents stopped\n"
        archive.write(now, backup_ref(operation.id), message, [plan.backup])
        return "kept what agents wrote while stopping"

    def _write(self, operation: Operation, plan: Plan, step: Step) -> str:
        stage = WRITE_STAGES[step.name]
        mine = [w for w in plan.writes if w.stage == stage]
        if step.name is StepName.CONVERSATIONS and plan.snapshot and plan.conversations is Conversations.RESTORE:
            wanted = self._conversations(operation, plan, step.direction)
        elif step.direction is Direction.FORWARD:
            wanted = [(w.path, w.after) for w in mine]
        else:
            wanted = self._before(operation, step.name, mine)
        if not wanted:
            return "nothing to write"
        paths = [path for path, _ in wanted]
        if len(paths) <= _MOST_HELD:
            self._parts.hold()
        self._replaced.wait()
        if step.name is StepName.CONVERSATIONS:
            sweep(self._parts.live, paths)  # of all other steps this is done with the replaced files, behind them
        moved = [(path, name) for path, name in plan.aside if any(f"{p}/".startswith(f"{path}/") for p in paths)]
        if step.direction is Direction.FORWARD:
            self._require_free(w for w in mine if w.path not in {path for path, _ in moved})
            for path, name in moved:
                set_aside(self._parts.live, path, name)
            said = self._make_equal(operation.id, wanted, step)
            if step.name is StepName.CONVERSATIONS and not plan.source:
                self._parts.archive.note("", operation.id)  # seeds: nobody wrote them under anything of ours
            return said
        places = {path for path, _ in moved}
        said = self._make_equal(operation.id, [(p, entry) for p, entry in wanted if p not in places], step)
        left = [name for path, name in moved if not bring_back(self._parts.live, path, name)]
        return f"{said}; {', '.join(left)} could not be moved back" if left else said

    def _just_seen(self, operation: int) -> bool:
        """Say whether all that an operation wrote was looked at in this moment, by this process."""
        mine, at = self._seen_first
        return mine == operation and boot_seconds() - at < _A_MOMENT_SECONDS

    def _make_equal(self, operation: int, wanted: list[tuple[str, Entry | None]], step: Step) -> str:
        # What a recovery sweeps is named by the plan; it does not name every conversation.
        replaced = self._replaced if step.name is not StepName.CONVERSATIONS else None
        touched = make_equal(self._parts.live, wanted, self._read, self._parts.scanner().rules.captured, replaced)
        self._verify(wanted)
        if self._seen_first[0] != operation:
            self._seen_first = (operation, boot_seconds())
        return f"{count(touched, 'file')} written"

    def _conversations(self, operation: Operation, plan: Plan, direction: Direction) -> list[tuple[str, Entry | None]]:
        """Return every captured path as a snapshot has it, and all others as absent.

        Looked up anew, not taken from the plan: agents write their last words after it was made. What is displaced
        is kept first, on the way back too; the way back restores exactly that, if it came so far.
        """
        captured, ref = self._parts.captured, backup_ref(operation.id)
        if direction is Direction.FORWARD:
            self._keep(f"{ref}-displaced", plan, f"Conversations that operation {operation.id} displaced\n")
            commit = plan.snapshot
        else:
            commit = captured.ref(f"{ref}-displaced")
            if commit:
                self._keep(f"{ref}-undone", plan, f"Conversations when operation {operation.id} was undone\n")
        if not commit:
            return []
        wanted = self._parts.archive.restoring(commit, PathRules(self._parts.systems(plan.target).policy))
        return sorted(wanted.items(), key=lambda item: item[0])

    def _keep(self, ref: str, plan: Plan, message: str) -> None:
        """Keep the captured paths as they lie there, once: a step that is run again has changed some of them."""
        if self._parts.captured.ref(ref) is None:
            self._parts.archive.write(self._parts.archive.these((), plan.source), ref, message, [plan.backup])

    def _before(self, operation: Operation, name: StepName, mine: list[PathWrite]) -> list[tuple[str, Entry | None]]:
        if name is not StepName.CONVERSATIONS:
            foreign = self._foreign(mine)
            return [(w.path, w.before) for w in mine if w.path not in foreign]
        if not mine:
            return []
        last = self._parts.captured.ref(backup_ref(operation.id))
        known = self._parts.archive.kept_in(last) if last else {}
        return [(w.path, known.get(w.path, w.before)) for w in mine]

    def _require_free(self, mine: Iterable[PathWrite]) -> None:
        """Look once more where something new is to be written: agents had time to write there while they stopped."""
        foreign = self._foreign(mine)
        if foreign:
            message = f"{foreign[0]} appeared there meanwhile and is not managed; it was left as it is"
            raise StageError(message, health=False)

    def _foreign(self, mine: Iterable[PathWrite]) -> list[str]:
        """Return the paths of additions at which something else lies than what is added."""
        added = {w.path: w.after for w in mine if w.before is None and w.after is not None}
        scanner = self._parts.scanner()
        found = scanner.observe(p for p in added if not scanner.rules.captured(p))
        return sorted(p for p, entry in found.items() if entry not in (added[p], OBSTACLE))

    def _verify(self, wanted: list[tuple[str, Entry | None]]) -> None:
        scanner = self._parts.scanner()
        found = scanner.observe(path for path, _ in wanted)
        # Where nothing is wanted, a directory may have come: it holds other paths, and is no file that was left.
        gone = {p for p, entry in wanted if entry is None and found.get(p) == OBSTACLE}
        wrong = [p for p, e in wanted if found.get(p) != e and p not in gone and not scanner.rules.captured(p)]
        if wrong:
            raise StageError(f"{wrong[0]} does not hold what was written; somebody else writes there", health=False)

    def _read(self, object_id: str) -> bytes:
        for repository in (self._parts.repository, self._parts.captured):
            if repository.has(object_id):
                return repository.blob(object_id)
        raise StorageError(f"object {object_id} is in neither repository", next_step="stateguard audit verify")

    def _start(self, operation: Operation, plan: Plan, direction: Direction) -> str:
        del operation
        parts = self._parts
        forward = direction is Direction.FORWARD
        revision, names = (plan.target, plan.start) if forward else (plan.source, plan.start_back)
        system = parts.systems(revision)
        if names or plan.reload:
            self._replaced.wait()
        parts.prober.configure(system.probes)
        wanted = set(names)
        needed = {d for name in wanted for d in system.agents[name].depends_on}
        for layer in layers(system.agents):
            mine = [n for n in layer if n in wanted]
            for name in mine:
                parts.runtime.start(system.agents[name], revision)
                parts.prober.begin([p.id for p in system.agents[name].probes])
            first = [n for n in mine if n in needed]
            if first and forward:
                self._await_ready(system, plan, first)
        reloaded = self._reload(system, plan, revision)
        left = [n for n in system.agents if n not in wanted]
        parts.runtime.label(in_step(left, parts.runtime.statuses(), plan, revision), revision)
        if not forward:
            parts.prober.begin([p.id for p in system.probes if p.agent is None])
        more = f", {reloaded} reloaded" if reloaded else ""
        return f"{len(names)} of {count(len(system.agents), 'agent')} started{more}"

    def _reload(self, system: System, plan: Plan, revision: str) -> int:
        """Tell agents to read their files again, and return how many were told; those that cannot be are restarted."""
        parts, told = self._parts, list[AgentSpec]()
        for spec in [system.agents[n] for n in plan.reload if n in system.agents]:
            if spec.reload and parts.runtime.reload(spec.name, spec.reload.signal):
                told.append(spec)
                continue
            if not parts.runtime.stop(spec.name):
                message = f"{spec.name} could be neither told to reload nor ended"
                raise StageError(message, health=False)
            parts.runtime.start(spec, revision)
        # It says nothing when it has read them: what is asked at once would be answered from the old ones.
        parts.watch.give_time(max((spec.reload.settle_seconds for spec in told if spec.reload), default=0.0))
        for name in plan.reload:
            parts.prober.begin([p.id for p in system.agents[name].probes] if name in system.agents else [])
        return len(told)

    def _await_ready(self, system: System, plan: Plan, names: list[str]) -> None:
        probes = [p.id for n in names for p in system.agents[n].probes if p.id in plan.judged]
        watched = watching(system, probes, names if plan.kind is not Kind.HEAL else ())
        problems = self._parts.watch.until_well(watched, plan.window_seconds)
        if problems:
            raise StageError("; ".join(problems), health=True)

    def _channels(self, operation: Operation, plan: Plan, direction: Direction) -> str:
        del operation, direction
        system = self._parts.systems(plan.target)
        probes = [c.probe.id for c in system.channels if c.probe]
        if not probes or not plan.touched:
            return "no channel to open"
        self._parts.prober.configure(system.probes)
        self._parts.prober.begin(probes)
        mine = [p.id for n in plan.touched for p in system.agents[n].probes]
        watched = watching(system, [p for p in (*probes, *mine) if p in plan.judged], plan.touched)
        problems = self._parts.watch.until_well(watched, plan.window_seconds)
        if problems:
            raise StageError("; ".join(problems), health=True)
        return f"{count(len(probes), 'channel')} verified"

    def _validate(self, operation: Operation, plan: Plan, direction: Direction) -> str:
        del direction
        parts = self._parts
        system = parts.systems(plan.target)
        parts.prober.configure(system.probes)
        if plan.kind is Kind.HEAL and not plan.touched:
            self._verify([(w.path, w.after) for w in plan.writes])
            return f"{count(len(plan.writes), 'path')} as desired, no agent had read them"
        if not plan.writes and not plan.touched and plan.kind is not Kind.ROLLBACK and not plan.hold:
            return "nothing changed, nothing to validate"
        begun = {p.id for n in plan.touched for p in system.agents[n].probes}
        begun |= {c.probe.id for c in system.channels if c.probe} if plan.touched else set()
        parts.prober.begin([p.id for p in system.probes if p.id not in begun])
        watched = watching(system, plan.judged, plan.touched)
        problems = parts.watch.until_well(watched, plan.window_seconds, hold=plan.hold)
        if problems:
            raise StageError("; ".join(problems), health=True)
        if watched.probes or watched.agents or plan.hold or not self._just_seen(operation.id):
            self._verify([(w.path, w.after) for w in plan.writes])
        well, every = parts.watch.healthy(system)
        return f"{well}/{every} healthy" if every else f"{count(len(watched.probes), 'probe')} passed"

    def _record(self, operation: Operation, plan: Plan, direction: Direction) -> str:
        del direction
        return self._parts.record(operation, plan)
