"""A tree is judged by what changed in it: the verdict is the one that a look at every path would give."""

import unicodedata
from collections.abc import Iterable

from hypothesis import example, given, settings, strategies as st

from admission.oracle import Said, collide, said
from admission.trees import AGENT, FILES, Objects, collisions, flat
from stateguard.admission.admit import Verdict, judge
from stateguard.admission.known import Known
from stateguard.config.defaults import default_policy
from stateguard.config.problem import Problem
from stateguard.model.policy import Policy

POLICY = default_policy()
OBJECTS = Objects()
KNOWN = Known()
Entries = dict[bytes, tuple[int, str]]

WORDS = (
    "a b A agents config protocols conversations bin BIN agent.yaml agent.yml prompt.md card.json a.py c.yaml c.yml "
    "limits.yaml limits.yml limits.schema.json agents.yaml .mcp.json .well-known agent.json agent-card.json x.jsonl "
    "stateguard.yaml stateguard.yml É é e\u0301 ß SS -x"
)
NAMES = st.sampled_from(WORDS.split())
PATHS = st.sampled_from([*FILES, "agents/b/agent.yaml", "agents/b/prompt.md", "config/limits.json"]) | st.lists(
    NAMES, min_size=1, max_size=4
).map("/".join)
CONTENTS = st.sampled_from(
    [
        *FILES.values(),
        b"",
        b"[",
        b"days: x\n",
        AGENT.replace(b"name: a", b"name: b"),
        AGENT + b"card: card.json\ndepends_on: [b]\n",
        b'{"mcpServers": {"x": {"command": 1}}}',
        b'{"mcpServers": {"x": {"command": "y"}}}',
        b"r: {role: a, goal: b, backstory: c}\n",
        b"../a",
    ]
)
MODES = st.sampled_from([0o100644, 0o100644, 0o100644, 0o100755, 0o120000, 0o160000])
EDITS = st.dictionaries(PATHS, st.none() | st.tuples(MODES, CONTENTS), max_size=8)
BASE = {path.encode(): (0o100644, OBJECTS.put(data)) for path, data in FILES.items()}


def edited(entries: Entries, edits: dict[str, tuple[int, bytes] | None]) -> Entries:
    found = dict(entries)
    for path, edit in edits.items():
        found.pop(path.encode(), None)
        if edit is not None:
            found[path.encode()] = (edit[0], OBJECTS.put(edit[1]) if edit[1] != b"[" else "f" * 40)
    return found


def of_names(problems: Iterable[Problem]) -> set[Problem]:
    return {problem for problem in problems if problem.code in ("path", "mode")}


def assert_same(verdict: Verdict, oracle: Said) -> None:
    found, named = frozenset(verdict.problems), of_names(oracle.problems)
    assert verdict.changed == oracle.changed
    assert verdict.admitted is not (bool(oracle.problems) or oracle.collides)
    assert of_names(found) == named
    if not named:
        assert any(problem.code == "collision" for problem in found) is oracle.collides
    if not named and not oracle.collides:
        assert found == oracle.problems
        assert verdict.system == oracle.system


@settings(max_examples=120)
@given(EDITS, EDITS)
@example({}, {"config/limits.schema.json": None})
@example({}, {"config/limits.yaml": (0o100644, b"days: x\n")})
@example(
    {
        "config/b/c.yaml": (0o100644, b"days: 7\n"),
        "config/b/c.schema.json": (0o100644, FILES["config/limits.schema.json"]),
    },
    {"config/b/c.yaml": (0o100644, b"days: x\n")},
)
@example({"config/limits.yaml": None}, {"config/limits.yml": (0o100644, b"days: x\n")})
@example({}, {"agents/a/prompt.md": None})
@example({}, {"agents/b/prompt.md": (0o100644, b"")})
@example({}, {"BIN/b": (0o100644, b"")})
@example({}, {"bin": (0o100644, b"")})
@example({}, {"bin/a.py": None, "bin": (0o120000, b"agents")})
@example({"b": (0o100644, b"")}, {"b": None, "b/a": (0o100755, b"")})
def test_the_verdict_is_that_of_a_look_at_every_path(
    first: dict[str, tuple[int, bytes] | None], second: dict[str, tuple[int, bytes] | None]
) -> None:
    before = edited(BASE, first)
    judged = said(before, None, POLICY, OBJECTS)
    assert_same(judge(flat(before, OBJECTS), None, POLICY, known=KNOWN), judged)
    before = BASE if judged.problems or judged.collides else before
    after = edited(before, second)
    expected = said(after, before, POLICY, OBJECTS)
    for known in (KNOWN, Known(most=3)):
        assert_same(judge(flat(after, OBJECTS), flat(before, OBJECTS), POLICY, known=known), expected)
    alone = judge(flat(after, OBJECTS), None, POLICY, known=KNOWN)
    assert judge(flat(after, OBJECTS), flat(before, OBJECTS), Policy(()), known=KNOWN).problems == alone.problems


COMPONENTS = st.text(alphabet="aAsSß\u0130iI\u0301\u0345\u03b1\u0391éE\u212aK/", min_size=1, max_size=8)


@settings(max_examples=150)
@given(st.sets(COMPONENTS.filter(lambda path: "" not in path.split("/")), max_size=6))
@example({"\u00df/a", "SS/b"})
@example({"a/\u0345", "A/\u03b9"})
def test_paths_collide_where_two_names_of_one_directory_do(paths: set[str]) -> None:
    normal = {unicodedata.normalize("NFC", path) for path in paths}
    assert bool(collisions(normal)) is collide(normal)
