"""Conversations in a transition: kept, restored exactly, put back when it is undone."""

from __future__ import annotations

import pytest

from stateguard import faults
from stateguard.guard.rollback import roll_back
from stateguard.model.transition import (
    Direction,
    StepName,
)
from stateguard.state import trees
from stateguard.state.snapshot import backup_ref
from stateguard.transition.journal import Operation
from transition.journeys import at, last
from transition.setting import CHANGE, Setting, ignored


def captured_now(setting: Setting) -> dict[str, bytes]:
    root = setting.guard.live / "conversations"
    return {f"conversations/{p.name}": p.read_bytes() for p in root.iterdir()}


def kept(setting: Setting, ref: str) -> dict[str, bytes]:
    """Return the captured paths of a commit in captured.git."""
    captured = setting.guard.captured
    commit = captured.ref(ref) or ref
    found = trees.path_map(captured, captured.commit(commit).tree)
    return {p: captured.blob(e.id) for p, e in found.items() if p.startswith("conversations/")}


def restore(setting: Setting) -> Operation:
    roll_back(setting.guard, {"target": "baseline/1", "conversations": "restore"}, "person:ann", ignored)
    return last(setting)


def lived_on(setting: Setting) -> dict[str, bytes]:
    """Let the system live on after its baseline, whose agents have said their last words once."""
    conversations = setting.guard.live / "conversations"
    assert setting.push(setting.commit(CHANGE)).accepted
    (conversations / "new.jsonl").write_text('{"new": 1}\n')
    (conversations / "seed.jsonl").unlink()
    return captured_now(setting)


def test_restored_conversations_are_exactly_those_of_the_baseline(setting: Setting) -> None:
    """Also where an agent says its last words after the plan was made, in files that were as they should be."""
    snapshot = kept(setting, setting.guard.baselines.get(1).statement.snapshot)
    assert snapshot.keys() == {f"conversations/{n}.jsonl" for n in ("seed", "parent", "helper")}
    before = lived_on(setting)
    assert before["conversations/parent.jsonl"] == snapshot["conversations/parent.jsonl"]
    operation = restore(setting)
    assert operation.outcome == "succeeded"
    assert captured_now(setting) == snapshot
    displaced = kept(setting, f"{backup_ref(operation.id)}-displaced")
    assert displaced["conversations/new.jsonl"] == b'{"new": 1}\n'
    for name in ("parent", "helper"):
        path = f"conversations/{name}.jsonl"
        assert displaced[path] == before[path] + f'{{"last": "{name}"}}\n'.encode()
    assert kept(setting, backup_ref(operation.id)) == displaced
    assert operation.plan
    assert kept(setting, operation.plan.backup) == before


def test_an_undone_restore_puts_every_word_back(setting: Setting) -> None:
    before = lived_on(setting)
    assert setting.push(setting.commit({"bin/probe.sh": "#!/bin/sh\nexit 0\n"})).accepted
    before = captured_now(setting)
    (setting.guard.live / "stuck-helper").touch()
    operation = restore(setting)
    assert operation.outcome == "undone"
    words = {p: b + (f'{{"last": "{n}"}}\n'.encode() if (n := p[14:-6]) in ("parent", "helper") else b"")
             for p, b in before.items()}  # fmt: skip
    assert captured_now(setting) == words
    snapshot = kept(setting, setting.guard.baselines.get(1).statement.snapshot)
    undone = kept(setting, f"{backup_ref(operation.id)}-undone")
    assert undone.keys() == snapshot.keys()
    assert undone["conversations/helper.jsonl"] == snapshot["conversations/helper.jsonl"] + b'{"last": "helper"}\n'


def test_a_restore_that_never_came_so_far_leaves_conversations_alone(setting: Setting) -> None:
    before = lived_on(setting)
    setting.wake(
        at(
            setting,
            StepName.CAPTURE,
            Direction.FORWARD,
            lambda o: setting.guard.operations.engine.cancel(o.id) and None,
        )
    )
    assert restore(setting).outcome == "undone"
    words = {p: b + (f'{{"last": "{n}"}}\n'.encode() if (n := p[14:-6]) in ("parent", "helper") else b"")
             for p, b in before.items()}  # fmt: skip
    assert captured_now(setting) == words


@pytest.mark.parametrize("fault", ["stage.capture:1", "live.put:4", "stage.conversations:1", "stage.start:1"])
def test_a_restore_that_was_interrupted_is_as_exact(setting: Setting, fault: str) -> None:
    snapshot = kept(setting, setting.guard.baselines.get(1).statement.snapshot)
    before = lived_on(setting)
    faults.arm(f"{fault}:cut")
    with pytest.raises(faults.Cut):
        restore(setting)
    faults.arm(None)
    setting.restart()
    assert last(setting).outcome == "succeeded"
    assert captured_now(setting) == snapshot
    displaced = kept(setting, f"{backup_ref(last(setting).id)}-displaced")
    assert displaced["conversations/helper.jsonl"].startswith(before["conversations/helper.jsonl"])
    assert displaced["conversations/new.jsonl"] == b'{"new": 1}\n'


def test_conversations_are_kept_unless_somebody_asks(setting: Setting) -> None:
    before = lived_on(setting)
    roll_back(setting.guard, {"target": "baseline/1"}, "person:ann", ignored)
    now = captured_now(setting)
    assert now.keys() == before.keys()
    assert all(now[p].startswith(b) for p, b in before.items())
