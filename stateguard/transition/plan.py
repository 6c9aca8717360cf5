"""Plan a transition (pure): from what is, to what shall be, in which writes, touching which agents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stateguard.model.agent import Probe
from stateguard.model.graph import dependents, reads, reloads, start_order, stop_order
from stateguard.model.health import AgentStatus
from stateguard.model.policy import System
from stateguard.model.transition import (
    BACK,
    FORWARD,
    STAGE_NAMES,
    Direction,
    JournalEntry,
    PathWrite,
    Plan,
    StageReport,
    Step,
    StepName,
    StepState,
)
from stateguard.model.tree import Entry, PathMap, stage_of

Glob = Callable[[str, str], bool]
"""Says whether a gitignore-style pattern matches a path."""


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents that a transition stops and starts, in order; ``start_back`` is for turning round.

    Those of ``reload`` go on running and are told to read their files again, either way.
    """

    stop: tuple[str, ...]
    start: tuple[str, ...]
    start_back: tuple[str, ...]
    reload: tuple[str, ...] = ()


def writes(
    observed: PathMap, desired: Mapping[str, Entry | None], captured: Callable[[str], bool]
) -> tuple[PathWrite, ...]:
    """Return what must be written so that every desired path holds its entry; None means nothing shall be there."""
    found = []
    for path in sorted(desired):
        before, after = observed.get(path), desired[path]
        if before != after:
            found.append(PathWrite(path, stage_of(path, conversation=captured(path)), before, after))
    return tuple(found)


def affected(
    source: System,
    target: System,
    paths: Collection[str],
    glob: Glob,
    *,
    also: Collection[str] = (),
    every: bool = False,
) -> Agents:
    """Return the agents to stop and start: those whose inputs change, new and gone ones, and hard dependents.

    An agent that can take every change of its inputs while it runs is reloaded instead, and its dependents are left
    alone. ``also`` are agents that are down and are brought up on the way. ``every`` is for corruption and breach,
    and when conversations are written.
    """
    both = source.agents.keys() | target.agents.keys()
    mild: set[str] = set()
    if every:
        touched = frozenset(both)
    else:
        direct = source.agents.keys() ^ target.agents.keys()
        for system in (source, target):
            restarted, reloaded = concerned(system, paths, glob)
            direct |= restarted
            mild |= reloaded
        touched = dependents(source.agents, direct) | dependents(target.agents, direct) | frozenset(also)
    return Agents(
        stop=tuple(n for n in _stopping(source, target) if n in touched),
        start=tuple(n for n in start_order(target.agents) if n in touched),
        start_back=tuple(n for n in start_order(source.agents) if n in touched),
        reload=tuple(n for n in start_order(target.agents) if n in mild and n not in touched),
    )


def concerned(system: System, paths: Collection[str], glob: Glob) -> tuple[set[str], set[str]]:
    """Return the agents whose inputs are among these paths: those to restart, and those that a reload is enough for."""
    restarted, reloaded = set[str](), set[str]()
    for name, spec in system.agents.items():
        mine = [path for path in paths if reads(spec, system.channels, path, glob)]
        if mine:
            enough = all(reloads(spec, system.channels, path, glob) for path in mine)
            (reloaded if enough else restarted).add(name)
    return restarted, reloaded


def _stopping(source: System, target: System) -> tuple[str, ...]:
    """Agents of the source in stopping order, then those only the target has (left over from an interruption)."""
    order = stop_order(source.agents)
    return (*(n for n in stop_order(target.agents) if n not in source.agents), *order)


def unreadable(source: System, target: System) -> tuple[str, ...]:
    """Return a sentence for every agent of the target that cannot read the data of today's agent."""
    found = []
    for name, spec in sorted(target.agents.items()):
        now = source.agents.get(name)
        readable = spec.reads_data_versions or (spec.data_version,)
        if now is not None and now.data_version not in readable:
            found.append(f"{name} reads data version {', '.join(map(str, readable))}, today's is {now.data_version}")
    return tuple(found)


def judged(
    before: Mapping[str, bool],
    source: System | None,
    target: System,
    touched: Collection[str],
    paths: Collection[str],
) -> tuple[str, ...]:
    """Return the ids of the probes that count for or against the change.

    A required probe counts if it passed before, or is new, or was changed, or looks at an agent that is
    started or reloaded and of which nothing was known. ``before`` says of each probe with a verdict whether it passed.
    External probes never count.
    """
    known = {p.id: p for p in source.probes} if source else {}
    found = []
    for probe in target.probes:
        if not probe.required or probe.external:
            continue
        new = known.get(probe.id) != probe
        changed = probe.agent is not None and any(p.startswith(f"agents/{probe.agent}/") for p in paths)
        unknown = probe.id not in before and (probe.agent is None or probe.agent in touched)
        if before.get(probe.id, False) or new or changed or unknown:
            found.append(probe.id)
    return tuple(sorted(found))


def in_step(agents: Collection[str], statuses: Mapping[str, AgentStatus], plan: Plan, revision: str) -> tuple[str, ...]:
    """Return those of the agents that a transition left alone and that run what it leads to all the same.

    An agent that was behind before, because its inputs were changed under it and adopted, still is.
    """
    current, behind = {plan.source, plan.target, revision}, plan.record.get("behind", ())
    running = {name: statuses[name].running or revision for name in agents if name in statuses}
    return tuple(n for n in agents if running.get(n, revision) in current and n not in behind)


def next_step(entries: Sequence[JournalEntry]) -> Step | None:
    """Return the next step of an operation, or None when it is over: the same for the first run and after a crash.

    Forward until every step is done. A step that failed turns the transition round, unless it failed for
    reasons of health: then the direction is decided above the engine, and this operation is over.
    """
    failed = [e for e in entries if e.state is StepState.FAILED]
    if any(e.step.direction is Direction.BACK for e in failed):
        return None
    if failed and failed[0].health:
        return None
    direction, order = (Direction.BACK, BACK) if failed else (Direction.FORWARD, FORWARD)
    done = {e.step for e in entries if e.state is StepState.DONE}
    for stage, name in order:
        step = Step(direction, stage, name)
        if step not in done:
            return step
    return None


def is_over(entries: Sequence[JournalEntry]) -> bool:
    """Say whether an operation has no step left."""
    return next_step(entries) is None


def stage_reports(entries: Iterable[JournalEntry]) -> tuple[StageReport, ...]:
    """Return what happened stage by stage, the way back as stages of their own."""
    found: list[StageReport] = []
    for direction in Direction:
        for number, title in STAGE_NAMES.items():
            own = [e for e in entries if e.step.stage == number and e.step.direction is direction]
            if own:
                name = title if direction is Direction.FORWARD else f"back: {title}"
                outcome = "failed" if any(e.state is StepState.FAILED for e in own) else _state(own)
                found.append(StageReport(number, name, outcome, sum(e.duration_seconds for e in own)))
    return tuple(found)


def _state(own: list[JournalEntry]) -> str:
    return "succeeded" if all(e.state is StepState.DONE for e in own) else "running"


def title(probe: Probe) -> str:
    """Return how a probe is named to a pusher: ``nutrition: readiness`` or ``plan-my-week``."""
    return f"{probe.agent}: {probe.kind}" if probe.agent else probe.name


WRITE_STAGES = {
    StepName.SPECIFICATIONS: 2,
    StepName.CONFIGURATION: 3,
    StepName.CONVERSATIONS: 4,
}
"""The stage whose paths each writing step makes equal."""
