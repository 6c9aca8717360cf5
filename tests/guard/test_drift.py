"""Edits of the live directory by hand."""

import os
import signal
from pathlib import Path

import pytest

from driving import Driver, git
from helpers import eventually, stands_still
from tiny import ALPHA, GOOD

HELD = "agents/alpha/prompt.md"


def test_drift_in_a_section_that_is_not_enforced_is_reported_and_held(tiny: Driver) -> None:
    edited = "Edited by hand.\n"
    (tiny.live / HELD).write_text(edited)
    (tiny.live / "agents/alpha/extra.md").write_text("unmanaged\n")
    tiny.wait(lambda s: s["drift"] == [{"path": HELD, "kind": "changed"}])
    assert tiny.offer(ALPHA, GOOD + "# beside drift\n").returncode == 0
    assert (tiny.live / HELD).read_text() == edited
    shown = tiny.ask("diff", "main", "--live")
    assert shown["changed"] == [HELD]
    assert "agents/alpha/extra.md" in shown["unmanaged"]
    assert tiny.ask("apply")["outcome"] == "succeeded"
    assert tiny.status()["drift"] == []
    assert (tiny.live / HELD).read_text() != edited
    backup = tiny.ask("show", str(tiny.newest(kind="apply")["operation"]))["detail"]["backup"]
    assert git(tiny.home / "captured.git", "show", f"{backup}:{HELD}") + "\n" == edited
    assert (tiny.live / "agents/alpha/extra.md").read_text() == "unmanaged\n"


def test_drift_in_an_enforced_section_is_healed_and_the_edit_kept(tiny: Driver) -> None:
    path = "config/shared.yaml"
    before, edited = (tiny.live / path).read_text(), "limits: {plans: 4}\n"
    (tiny.live / path).write_text(edited)
    tiny.wait(lambda s: not s["drift"] and (tiny.live / path).read_text() == before)
    heal = tiny.newest(kind="heal")
    assert heal["outcome"] == "succeeded"
    backup = tiny.ask("show", str(heal["operation"]))["detail"]["backup"]
    assert git(tiny.home / "captured.git", "show", f"{backup}:{path}") + "\n" == edited


def test_a_removed_file_is_healed(tiny: Driver) -> None:
    (tiny.live / "config/beta.conf").unlink()
    tiny.wait(lambda s: not s["drift"] and (tiny.live / "config/beta.conf").exists())
    assert (tiny.live / "config/beta.conf").read_text() == GOOD
    tiny.settled()


def test_unmanaged_files_survive_apply_rollback_and_heal(tiny: Driver) -> None:
    own = ["notes.txt", "config/own.txt", "agents/alpha/own.md", "agents/gamma/own.md", "deep/er/own"]
    for path in own:
        (tiny.live / path).parent.mkdir(parents=True, exist_ok=True)
        (tiny.live / path).write_text(f"own {path}\n")
    tiny.edit("agents/gamma/agent.yaml", (tiny.work / "agents/beta/agent.yaml").read_text().replace("beta", "gamma"))
    tiny.edit("config/gamma.conf", GOOD)
    tiny.commit("A third agent")
    assert tiny.push().returncode == 0
    assert set(tiny.agents()) == {"alpha", "beta", "gamma"}
    (tiny.live / ALPHA).write_text("edited\n")
    tiny.wait(lambda s: not s["drift"])
    assert tiny.ask("rollback", "-1", "--yes")["outcome"] == "succeeded"
    assert set(tiny.agents()) == {"alpha", "beta"}
    assert not (tiny.live / "agents/gamma/agent.yaml").exists()
    assert [(tiny.live / path).read_text() for path in own] == [f"own {path}\n" for path in own]


def test_a_change_that_the_kernel_lost_is_seen_at_once(tiny: Driver) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20_000:
        pytest.skip(f"the kernel keeps {limit} events here; to make it lose some would take too long")
    settings = tiny.home / "guard.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("cycle: 5s", "cycle: 10m"))
    tiny.must("suspend", "--for", "1s")  # a turn that reads the settings
    tiny.must("resume")
    assert tiny.daemon is not None
    one, two = tiny.live / "conversations/one.jsonl", tiny.live / "conversations/two.jsonl"
    for file in (one, two):
        file.touch()
    pid = tiny.daemon.pid
    tiny.daemon.send_signal(signal.SIGSTOP)
    eventually(lambda: stands_still(pid), 60)  # a thread that runs would empty the queue
    for _ in range(limit // 2 + 1000):
        os.utime(one)
        os.utime(two)
    (tiny.live / HELD).write_text("lost\n")
    tiny.proceed()
    tiny.wait(lambda s: any(c["type"] == "DRIFT" for c in s["conditions"]), 30)
    eventually(lambda: "the kernel's queue of events overflowed" in tiny.log.read_text(), 30)
    settings.write_text(text)
    tiny.must("apply")
