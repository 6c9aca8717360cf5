"""JSON Schemas for editors: valid themselves, no stricter than the models, and as good as them on common mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator

from driving import Driver
from stateguard.config.agent import parse_agent
from stateguard.config.channel import parse_channel
from stateguard.config.defaults import default_policy
from stateguard.config.document import Document
from stateguard.config.export import DIALECT, KINDS, descriptions, models, schema
from stateguard.config.host import host_document, parse_host
from stateguard.config.problem import InvalidDocument
from stateguard.config.state import parse_state
from stateguard.config.yaml import load
from stateguard.model.policy import SHIPPED_ARMING, HostSettings
from tiny import FILES, STATE

ROOT = Path(__file__).resolve().parents[2]
READ: dict[str, Callable[[Document], object]] = {
    "guard": parse_host,
    "state": lambda d: parse_state(d, "stateguard.yaml", default_policy()),
    "agent": lambda d: parse_agent(d, "agent.yaml"),
    "channel": lambda d: parse_channel(d, "protocols/a.yaml"),
}

VALID = [
    ("guard", host_document(HostSettings("live", SHIPPED_ARMING))),
    ("guard", "x-mine: {any: thing}\narming:\nruntime: embedded\nreserve: 1 GiB\nlogs: {max_size: 0}\ncycle: 1m30s\n"),
    ("guard", "runtime: {supervisor: {socket: /run/s.sock, programs: {alpha: group:alpha}}}\n"),
    ("state", STATE.format(confirm="20s", soak="90s")),
    ("state", "apiVersion: stateguard/v1\nresponse: {soak: 15m, heal_after: 0.5}\nignore: ['*.tmp']\n"),
    *(("agent", text) for path, text in FILES.items() if path.endswith("agent.yaml")),
    ("agent", "name: a\ncommand: [x]\nenvironment: {PORT: 9102, DEBUG: true, A: b}\nstop: {signal: SIGINT}\n"),
    ("agent", "name: a\ncommand: [x]\nprompt: p.md\ncard: deep/card.json\nmetrics: {url: 'HTTP://localhost'}\n"),
    ("agent", "name: a\ncommand: [x]\nprobes: [{name: p, tcp: {port: 1}, http: null, period_seconds: 50ms}]\n"),
    ("channel", "name: a\nfrom: user\nto: b\nendpoint: free\nprobe: {file: {path: x/y, max_age_seconds: 2h}}\n"),
    *(("state", p.read_text()) for p in ROOT.glob("example-state/stateguard.yaml")),
    *(("agent", p.read_text()) for p in ROOT.glob("example-state/agents/*/agent.yaml")),
    *(("channel", p.read_text()) for p in ROOT.glob("example-state/protocols/*.yaml")),
]  # fmt: skip

INVALID = [
    ("guard", "live: ''\n"), ("guard", "runtime: docker\n"), ("guard", "arming: {soak: maybe}\n"),
    ("guard", "cycle: 0\n"), ("guard", "cycle: soon\n"), ("guard", "reserve: 1TB\n"), ("guard", "listen: 1\n"),
    ("guard", "logs: {keep: -1}\n"), ("guard", "runtime: null\n"),
    ("state", "sections: {}\n"), ("state", "apiVersion: v2\n"), ("state", "apiVersion: stateguard/v1\nprobes: {}\n"),
    ("state", "apiVersion: stateguard/v1\nsections: {Bad_Name: {paths: [x]}}\n"),
    ("state", "apiVersion: stateguard/v1\nresponse: {soak: -1}\n"),
    ("state", "apiVersion: stateguard/v1\nprobes: [{name: a, http: {url: 'ftp://x'}}]\n"),
    ("agent", "command: [x]\n"), ("agent", "name: A\ncommand: [x]\n"), ("agent", "name: a\ncommand: x\n"),
    ("agent", "name: a\ncommand: []\n"), ("agent", "name: a\ncommand: [x]\nstop: {signal: STOP}\n"),
    ("agent", "name: a\ncommand: [x]\nprompt: /etc/passwd\n"), ("agent", "name: a\ncommand: [x]\nrestart: 'no'\n"),
    ("agent", "name: a\ncommand: [x]\nenvironment: {A: [1]}\n"),
    ("agent", "name: a\ncommand: [x]\nprobes: [{name: p}]\n"),
    ("agent", "name: a\ncommand: [x]\nprobes: [{name: p, tcp: {port: 1}, command: [x]}]\n"),
    ("agent", "name: a\ncommand: [x]\nprobes: [{name: p, tcp: {port: 0}}]\n"), ("agent", "- a\n"),
    ("channel", "name: a\nfrom: b\n"), ("channel", "name: a\nfrom: b\nto: c\nprobe: {}\n"),
]  # fmt: skip


def refusal(kind: str, text: str) -> str:
    """Return the first thing that a schema finds wrong with a file; nothing if it finds nothing."""
    found = next(iter(Draft202012Validator(schema(kind)).iter_errors(load(text.encode(), "file").value)), None)
    return "" if found is None else found.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_and_says_what_it_is(kind: str) -> None:
    made = schema(kind)
    Draft202012Validator.check_schema(made)
    assert made["$schema"] == DIALECT
    assert made["title"].startswith(KINDS[kind].title)
    assert made["type"] == "object"
    assert json.loads(json.dumps(made)) == made


def test_every_key_has_a_sentence_and_no_sentence_is_left_over() -> None:
    wanted = {(model, key) for model, keys in models() for key in keys}
    written = {(model, key) for model, keys in descriptions().items() for key in keys}
    assert written == wanted
    assert all(text.endswith(".") for keys in descriptions().values() for text in keys.values())


@pytest.mark.parametrize(("kind", "text"), VALID)
def test_what_the_models_take_is_valid(kind: str, text: str) -> None:
    READ[kind](load(text.encode(), "file"))
    assert refusal(kind, text) == ""


@pytest.mark.parametrize(("kind", "text"), INVALID)
def test_common_mistakes_are_refused_by_both(kind: str, text: str) -> None:
    with pytest.raises(InvalidDocument):
        READ[kind](load(text.encode(), "file"))
    assert refusal(kind, text)


WORDS = st.sampled_from(
    [
        "30",
        "30s",
        "1h30m",
        "1.5h",
        "0.05",
        "64MiB",
        "1 kB",
        "x",
        "",
        "-1",
        "a",
        "TERM",
        "SIGTERM",
        "act",
        "a/b",
        "http://h",
    ]
)
SCALARS = WORDS | st.integers(-2, 70000) | st.floats(-1, 100, allow_nan=False) | st.booleans() | st.none()
SHAPES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2))


@given(st.data())
def test_a_schema_never_refuses_what_the_models_take(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(KINDS)))
    exported = KINDS[kind]
    keys = [field.alias or name for name, field in exported.model.model_fields.items()]
    base: dict[str, Any] = {"agent": {"name": "a", "command": ["x"]}, "state": {"apiVersion": "stateguard/v1"},
                            "channel": {"name": "a", "from": "b", "to": "c"}, "guard": {}}[kind]  # fmt: skip
    inside = {"logs": {"max_size": data.draw(SHAPES)}, "stop": {"grace_period_seconds": data.draw(SHAPES)}}
    value = base | data.draw(st.dictionaries(st.sampled_from(keys), SHAPES, max_size=2))
    value |= {key: part for key, part in inside.items() if key in keys and data.draw(st.booleans())}
    document = load(json.dumps(value).encode(), "file")
    try:
        READ[kind](document)
    except InvalidDocument:
        return
    assert not list(Draft202012Validator(schema(kind)).iter_errors(document.value))


def test_the_command_prints_and_writes_them(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    assert driver.ask("config", "schema", "agent") == schema("agent")
    assert set(driver.ask("config", "schema")) == set(KINDS)
    assert json.loads(driver.must("config", "schema", "state")) == schema("state")
    target = tmp_path / "deep/er"
    said = driver.must("config", "schema", "--output", target)
    assert "agents/*/agent.yaml" in said
    assert sorted(p.name for p in target.iterdir()) == sorted(f"{kind}.schema.json" for kind in KINDS)
    assert json.loads((target / "guard.schema.json").read_text()) == schema("guard")
    assert not driver.home.exists()


def test_bad_words_and_places_are_refused(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    driver.refused("config", "schema", "nonsense", status=2)
    (tmp_path / "file").write_text("mine\n")
    assert (
        "cannot be written" in driver.refused("config", "schema", "--output", tmp_path / "file", status=12)["message"]
    )
    assert (tmp_path / "file").read_text() == "mine\n"
