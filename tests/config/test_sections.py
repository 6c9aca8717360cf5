import pytest
from hypothesis import example, given, strategies as st
from pathspec import GitIgnoreSpec

from stateguard.config.defaults import default_policy
from stateguard.config.sections import PathRules, glob, pattern_problem
from stateguard.model.policy import Policy, Section

RULES = PathRules(default_policy())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("agents/a/agent.yaml", "agents"),
        ("config/deep/er.yaml", "config"),
        ("conversations/a.jsonl", "conversations"),
        ("bin/agent.py", None),
        ("stateguard.yaml", None),
        ("other/agents/x", None),
    ],
)
def test_paths_have_their_section(path: str, name: str | None) -> None:
    found = RULES.section(path)
    assert (found.name if found else None) == name
    assert RULES.section(path) is found


def test_captured_paths_are_not_desired() -> None:
    assert RULES.captured("performance/baseline.yaml")
    assert not RULES.captured("bin/agent.py")
    assert RULES.desired(["conversations/a.jsonl", "config/a.yaml", "x"]) == {"config/a.yaml", "x"}


def test_the_last_section_that_matches_decides() -> None:
    rules = PathRules(Policy((Section("config", ("config/**",)), Section("memory", ("config/*.db",), captured=True))))
    assert rules.captured("config/a.db")
    assert not rules.captured("config/a.yaml")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("bin/__pycache__/agent.pyc", True),
        ("bin/__pycache__/", True),
        ("agents/a/run.log", True),
        ("logs/a/b", True),
        ("memory/a.db-wal", True),
        (".git/config", True),
        (".stateguard-lock", True),
        ("node_modules/x/y.js", True),
        ("bin/agent.py", False),
        ("blogs/a", False),
    ],
)
def test_ignored_paths(path: str, expected: bool) -> None:
    assert RULES.ignored(path) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("bin/**", "bin/a/b.py", True),
        ("bin/**", "sbin/a", False),
        ("*.md", "agents/a/prompt.md", True),
        ("config/*.yaml", "config/a/b.yaml", False),
        ("/config", "config/a", True),
        ("bin/agent.py", "bin/agent.py", True),
    ],
)
def test_globs_are_those_of_gitignore(pattern: str, path: str, expected: bool) -> None:
    assert glob(pattern, path) is expected
    assert PathRules.glob(pattern, path) is expected


@pytest.mark.parametrize(
    "pattern", ["", "  ", "# comment", "*a*a*a*a*b", "**/a/**/b/**/c/**/d", "x" * 201, "!", "[[:alpha:]]", "[a]*[b]"]
)
def test_patterns_that_are_refused(pattern: str) -> None:
    assert pattern_problem(pattern)


def test_the_memory_of_paths_is_bounded() -> None:
    rules = PathRules(default_policy(), cached_paths=2)
    for number in range(5):
        assert rules.section(f"p{number}") is None
    assert rules.captured("conversations/x")


@given(
    st.text(alphabet="ab*?[]!-^/\\. #{}()+$|~\x00é", max_size=12), st.text(alphabet="ab/.é-", min_size=1, max_size=12)
)
@example("[z-a]", "a")
@example("[[:alpha:]]", "a")
@example("a\\", "a")
def test_any_pattern_is_compiled_or_refused(pattern: str, path: str) -> None:
    if pattern_problem(pattern) is None:
        assert glob(pattern, path) in (True, False)


_PATTERNS = st.sampled_from(("a/**", "/a/", "a", "!a/b", "b/*.c", "*.c", "/b", "[ab]/c", "a/b/c", "**/c", "c /"))
_PATHS = st.lists(st.sampled_from(("a", "b", "c", "x.c", "c ")), min_size=1, max_size=4).map("/".join)


@given(st.lists(st.lists(_PATTERNS, min_size=1, max_size=3), max_size=4), _PATHS)
def test_any_sections_are_asked_as_gitignore_has_it(sections: list[list[str]], path: str) -> None:
    made = tuple(Section(str(number), tuple(patterns)) for number, patterns in enumerate(sections))
    found = PathRules(Policy(sections=made)).section(path)
    each = [one for one in made if GitIgnoreSpec.from_lines(one.patterns).match_file(path)]
    assert found == (each[-1] if each else None)


@given(st.lists(st.sampled_from("abc/"), max_size=100).map("".join))
def test_matching_costs_little(path: str) -> None:
    assert glob("**/*a*b*c/**/x", f"{path}/" * 10 + "a" * 200) in (True, False)


@pytest.mark.parametrize(
    ("patterns", "roots"),
    [
        (("conversations/**", "a/b/*.db"), ("a/b", "conversations")),
        (("/memory/",), ("memory",)),
        (("conversations/**", "*.db"), ("",)),
        (("memory",), ("",)),
    ],
)
def test_captured_paths_lie_below_their_roots(patterns: tuple[str, ...], roots: tuple[str, ...]) -> None:
    rules = PathRules(Policy((Section("agents", ("agents/**",)), Section("memory", patterns, captured=True))))
    assert rules.captured_roots() == roots
