import pytest

from stateguard.config.defaults import default_policy
from stateguard.config.problem import InvalidDocument, Problem
from stateguard.config.state import parse_state
from stateguard.config.system import is_declaration, load_system
from stateguard.config.yaml import load
from stateguard.model.agent import CommandCheck, Probe, ProbeKind
from stateguard.model.ceiling import Ceiling
from stateguard.model.policy import Harmless, Heal, Policy, Section

HEAD = "apiVersion: stateguard/v1\n"
AGENT = b"name: a\ncommand: [run]\n"


def parse(text: str) -> Policy:
    return parse_state(load((HEAD + text).encode(), "stateguard.yaml"), "stateguard.yaml", default_policy())


def problems(text: str) -> list[Problem]:
    with pytest.raises(InvalidDocument) as caught:
        parse(text)
    return list(caught.value.problems)


def section(policy: Policy, name: str) -> Section:
    return next(s for s in policy.sections if s.name == name)


def test_the_shipped_figures_are_those_of_the_model() -> None:
    shipped = default_policy()
    assert shipped == Policy(sections=shipped.sections, ignore=shipped.ignore)
    assert [(s.name, s.patterns, s.captured) for s in shipped.sections] == [
        ("agents", ("agents/**",), False),
        ("config", ("config/**",), False),
        ("protocols", ("protocols/**",), False),
        ("conversations", ("conversations/**",), True),
        ("performance", ("performance/**",), True),
    ]


def test_nothing_said_is_the_shipped_policy() -> None:
    assert parse("") == default_policy()


def test_a_shipped_section_keeps_what_is_not_said() -> None:
    policy = parse("sections: {config: {heal: enforce}, conversations: {required: true}}\n")
    assert section(policy, "config") == Section("config", ("config/**",), heal=Heal.ENFORCE)
    assert section(policy, "conversations") == Section("conversations", ("conversations/**",), True, required=True)
    assert [s.name for s in policy.sections] == [s.name for s in default_policy().sections]


def test_a_new_section_comes_last() -> None:
    policy = parse("sections: {memory: {paths: ['memory/**', '*.sqlite'], captured: true, capture: plain}}\n")
    assert policy.sections[-1] == Section("memory", ("memory/**", "*.sqlite"), captured=True)


def test_what_looks_like_a_secret_and_is_none() -> None:
    policy = parse("secrets: {allow: [{paths: ['tests/**', x], kinds: [jwt]}, {paths: [y]}]}\n")
    assert policy.harmless == (Harmless(("tests/**", "x"), ("jwt",)), Harmless(("y",)))
    assert [p.line for p in problems("secrets: {allow: [{paths: []}]}\n")] == [2]


def test_ceilings_and_the_pace_of_captures() -> None:
    sections = "conversations: {max_file_size: 1MiB, max_total_size: 2 GB}, memory: {paths: ['m/**'], max_files: 3}"
    policy = parse(f"sections: {{{sections}}}\nresponse: {{capture_after: 0.2s}}\n")
    ceilings = {section.name: section.ceiling for section in policy.sections}
    assert ceilings["conversations"] == Ceiling(file_bytes=1 << 20, total_bytes=2 * 10**9)
    assert ceilings["memory"] == Ceiling(files=3)
    assert ceilings["performance"] == Ceiling(64 << 20, 1 << 30, 10_000)
    assert (policy.capture_after_seconds, default_policy().capture_after_seconds) == (0.2, 60.0)


@pytest.mark.parametrize("value", ["max_files: 0", "max_file_size: much", "max_total_size: -1", "max_file_size: 1.5"])
def test_a_ceiling_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(InvalidDocument, match="max_"):
        parse(f"sections: {{conversations: {{{value}}}}}\n")


def test_ignore_patterns_are_added() -> None:
    assert parse("ignore: ['*.tmp', '!keep.log']\n").ignore == (*default_policy().ignore, "*.tmp", "!keep.log")


def test_response_is_read() -> None:
    policy = parse(
        "response: {confirm_window: 10s, soak: 1h, heal_after: 5, attempts_per_incident: 1,"
        " rollbacks_per_hour: 0, rollbacks_per_day: 9}\n"
    )
    assert (policy.confirm_window_seconds, policy.soak_seconds, policy.heal_after_seconds) == (10.0, 3600.0, 5.0)
    assert (policy.attempts_per_incident, policy.rollbacks_per_hour, policy.rollbacks_per_day) == (1, 0, 9)


def test_probes_are_of_the_whole_state() -> None:
    policy = parse("probes: [{name: plan, command: [bin/check]}]\n")
    assert policy.probes == (Probe("plan", ProbeKind.READINESS, CommandCheck(("bin/check",))),)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("rules: []\n", 2, 'unknown key "rules"'),
        ("recovery: {}\n", 2, 'unknown key "recovery"'),
        ("validation: {}\n", 2, 'unknown key "validation"'),
        ("response: {soak: -1}\n", 2, "is no duration"),
        ("response: {sok: 1}\n", 2, "did you mean soak?"),
        ("sections:\n  new: {captured: true}\n", 3, "needs paths; add for example paths: [new/**]"),
        ("sections:\n  config:\n    capture: digest\n", 4, "not available in this version"),
        ("sections:\n  config:\n    capture: encrypted\n", 4, "not available in this version"),
        ("sections:\n  config:\n    pathes: [x]\n", 4, "did you mean paths?"),
        ("sections:\n  Config: {paths: [x]}\n", 3, '"Config" is no name'),
        ("sections: {config: {paths: []}}\n", 2, "must not be empty"),
        ("sections: {config: 5}\n", 2, "must be a mapping, not 5"),
        ("ignore: ['']\n", 2, "the pattern is empty"),
        ("ignore: ['*a*b*c*d*']\n", 2, "wildcards"),
    ],
)
def test_mistakes_are_told(text: str, line: int, message: str) -> None:
    (problem,) = problems(text)
    assert problem.line == line
    assert message in problem.message


def test_the_version_must_be_said() -> None:
    document = load(b"apiVersion: stateguard/v2\n", "stateguard.yaml")
    with pytest.raises(InvalidDocument, match="apiVersion must be stateguard/v1"):
        parse_state(document, "stateguard.yaml", default_policy())
    with pytest.raises(InvalidDocument, match="apiVersion is missing"):
        load_system({"stateguard.yaml": b"{}"})


def test_a_system_is_loaded_from_its_files() -> None:
    system = load_system(
        {
            "agents/a/agent.yaml": AGENT,
            "protocols/c.yaml": b"{name: c, from: user, to: a}",
            "stateguard.yaml": HEAD.encode() + b"response: {soak: 1s}\n",
            "config/free.yaml": b"\t: no yaml",
        }
    )
    assert list(system.agents) == ["a"]
    assert system.channels[0].name == "c"
    assert system.policy.soak_seconds == 1.0


def test_nothing_at_all_is_a_system() -> None:
    system = load_system({})
    assert (system.agents, system.channels, system.policy) == ({}, (), default_policy())


def test_the_problems_of_all_files_are_told() -> None:
    with pytest.raises(InvalidDocument) as caught:
        load_system({"agents/a/agent.yaml": b"{}", "protocols/c.yaml": b"[", "stateguard.yaml": b"a: 1"})
    assert {p.path for p in caught.value.problems} == {"agents/a/agent.yaml", "protocols/c.yaml", "stateguard.yaml"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("stateguard.yaml", True),
        ("agents/a/agent.yaml", True),
        ("protocols/a.yaml", True),
        ("agents/a/b/agent.yaml", False),
        ("agents/agent.yaml", False),
        ("agents/a/prompt.md", False),
        ("protocols/x/a.yaml", False),
        ("protocols/README.md", False),
        ("config/stateguard.yaml", False),
    ],
)
def test_which_files_are_declarations(path: str, expected: bool) -> None:
    assert is_declaration(path) is expected
