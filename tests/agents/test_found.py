from __future__ import annotations

from hypothesis import given, strategies as st

from stateguard.agents.found import Found, sort_out
from stateguard.agents.registry import Entry
from stateguard.host.process import ProcessIdentity

WANTED = {"a": "1" * 64, "b": "2" * 64}


def found(pid: int, name: str = "a", digest: str = "1" * 16, began: int = 0, *, registered: bool = False) -> Found:
    entry = Entry(name, pid, began, "boot", "r", 0.0, digest) if registered else None
    return Found(name, ProcessIdentity(pid, began), digest, entry)


def pids(result: tuple[dict[str, Found], list[Found]]) -> tuple[dict[str, int], list[int]]:
    keep, end = result
    return {name: f.identity.pid for name, f in keep.items()}, sorted(f.identity.pid for f in end)


def test_the_registered_one_is_kept_before_an_older_one() -> None:
    both = [found(1, began=5), found(2, began=9, registered=True)]
    assert pids(sort_out(both, WANTED, frozenset())) == ({"a": 2}, [1])


def test_without_a_registered_one_the_oldest_is_kept() -> None:
    assert pids(sort_out([found(1, began=9), found(2, began=5)], WANTED, frozenset())) == ({"a": 2}, [1])


def test_another_specification_or_an_unknown_name_is_ended() -> None:
    others = [found(1, digest="9" * 16, registered=True), found(2, name="gone")]
    assert pids(sort_out(others, WANTED, frozenset())) == ({}, [1, 2])


def test_what_a_dead_registered_agent_left_is_no_agent() -> None:
    assert pids(sort_out([found(1)], WANTED, frozenset({"a"}))) == ({}, [1])


@given(
    st.lists(
        st.builds(
            found,
            st.integers(1, 50),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["1" * 16, "2" * 16]),
            st.integers(0, 5),
            registered=st.booleans(),
        ),
        unique_by=lambda f: f.identity.pid,
    ),
    st.frozensets(st.sampled_from(["a", "b", "c"])),
)
def test_nothing_is_lost_and_no_agent_is_doubled(all_found: list[Found], lost: frozenset[str]) -> None:
    keep, end = sort_out(all_found, WANTED, lost)
    assert sorted(f.identity.pid for f in [*keep.values(), *end]) == sorted(f.identity.pid for f in all_found)
    assert keep.keys() <= WANTED.keys()
    assert all(WANTED[name].startswith(f.digest[:16]) for name, f in keep.items())
