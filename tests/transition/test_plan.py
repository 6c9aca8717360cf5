"""Planning: every decision by example and by property."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stateguard.config.sections import glob
from stateguard.model.agent import AgentSpec, Channel, Probe, ProbeKind, Reload, TcpCheck
from stateguard.model.graph import dependents, start_order
from stateguard.model.policy import Policy, System
from stateguard.model.transition import (
    Conversations,
    Kind,
    PathWrite,
    Plan,
)
from stateguard.model.tree import EXECUTABLE, REGULAR, SYMLINK, Entry
from stateguard.transition.plan import (
    WRITE_STAGES,
    affected,
    judged,
    title,
    unreadable,
    writes,
)

entries = st.builds(
    Entry, st.sampled_from([REGULAR, EXECUTABLE, SYMLINK]), st.text("0123456789abcdef", min_size=40, max_size=40)
)
maybe = st.none() | entries
paths = st.sampled_from(["agents/a/agent.yaml", "agents/a/prompt.md", "agents", "config/x", "conversations/c", "ä b"])


names = st.lists(st.text(min_size=1, max_size=8), max_size=4).map(tuple)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)
plans = st.builds(
    Plan,
    kind=st.sampled_from(Kind),
    source=st.text(),
    target=st.text(),
    backup=st.text(),
    writes=st.lists(st.builds(PathWrite, st.text(min_size=1), st.integers(2, 4), maybe, maybe)).map(tuple),
    stop=names,
    start=names,
    start_back=names,
    conversations=st.sampled_from(Conversations),
    snapshot=st.none() | st.text(),
    judged=names,
    window_seconds=st.floats(0, 1e6),
    hold=st.booleans(),
    turns=st.booleans(),
    record=st.dictionaries(st.text(), json_values),
)


@given(plans)
def test_a_plan_survives_the_journal(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


@given(st.dictionaries(paths, entries), st.dictionaries(paths, maybe))
def test_writes_are_exactly_what_differs(observed: dict[str, Entry], desired: dict[str, Entry | None]) -> None:
    found = writes(observed, desired, lambda path: path.startswith("conversations/"))
    after = {p: e for p, e in observed.items() if p not in desired} | {p: e for p, e in desired.items() if e}
    reached = dict(observed)
    for write in found:
        assert write.before == observed.get(write.path)
        assert write.before != write.after
        if write.after is None:
            del reached[write.path]
        else:
            reached[write.path] = write.after
    assert reached == after
    assert [w.path for w in found] == sorted({w.path for w in found})
    for write in found:
        reached.pop(write.path, None)
        reached |= {write.path: write.before} if write.before else {}
    assert reached == observed
    stages = {p: {"agents": 2, "conversations": 4}.get(p.split("/")[0], 3) for p in desired}
    assert {w.stage for w in found} <= set(WRITE_STAGES.values())
    assert all(w.stage == stages[w.path] for w in found)


# the agents


def system(*agents: AgentSpec, channels: tuple[Channel, ...] = (), probes: tuple[Probe, ...] = ()) -> System:
    return System({a.name: a for a in agents}, channels, Policy((), probes=probes))


NAMES = "abcdef"
TOUCHED = [
    "config/shared",
    "config/a",
    "protocols/p.yaml",
    "bin/x",
    "README.md",
    *[f"agents/{n}/{file}" for n in NAMES for file in ("x", "agent.yaml")],
]


RELOADS = [None, Reload("HUP"), Reload("HUP", ()), Reload("HUP", ("config/a", "bin/**"))]


@st.composite
def systems(draw: st.DrawFn) -> System:
    found: dict[str, AgentSpec] = {}
    for name in draw(st.permutations(NAMES))[: draw(st.integers(0, 6))]:
        needs = draw(st.lists(st.sampled_from([*found, "missing"]), max_size=2, unique=True))
        parent = not any(a.parent for a in found.values()) and draw(st.booleans())
        found[name] = AgentSpec(
            name,
            ("run",),
            depends_on=tuple(needs),
            role="parent" if parent else "domain",
            critical=draw(st.booleans()),
            restart_on=draw(st.sampled_from([(), ("config/**",), ("bin/**", f"config/{name}")])),
            reload=draw(st.sampled_from(RELOADS)),
        )
    ends = st.sampled_from([*NAMES, "user"])
    channels = draw(st.lists(st.builds(Channel, st.just("p"), st.just("protocols/p.yaml"), ends, ends), max_size=2))
    return system(*found.values(), channels=tuple(channels))


def inputs(one: System, path: str) -> set[str]:
    """Return who reads a path, said in another way than the code under test says it."""
    spoken = {c.sender for c in one.channels if c.path == path} | {c.receiver for c in one.channels if c.path == path}
    by_glob = {n for n, a in one.agents.items() for g in (*a.restart_on, *on(a)) if glob(g, path)}
    return {n for n in one.agents if path.startswith(f"agents/{n}/")} | by_glob | (spoken & one.agents.keys())


def on(agent: AgentSpec) -> tuple[str, ...]:
    return agent.reload.on if agent.reload else ()


def mild(one: System, path: str) -> set[str]:
    """Return the readers of a path for which a signal is enough."""
    found = set()
    for name in inputs(one, path):
        agent = one.agents[name]
        own = path not in TOUCHED[:2] and not path.startswith("bin/")  # its directory, or a channel of it
        enough = own or any(glob(g, path) for g in on(agent))
        if agent.reload and enough and not path.endswith("agent.yaml"):
            found.add(name)
    return found


changed = st.sets(st.sampled_from(TOUCHED))


@given(systems(), systems(), changed, st.sets(st.sampled_from(NAMES)))
def test_affected_is_the_smallest_set_that_is_closed(
    source: System, target: System, touched: set[str], down: set[str]
) -> None:
    """In it: readers of what changes, new and gone agents, their hard dependents, and those that are down."""
    found = affected(source, target, touched, glob, also=down)
    direct = {n for one in (source, target) for path in touched for n in inputs(one, path) - mild(one, path)}
    mildly = {n for one in (source, target) for path in touched for n in mild(one, path)}
    direct |= source.agents.keys() ^ target.agents.keys()
    every = dependents(source.agents, direct) | dependents(target.agents, direct) | down
    assert set(found.stop) == every & (source.agents.keys() | target.agents.keys())
    assert set(found.start) == every & target.agents.keys()
    assert set(found.start_back) == every & source.agents.keys()
    assert set(found.reload) == mildly - every
    assert found.reload == tuple(n for n in start_order(target.agents) if n in found.reload)


@given(systems(), systems(), changed, st.booleans())
def test_agents_stop_and_start_in_their_orders(source: System, target: System, touched: set[str], every: bool) -> None:
    found = affected(source, target, touched, glob, every=every)
    if every:
        assert set(found.stop) == source.agents.keys() | target.agents.keys()
        assert (set(found.start), set(found.start_back)) == (target.agents.keys(), source.agents.keys())
    for order, one in ((found.start, target), (found.start_back, source)):
        assert len(set(order)) == len(order)
        for name in order:
            needs = set(one.agents[name].depends_on) & set(order)
            assert needs <= set(order[: order.index(name)])
    ranks = [(source.agents[n].parent, source.agents[n].critical) for n in found.stop if n in source.agents]
    assert ranks == sorted(ranks)
    left_over = [n in source.agents for n in found.stop]
    assert left_over == sorted(left_over)


@given(systems(), changed)
def test_nothing_changed_touches_nobody(one: System, touched: set[str]) -> None:
    assert affected(one, one, (), glob).stop == ()
    found = affected(one, one, touched, glob)
    assert found.start == found.start_back
    assert set(found.stop) == set(found.start)


def test_a_signal_is_enough_where_the_agent_says_so() -> None:
    a = AgentSpec("a", ("run",), restart_on=("bin/**", "config/b"), reload=Reload("HUP", ("config/a", "config/b")))
    b = AgentSpec("b", ("run",), depends_on=("a",), restart_on=())
    one = system(a, b)
    for path in ("config/a", "config/b", "agents/a/prompt.md"):
        found = affected(one, one, {path}, glob)
        assert (found.stop, found.start, found.start_back, found.reload) == ((), (), (), ("a",))
    for path in ("agents/a/agent.yaml", "bin/x"):
        found = affected(one, one, {path, "config/a"}, glob)
        assert (found.start, found.reload) == (("a", "b"), ())
    assert affected(one, one, {"config/a"}, glob, also={"a"}).start == ("a",), "one that is down cannot be told"
    assert affected(one, one, {"config/a"}, glob, every=True).reload == ()


def test_only_readers_and_their_dependents_are_restarted() -> None:
    parent = AgentSpec("parent", ("run",), role="parent", critical=True, restart_on=())
    a = AgentSpec("a", ("run",), critical=True, depends_on=("parent",), restart_on=("config/a",))
    b = AgentSpec("b", ("run",), depends_on=("a",), restart_on=())
    c = AgentSpec("c", ("run",), depends_on=("parent",), restart_on=())
    one = system(parent, a, b, c)
    found = affected(one, one, {"config/a"}, glob)
    assert (found.stop, found.start) == (("b", "a"), ("a", "b"))
    found = affected(one, one, {"agents/parent/prompt.md"}, glob)
    assert (found.stop, found.start) == (("b", "c", "a", "parent"), ("parent", "a", "c", "b"))


# the probes


def probe(name: str, agent: str | None = None, *, required: bool = True, external: bool = False) -> Probe:
    return Probe(name, ProbeKind.READINESS, TcpCheck("h", 1), agent, required=required, external=external)


@pytest.mark.parametrize(
    ("before", "known", "restarted", "touched", "counts"),
    [
        ({"a/p": True}, True, (), (), True),
        ({"a/p": False}, True, ("a",), (), False),
        ({"a/p": False}, True, (), ("agents/a/prompt.md",), True),
        ({"a/p": False}, True, (), ("agents/ab/prompt.md",), False),
        ({"a/p": False}, False, (), (), True),
        ({}, True, ("a",), (), True),
        ({}, True, (), (), False),
    ],
)
def test_a_probe_of_an_agent_counts_for_regressions_only(
    before: dict[str, bool], known: bool, restarted: Sequence[str], touched: Sequence[str], counts: bool
) -> None:
    target = system(AgentSpec("a", ("run",), probes=(probe("p", "a"),)))
    source = target if known else system(AgentSpec("a", ("run",), probes=(replace(probe("p", "a"), period_seconds=3),)))
    assert judged(before, source, target, restarted, touched) == (("a/p",) if counts else ())


def test_a_state_probe_of_which_nothing_is_known_counts() -> None:
    one = system(probes=(probe("p"),))
    assert judged({}, one, one, (), ()) == ("/p",)
    assert judged({"/p": False}, one, one, (), ("agents/a/x",)) == ()
    assert judged({"/p": False}, None, one, (), ()) == ("/p",)


@st.composite
def probed(draw: st.DrawFn) -> System:
    flags = st.tuples(st.booleans(), st.booleans())
    own = []
    for name in "ab":
        found = [probe(p, name, required=r, external=e) for p in draw(st.sets(st.sampled_from("pq"))) for r, e in
                 [draw(flags)]]  # fmt: skip
        own.append(AgentSpec(name, ("run",), probes=tuple(found)))
    whole = [probe(p, required=r, external=e) for p in draw(st.sets(st.sampled_from("st"))) for r, e in [draw(flags)]]
    return system(*own, probes=tuple(whole))


verdicts = st.dictionaries(st.sampled_from(["a/p", "a/q", "b/p", "b/q", "/s", "/t"]), st.booleans())


@given(verdicts, st.none() | probed(), probed(), st.sets(st.sampled_from("ab")), st.sets(st.sampled_from(TOUCHED)))
def test_judged_are_required_and_ours_and_worked_or_were_touched(
    before: dict[str, bool], source: System | None, target: System, restarted: set[str], touched: set[str]
) -> None:
    found = judged(before, source, target, restarted, touched)
    known = {p.id: p for p in source.probes} if source else {}
    assert found == tuple(sorted(set(found)))
    for one in target.probes:
        failed_before = before.get(one.id) is False
        same = known.get(one.id) == one and not any(p.startswith(f"agents/{one.agent}/") for p in touched)
        if not one.required or one.external or (failed_before and same):
            assert one.id not in found
        elif before.get(one.id) or not same:
            assert one.id in found


@pytest.mark.parametrize(
    ("today", "version", "reads", "refused"),
    [(1, 1, (), False), (2, 1, (), True), (2, 1, (1, 2), False), (2, 3, (), True), (3, 2, (1, 2), True)],
)
def test_older_code_must_read_todays_data(today: int, version: int, reads: tuple[int, ...], refused: bool) -> None:
    now = system(AgentSpec("a", ("run",), data_version=today))
    then = system(AgentSpec("a", ("run",), data_version=version, reads_data_versions=reads), AgentSpec("new", ("run",)))
    found = unreadable(now, then)
    assert bool(found) is refused
    assert all("today's is" in sentence for sentence in found)
    assert unreadable(system(), then) == ()


def test_probes_are_named_as_a_pusher_reads_them() -> None:
    assert title(probe("p", "nutrition")) == "nutrition: readiness"
    assert title(probe("plan-my-week")) == "plan-my-week"
