import pytest
from hypothesis import given, strategies as st

from admission.trees import AGENT, FILES, Objects, flat, tree
from stateguard.admission import admit
from stateguard.admission.admit import Verdict, judge
from stateguard.admission.tree import Tree
from stateguard.config.defaults import default_policy

POLICY = default_policy()


def codes(verdict: Verdict) -> set[tuple[str, str]]:
    return {(p.path, p.code) for p in verdict.problems}


def test_a_good_tree_is_admitted() -> None:
    verdict = judge(tree(), None, POLICY)
    assert verdict.problems == ()
    assert verdict.admitted
    assert verdict.system is not None
    assert list(verdict.system.agents) == ["a"]
    assert verdict.changed == tuple(sorted(path for path in FILES if not path.startswith("conversations/")))


def test_an_empty_tree_is_admitted() -> None:
    verdict = judge(tree({}), None, POLICY)
    assert verdict.admitted
    assert verdict.changed == ()


def test_only_what_differs_has_changed() -> None:
    after = {**FILES, "agents/a/prompt.md": b"new\n", "notes": b"x"}
    del after["config/free.yaml"]
    verdict = judge(tree(after), tree(), POLICY)
    assert verdict.admitted
    assert verdict.changed == ("agents/a/prompt.md", "config/free.yaml", "notes")


def test_what_takes_too_long_is_refused() -> None:
    calls = iter([False, True])
    verdict = judge(tree(), None, POLICY, late=lambda: next(calls))
    assert (codes(verdict), verdict.system) == ({("", "budget")}, None)
    assert judge(tree(), None, POLICY, late=lambda: False).admitted


def test_a_mode_is_a_change() -> None:
    objects = Objects()
    raw = {b"bin/a.py": (0o100755, objects.put(FILES["bin/a.py"]))}
    assert judge(tree(raw=raw, objects=objects), tree(), POLICY).changed == ("bin/a.py",)


@pytest.mark.parametrize(
    "files",
    [
        {**FILES, "conversations/a.jsonl": b'{"id": "2"}\n'},
        {**FILES, "conversations/b.jsonl": b""},
        {path: data for path, data in FILES.items() if path != "conversations/a.jsonl"},
    ],
)
def test_captured_paths_belong_to_the_running_system(files: dict[str, bytes]) -> None:
    verdict = judge(tree(files), tree(), POLICY)
    assert {p.code for p in verdict.problems} == {"captured-path"}
    assert verdict.changed == ()


def test_the_policy_before_judges() -> None:
    """A push that declares a section captured may bring its seeds; one that frees a section may not change it yet."""
    new = b"apiVersion: stateguard/v1\nsections: {memory: {paths: ['memory/**'], captured: true}}\n"
    assert judge(tree({**FILES, "stateguard.yaml": new, "memory/x": b""}), tree(), POLICY).admitted
    freed = b"apiVersion: stateguard/v1\nsections: {conversations: {captured: false}}\n"
    after = tree({**FILES, "stateguard.yaml": freed, "conversations/b.jsonl": b""})
    assert codes(judge(after, tree(), POLICY)) == {("conversations/b.jsonl", "captured-path")}


def test_bad_names_are_told_and_left_out() -> None:
    objects = Objects()
    blob = objects.put(b"x")
    raw = {
        b"a\xff": (0o100644, blob),
        b".git/x": (0o100644, blob),
        b"sub": (0o160000, "f" * 40),
        b"s": (0o104755, blob),
    }
    verdict = judge(tree(raw=raw, objects=objects), None, POLICY)
    assert codes(verdict) == {("a\\xff", "path"), (".git/x", "path"), ("sub", "mode"), ("s", "mode")}
    assert "s" not in verdict.changed


def test_what_was_judged_before_is_not_judged_again() -> None:
    objects = Objects()
    raw = {b"-old": (0o100644, objects.put(b"x"))}
    before = tree(raw=raw, objects=objects)
    after = tree({**FILES, "notes": b"x"}, raw=raw, objects=objects)
    assert judge(after, before, POLICY).admitted
    changed = tree(raw={b"-old": (0o100644, objects.put(b"y"))}, objects=objects)
    assert judge(changed, before, POLICY).admitted


def test_names_that_collide_are_told() -> None:
    assert codes(judge(tree({**FILES, "BIN/a.py": b""}), tree(), POLICY)) == {("bin", "collision")}


def test_links_are_judged_by_where_they_lead() -> None:
    verdict = judge(tree(links={"good": b"bin/a.py", "bad": b"/etc/passwd", "long": b"x" * 2000}), None, POLICY)
    assert codes(verdict) == {("bad", "symlink"), ("long", "symlink")}


def test_declarations_are_no_links() -> None:
    files = {path: data for path, data in FILES.items() if path != "stateguard.yaml"}
    verdict = judge(tree(files, links={"stateguard.yaml": b"bin/a.py"}), None, POLICY)
    assert codes(verdict) == {("stateguard.yaml", "symlink")}
    assert verdict.system is None


@pytest.mark.parametrize("name", [".gitattributes", "config/.gitignore", "a/.gitmodules", "a/GITATT~1", ".mailmap"])
def test_what_git_reads_for_itself_is_no_link(name: str) -> None:
    assert codes(judge(tree(links={name: b"bin/a.py"}), None, POLICY)) == {(name, "symlink")}


def test_attributes_name_no_filters() -> None:
    files = {**FILES, "agents/.gitattributes": b"*.md text\n*.bin filter=lfs\n", ".gitattributes": b"*.md text\n"}
    (problem,) = judge(tree(files), None, POLICY).problems
    assert (problem.path, problem.line, problem.code) == ("agents/.gitattributes", 2, "attributes")
    assert judge(tree(files), tree(files), POLICY).admitted, "what did not change is not judged again"
    large = {**FILES, ".gitattributes": b"*.md text\n" * 200_000}
    assert codes(judge(tree(large), None, POLICY)) == {(".gitattributes", "budget")}
    raw = {b".gitattributes": (0o100644, "e" * 40)}
    assert codes(judge(tree(FILES, raw=raw), None, POLICY)) == {(".gitattributes", "missing-object")}


def test_a_config_file_may_be_a_link() -> None:
    files = {path: data for path, data in FILES.items() if path != "config/limits.yaml"}
    assert judge(tree(files, links={"config/limits.yaml": b"free.yaml"}), None, POLICY).admitted


def test_missing_objects_refuse() -> None:
    raw = {b"bin/b.py": (0o100644, "e" * 40), b"protocols/d.yaml": (0o100644, "f" * 40)}
    verdict = judge(tree(raw=raw), tree(), POLICY)
    assert codes(verdict) == {("bin/b.py", "missing-object"), ("protocols/d.yaml", "missing-object")}
    assert verdict.system is None


def test_objects_that_can_be_measured_and_not_read_refuse() -> None:
    objects = Objects()
    objects.claimed = {"e" * 40: 10}
    raw = {b"protocols/d.yaml": (0o100644, "e" * 40), b"l": (0o120000, "e" * 40)}
    verdict = judge(tree(raw=raw, objects=objects), tree(), POLICY)
    assert codes(verdict) == {("protocols/d.yaml", "missing-object"), ("l", "missing-object")}


def test_an_old_declaration_that_is_lost_refuses() -> None:
    raw = {b"protocols/d.yaml": (0o100644, "e" * 40)}
    assert codes(judge(tree(raw=raw), tree(raw=raw), POLICY)) == {("protocols/d.yaml", "missing-object")}


def claimed(path: str, data: bytes, size: int, **files: bytes) -> Tree:
    objects = Objects()
    objects.claimed = {objects.put(data): size}
    return tree({**FILES, **files, path: data}, objects=objects)


def test_large_files_are_over_budget() -> None:
    assert judge(claimed("big", b"big", 100 * 1024 * 1024), None, POLICY).admitted
    verdict = judge(claimed("big", b"big", 100 * 1024 * 1024 + 1), None, POLICY)
    assert codes(verdict) == {("big", "budget")}
    assert "at most 100.0 MiB" in verdict.problems[0].message


def test_large_declarations_are_not_read() -> None:
    for path in ("protocols/c.yaml", "config/limits.yaml"):
        verdict = judge(claimed(path, b"large", 1024 * 1024 + 1), None, POLICY)
        assert codes(verdict) == {(path, "budget")}


def test_a_large_card_is_too_large_to_be_read() -> None:
    files = {
        **FILES,
        "agents/a/agent.yaml": AGENT + b"card: card.json\n",
        "agents/a/card.json": b" " * (1024 * 1024 + 1),
    }
    assert codes(judge(tree(files), None, POLICY)) == {("agents/a/card.json", "too-large")}


def test_long_conversations_come_in_without_a_look_at_each_line() -> None:
    path = "conversations/long.jsonl"
    assert not judge(claimed(path, b"nonsense", 1024), None, POLICY).admitted
    assert judge(claimed(path, b"nonsense", admit.MAX_SEED_BYTES + 1), None, POLICY).admitted


def test_too_many_paths_are_over_budget() -> None:
    entries = {b"%d" % n: (0o100644, "a" * 40) for n in range(admit.MAX_PATHS + 1)}
    verdict = judge(flat(entries, Objects()), None, POLICY)
    assert [p.code for p in verdict.problems] == ["budget"]


def test_the_list_of_problems_is_bounded() -> None:
    files = {f"-{n}": b"" for n in range(1000)}
    verdict = judge(tree(files), None, POLICY)
    assert len(verdict.problems) == 201
    assert verdict.problems[-1].message == "and 800 more problems; mend these first"


def test_references_are_judged() -> None:
    files = {path: data for path, data in FILES.items() if path != "agents/a/prompt.md"}
    verdict = judge(tree(files), tree(), POLICY)
    assert [p.text() for p in verdict.problems] == [
        "agents/a/agent.yaml:3:1: prompt names agents/a/prompt.md, which does not exist; add it, or correct the name"
    ]


def test_a_long_chain_of_agents_is_judged() -> None:
    files = {
        f"agents/a{n}/agent.yaml": f"{{name: a{n}, command: [run], depends_on: [a{(n + 1) % 1500}]}}".encode()
        for n in range(1500)
    }
    assert {p.code for p in judge(tree(files), None, POLICY).problems} == {"cycle"}


@given(
    st.dictionaries(
        st.sampled_from([path.encode() for path in FILES]) | st.binary(max_size=8),
        st.tuples(st.sampled_from([0o100644, 0o100755, 0o120000, 0o160000, 0o104755]), st.binary(max_size=30)),
    ),
    st.booleans(),
)
def test_no_content_raises(entries: dict[bytes, tuple[int, bytes]], again: bool) -> None:
    objects = Objects()
    raw = {path: (mode, objects.put(data)) for path, (mode, data) in entries.items()}
    verdict = judge(tree(raw=raw, objects=objects), tree() if again else None, POLICY)
    assert all(problem.text().isprintable() for problem in verdict.problems)
    assert verdict.system is not None or verdict.problems
