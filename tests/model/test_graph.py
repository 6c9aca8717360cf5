from fnmatch import fnmatch
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from stateguard.model.agent import AgentSpec, Channel, Reload
from stateguard.model.graph import cycle, dependents, layers, reads, reloads, start_order, stop_batches, stop_order


def agents(**needs: str) -> dict[str, AgentSpec]:
    return {name: AgentSpec(name, ("run",), depends_on=tuple(found)) for name, found in needs.items()}


NAMES = "abcdefgh"


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, AgentSpec]:
    """Agents that depend only on earlier ones, and on some that do not exist."""
    found: dict[str, AgentSpec] = {}
    for name in draw(st.permutations(NAMES))[: draw(st.integers(0, 8))]:
        needs = draw(st.lists(st.sampled_from([*found, "missing"]), max_size=3, unique=True))
        role = draw(st.sampled_from(["parent", "domain"]))
        found[name] = AgentSpec(name, ("run",), depends_on=tuple(needs), role=role, critical=draw(st.booleans()))
    return found


def test_layers_depend_on_the_layers_before() -> None:
    assert layers(agents(a="", b="a", c="a", d="bc", e="x")) == (("a", "e"), ("b", "c"), ("d",))


def test_the_parent_starts_first_and_stops_last() -> None:
    found = agents(a="", z="")
    found["z"] = AgentSpec("z", ("run",), role="parent")
    assert start_order(found) == ("z", "a")
    assert stop_order(found) == ("a", "z")


def test_critical_agents_stop_after_the_others() -> None:
    found = agents(a="", b="a")
    found["c"] = AgentSpec("c", ("run",), critical=True)
    assert stop_order(found) == ("b", "a", "c")


def test_a_circle_is_named() -> None:
    found = agents(a="b", b="c", c="b")
    assert cycle(found) == ("b", "c", "b")
    assert cycle(agents(a="a")) == ("a", "a")
    with pytest.raises(ValueError, match="b -> c -> b"):
        layers(found)


def test_no_circle_is_nothing() -> None:
    assert cycle({}) == ()
    assert cycle(agents(a="x", b="a", c="ab", d="cb")) == ()


def test_a_long_chain_is_walked() -> None:
    found = {f"a{n}": AgentSpec(f"a{n}", ("run",), depends_on=(f"a{n + 1}",)) for n in range(5000)}
    assert cycle(found) == ()


@given(acyclic())
def test_every_agent_starts_after_what_it_needs(found: dict[str, AgentSpec]) -> None:
    order = start_order(found)
    assert sorted(order) == sorted(found)
    assert cycle(found) == ()
    for name, spec in found.items():
        assert all(order.index(needed) < order.index(name) for needed in spec.depends_on if needed in found)
    assert sorted(stop_order(found)) == sorted(found)


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3).map(tuple)))
def test_layers_exist_exactly_where_there_is_no_circle(needs: dict[str, tuple[str, ...]]) -> None:
    found = {name: AgentSpec(name, ("run",), depends_on=of) for name, of in needs.items()}
    circle = cycle(found)
    if not circle:
        assert len(start_order(found)) == len(found)
        return
    assert circle[0] == circle[-1]
    assert all(after in found[before].depends_on for before, after in pairwise(circle))
    with pytest.raises(ValueError, match="circle"):
        layers(found)


def test_dependents_are_those_who_need_it_directly_or_not() -> None:
    found = agents(a="", b="a", c="b", d="")
    assert dependents(found, ["a"]) == {"a", "b", "c"}
    assert dependents(found, ["d", "unknown"]) == {"d"}
    assert dependents(found, []) == frozenset()


@given(acyclic(), st.sets(st.sampled_from(NAMES)))
def test_dependents_are_closed(found: dict[str, AgentSpec], names: set[str]) -> None:
    reached = dependents(found, names)
    assert names & found.keys() <= reached
    assert dependents(found, reached) == reached


def test_what_an_agent_reads() -> None:
    spec = AgentSpec("a", ("run",), restart_on=("bin",))
    channels = [Channel("c", "protocols/c.yaml", "a", "b"), Channel("d", "protocols/d.yaml", "b", "user")]

    def inside(pattern: str, path: str) -> bool:
        return path.startswith(f"{pattern}/")

    expected = {"agents/a/x": True, "agents/ab/x": False, "protocols/c.yaml": True, "protocols/d.yaml": False}
    expected |= {"bin/x": True, "config/x": False}
    assert {path: reads(spec, channels, path, inside) for path in expected} == expected


def test_agents_that_need_nothing_of_each_other_stop_together() -> None:
    found = agents(a="", b="a", c="a", d="bc")
    assert stop_batches(found, stop_order(found)) == (("d",), ("c", "b"), ("a",))


@given(acyclic(), st.booleans())
def test_batches_keep_the_stopping_order_and_stop_nobody_beside_what_it_needs(
    found: dict[str, AgentSpec], unknown: bool
) -> None:
    names = (*(["gone"] if unknown else []), *stop_order(found))
    batches = stop_batches(found, names)
    assert tuple(name for batch in batches for name in batch) == names
    for batch in batches:
        specs = [found[name] for name in batch if name in found]
        assert batch
        assert not {name for spec in specs for name in spec.depends_on} & set(batch)
        assert len({(spec.parent, spec.critical) for spec in specs}) <= 1


def like(pattern: str, path: str) -> bool:
    return fnmatch(path, pattern)


def test_the_encrypted_file_of_its_secret_is_an_input_of_an_agent_that_no_signal_is_enough_for() -> None:
    one = AgentSpec(
        "one", (), environment=(("KEY", "secret://k"), ("PLAIN", "k")), reload=Reload("HUP", ("secrets/**",))
    )
    two = AgentSpec("two", (), environment=(("KEY", "k"),), restart_on=())
    assert [reads(spec, (), "secrets/k.age", like) for spec in (one, two)] == [True, False]
    assert not reloads(one, (), "secrets/k.age", like)
    assert reloads(one, (), "secrets/other.age", like)
