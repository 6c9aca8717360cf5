from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stateguard.agents.registry import Entry, Registry, spec_digest
from stateguard.model.agent import AgentSpec, StopPolicy

ENTRY = Entry("a", 4711, 99, "boot", "r" * 40, 12.5, "d" * 64)
SPEC = AgentSpec("a", ("run",), environment=(("A", "1"), ("B", "2")))


def test_what_was_put_is_there_for_the_next_guard(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    Registry(path).put(ENTRY, replace(ENTRY, name="b"))
    again = Registry(path)
    assert again.get("a") == ENTRY
    again.remove(["a", "unknown"])
    assert set(Registry(path).entries()) == {"b"}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"version": 1}',
        b'{"version": 2, "agents": []}',
        b'{"version": 1, "agents": [1]}',
        b'{"version": 1, "agents": [{"name": "a"}]}',
    ],
)
def test_a_damaged_file_is_an_empty_record(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "agents.json"
    path.write_bytes(content)
    registry = Registry(path)
    assert registry.entries() == {}
    assert "damaged" in caplog.text
    registry.put(ENTRY)
    assert Registry(path).get("a") == ENTRY


def test_every_torn_prefix_is_an_empty_record_or_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    Registry(path).put(ENTRY)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert Registry(path).entries() == {}


def test_a_field_of_another_kind_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    Registry(path).put(ENTRY)
    for key, value in (("pid", "4711"), ("pid", True), ("name", 7), ("started_at", "now")):
        document = json.loads(whole := path.read_bytes())
        document["agents"][0][key] = value
        path.write_text(json.dumps(document))
        assert Registry(path).entries() == {}
        path.write_bytes(whole)


def test_a_disk_that_refuses_does_not_stop_agents(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry(tmp_path / "missing" / "agents.json")
    registry.put(ENTRY)
    assert registry.get("a") == ENTRY
    assert "could not be written" in caplog.text


def test_an_unreadable_file_is_an_empty_record(tmp_path: Path) -> None:
    (tmp_path / "agents.json").mkdir()
    assert Registry(tmp_path / "agents.json").entries() == {}


def test_the_digest_is_over_what_the_process_was_started_with() -> None:
    assert spec_digest(SPEC) == spec_digest(replace(SPEC, description="other", environment=SPEC.environment[::-1]))
    for other in (
        replace(SPEC, command=("run", "")),
        replace(SPEC, environment=()),
        replace(SPEC, stop=StopPolicy("INT")),
    ):
        assert spec_digest(other) != spec_digest(SPEC)
