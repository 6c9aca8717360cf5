"""Agents under guard: crashes, and what a person does with them."""

import os
import signal

from driving import Driver, processes_in


def test_a_crashed_agent_is_seen_and_restarted(tiny: Driver) -> None:
    before = tiny.agents()["alpha"]["pid"]
    os.kill(before, signal.SIGKILL)
    tiny.wait(
        lambda s: s["agents"][0]["state"] in ("BACKOFF", "STARTING", "RUNNING") and s["agents"][0]["pid"] != before
    )
    tiny.wait(lambda s: s["agents"][0]["pid"] not in (None, before))
    status = tiny.settled()
    assert status["agents"][0]["exits"] >= 1
    assert len(processes_in(tiny.live)) == 2
    assert tiny.main == status["revision"]


def test_an_agent_is_restarted_by_hand(tiny: Driver) -> None:
    before = tiny.agents()
    tiny.must("agent", "restart", "beta")
    after = tiny.agents()
    assert after["beta"]["pid"] not in (None, before["beta"]["pid"])
    assert after["alpha"]["pid"] == before["alpha"]["pid"]
    assert after["beta"]["running"] == tiny.main


def test_the_list_and_the_logs_of_agents(tiny: Driver) -> None:
    text = tiny.must("agent", "list")
    assert text.splitlines()[0].split() == ["AGENT", "STATE", "HEALTH", "PID", "RUNNING"]
    assert "alpha" in text
    logs = tiny.ask("agent", "logs", "alpha", "--lines", "1")
    assert logs == {"name": "alpha", "lines": ["alpha starts"]}
    assert tiny.must("agent", "logs", "beta").splitlines()[-1] == "beta starts"


def test_all_agents_stopped_by_hand_leave_the_guard_watching(tiny: Driver) -> None:
    before, history = tiny.main, len(tiny.ask("history")["entries"])
    pid = tiny.status()["guard"]["pid"]
    tiny.must("agent", "stop", "--all")
    tiny.wait(lambda s: s["health"] == "UNHEALTHY" and all(a["state"] == "STOPPED" for a in s["agents"]))
    assert processes_in(tiny.live) == []
    status = tiny.status()
    assert status["guard"]["running"]
    assert status["guard"]["pid"] == pid
    assert status["incidents"] == []
    tiny.must("agent", "start", "--all")
    tiny.settled()
    assert tiny.main == before
    assert len(tiny.ask("history")["entries"]) == history


def test_one_agent_stopped_by_hand_stays_stopped(tiny: Driver) -> None:
    tiny.must("agent", "stop", "beta")
    status = tiny.wait(lambda s: s["health"] == "DEGRADED")
    assert {a["name"]: a["state"] for a in status["agents"]}["beta"] == "STOPPED"
    tiny.must("agent", "start", "beta")
    tiny.settled()


def test_an_unknown_agent_is_not_found(tiny: Driver) -> None:
    for action in ("stop", "start", "restart"):
        assert "nobody" in tiny.refused("agent", action, "nobody", status=15)["message"]
    assert tiny.refused("agent", "logs", "nobody", status=15)["next"] == "agents: alpha, beta"
    tiny.refused("agent", "stop", status=2)
    tiny.refused("agent", "stop", "alpha", "--all", status=2)
    tiny.settled()
