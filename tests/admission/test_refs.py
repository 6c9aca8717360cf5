import pytest
from hypothesis import given, strategies as st

from stateguard.admission.refs import RefUpdate, ref_problems

ZERO, OLD, NEW = "0" * 40, "1" * 40, "2" * 40
CREATE, MOVE, DELETE = (ZERO, NEW), (OLD, NEW), (OLD, ZERO)


def codes(name: str, old: str, new: str, fast_forward: bool | None = None) -> list[str]:
    return [p.code for p in ref_problems([RefUpdate(name, old, new, fast_forward)])]


def test_main_goes_forward() -> None:
    assert codes("refs/heads/main", *MOVE, True) == []
    assert codes("refs/heads/main", *CREATE) == []


@pytest.mark.parametrize("fast_forward", [False, None])
def test_main_goes_nowhere_else(fast_forward: bool | None) -> None:
    (problem,) = ref_problems([RefUpdate("refs/heads/main", *MOVE, fast_forward)])
    assert problem.code == "not-fast-forward"
    assert "run: git fetch origin && git rebase origin/main, then push again" in problem.message


def test_main_stays() -> None:
    assert codes("refs/heads/main", *DELETE) == ["deletion"]


@pytest.mark.parametrize("change", [CREATE, MOVE, DELETE])
@pytest.mark.parametrize(
    "name",
    [
        "refs/heads/incidents",
        "refs/heads/incidents/7",
        "refs/stateguard/audit",
        "refs/stateguard/candidate/1",
        "refs/tags/baseline/1",
        "refs/tags/baseline",
        "refs/replace/1111111111111111111111111111111111111111",
        "refs/notes/commits",
        "refs/remotes/origin/main",
        "refs/main",
        "HEAD",
    ],
)
def test_the_guards_refs_are_its_own(name: str, change: tuple[str, str]) -> None:
    assert codes(name, *change, True) == ["protected-ref"]


@pytest.mark.parametrize("change", [CREATE, MOVE, DELETE])
@pytest.mark.parametrize(
    "name", ["refs/heads/feature", "refs/heads/main2", "refs/heads/alice/x", "refs/heads/incidents2"]
)
def test_other_branches_are_free(name: str, change: tuple[str, str]) -> None:
    assert codes(name, *change, False) == []


def test_tags_are_made_once() -> None:
    assert codes("refs/tags/v1", *CREATE) == []
    assert codes("refs/tags/v1", OLD, OLD) == []
    assert codes("refs/tags/v1", *MOVE, True) == ["protected-ref"]
    assert codes("refs/tags/v1", *DELETE) == ["deletion"]


@pytest.mark.parametrize(
    "name",
    [
        "refs/heads/a\nb",
        "refs/heads/a b",
        "refs/heads/\x1b[31m",
        "refs/heads/a..b",
        "refs/heads/a.lock",
        "refs/heads/a/",
        "refs/heads//a",
        "refs/heads/.a",
        "refs/heads/a~1",
        "refs/heads/a\udcff",
        "refs/heads/" + "x" * 250,
        "refs/heads/" + "é" * 125,
    ],
)
def test_names_that_are_none(name: str) -> None:
    assert codes(name, *CREATE) == ["ref-name"]


def test_each_update_has_its_verdict() -> None:
    found = ref_problems([RefUpdate("refs/heads/a", *CREATE), RefUpdate("refs/x", *CREATE), RefUpdate("refs/y", *MOVE)])
    assert [(p.path, p.line) for p in found] == [("refs/x", 0), ("refs/y", 0)]


@given(st.text(max_size=300), st.sampled_from([CREATE, MOVE, DELETE]), st.sampled_from([True, False, None]))
def test_any_name_is_judged(name: str, change: tuple[str, str], fast_forward: bool | None) -> None:
    found = ref_problems([RefUpdate(name, *change, fast_forward)])
    if not name.startswith(("refs/heads/", "refs/tags/")):
        assert found
    assert all(p.text().isprintable() for p in found)
