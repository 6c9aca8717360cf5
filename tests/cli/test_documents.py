"""The JSON documents that scripts rely on: every key of the contracts, with and without a daemon."""

import json
import re
from hashlib import sha256
from typing import Any

from driving import Driver
from stateguard.host.lock import WriterLock

STATUS = "guard health revision desired_fingerprint fingerprint baseline drift agents transition incidents suspended"
OPERATION = "operation kind outcome from to fingerprint stages duration_seconds incident reason"
PLAN = "target recommended advice stages files agents estimated_seconds risks"
ENTRY = "operation kind outcome from to started_at duration_seconds actor reason incident"
INCIDENT = "id state severity type opened_at detected_by summary"
BASELINE = (
    "number grade fingerprint desired_fingerprint revision snapshot issued_at expires_at signer valid suspect revoked"
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def has(document: dict[str, Any], keys: str) -> None:
    assert set(keys.split()) <= document.keys()


def is_status(document: dict[str, Any]) -> None:
    has(document, STATUS)
    has(document["guard"], "running pid")
    has(document["baseline"], "number grade fingerprint desired_fingerprint revision")
    for agent in document["agents"]:
        has(agent, "name state health pid running")


def is_operation(document: dict[str, Any]) -> None:
    has(document, OPERATION)
    assert document["outcome"] in ("succeeded", "refused", "failed", "undone")
    for stage in document["stages"]:
        has(stage, "number name outcome duration_seconds")


def test_status(tiny: Driver) -> None:
    document = tiny.status()
    is_status(document)
    assert document["health"] == "HEALTHY"
    assert document["fingerprint"].startswith("sha256:")


def test_status_names_drift_and_a_running_transition(tiny: Driver) -> None:
    (tiny.live / "agents/alpha/prompt.md").write_text("edited\n")
    status = tiny.wait(lambda s: s["drift"])
    assert status["drift"] == [{"path": "agents/alpha/prompt.md", "kind": "changed"}]
    tiny.must("apply")


def test_fingerprint(tiny: Driver) -> None:
    has(tiny.ask("fingerprint"), "fingerprint revision")
    has(tiny.ask("fingerprint", "main"), "fingerprint revision")
    live = tiny.ask("fingerprint", "--live", "--files")
    has(live, "fingerprint revision files")
    assert "conversations/alpha.jsonl" in live["files"]
    assert tiny.must("fingerprint").strip() == tiny.ask("fingerprint")["fingerprint"]


def test_plan_and_dry_runs(tiny: Driver) -> None:
    for document in (
        tiny.ask("plan"),
        tiny.ask("plan", "-1"),
        tiny.ask("rollback", "1", "--dry-run"),
        tiny.ask("apply", "--dry-run"),
    ):
        has(document, PLAN)
        has(document["files"], "added changed removed")
        assert isinstance(document["recommended"], bool)


def test_the_first_line_of_a_plan_says_that_it_is_of_a_rollback(tiny: Driver) -> None:
    assert tiny.must("plan", "1").startswith("This rollback would go to baseline/1 ")
    assert "nothing has been changed" in tiny.must("rollback", "1", "--dry-run").splitlines()[0]


def test_history(tiny: Driver) -> None:
    entries = tiny.ask("history")["entries"]
    assert {"apply", "rollback"} <= {e["kind"] for e in entries}
    for entry in entries:
        has(entry, ENTRY)
        assert TIME.fullmatch(entry["started_at"])
    assert [e["operation"] for e in entries] == sorted((e["operation"] for e in entries), reverse=True)
    assert len(tiny.ask("history", "--limit", "1")["entries"]) == 1
    assert {e["kind"] for e in tiny.ask("history", "--kind", "rollback")["entries"]} == {"rollback"}
    assert tiny.ask("history", "--path", "agents/beta")["entries"] != entries
    assert tiny.ask("history", "--since", "2h")["entries"] == entries
    is_operation(tiny.ask("show", str(entries[0]["operation"])))


def test_incidents(tiny: Driver) -> None:
    incidents = tiny.ask("incident", "list")["incidents"]
    has(incidents[0], INCIDENT)
    assert incidents[0]["severity"] in (1, 2, 3, 4)
    shown = tiny.ask("incident", "show", str(incidents[0]["id"]))
    has(shown, INCIDENT + " conditions timeline decision operations report")
    for event in shown["timeline"]:
        has(event, "at event")
        assert TIME.fullmatch(event["at"])
    assert "## Timeline" in tiny.must("incident", "report", str(incidents[0]["id"]))


def test_validate(tiny: Driver) -> None:
    assert tiny.ask("validate", tiny.work) == {"valid": True, "problems": [], "recognised": [], "notes": []}
    assert tiny.ask("validate", "main")["valid"]
    tiny.edit("mcp.json", '{"mcpServers": {"files": {"command": "npx"}}}')
    recognised = [{"format": "mcp", "path": "mcp.json", "servers": 1, "stdio": 1}]
    assert tiny.ask("validate", tiny.work)["recognised"] == recognised
    assert tiny.must("validate", tiny.work).splitlines() == ["valid", "mcp: 1 server (1 stdio)"]
    tiny.edit("agents/alpha/agent.yaml", "name: alpha\nname: twice\n")
    document = tiny.ask("validate", tiny.work, status=1)
    assert not document["valid"]
    has(document["problems"][0], "path line code message")
    assert (document["problems"][0]["path"], document["problems"][0]["line"]) == ("agents/alpha/agent.yaml", 2)
    tiny.sync()


def test_audit(tiny: Driver) -> None:
    document = tiny.ask("audit", "verify")
    has(document, "valid entries head problems")
    assert document["valid"]
    assert len(tiny.ask("audit", "log", "--limit", "3")["entries"]) == 3
    lines = tiny.must("audit", "export").splitlines()
    assert [json.loads(one) for one in lines] == tiny.ask("audit", "export")["entries"]
    assert [json.loads(one)["sequence"] for one in lines] == list(range(1, document["entries"] + 1))
    assert [json.loads(one)["previous"] for one in lines[1:]] == [
        sha256(one.encode()).hexdigest() for one in lines[:-1]
    ]


def test_baselines(tiny: Driver) -> None:
    for baseline in tiny.ask("baseline", "list")["baselines"]:
        has(baseline, BASELINE)
        assert baseline["grade"] in ("confirmed", "approved")
        assert baseline["valid"]
    assert tiny.ask("baseline", "show", "1")["number"] == 1
    assert tiny.ask("baseline", "verify", "baseline/2")["valid"]


def test_operations(tiny: Driver) -> None:
    is_operation(tiny.ask("recover"))
    is_operation(tiny.ask("apply"))
    is_operation(tiny.ask("rollback", "1", "--yes", "--reason", "keys"))
    is_operation(tiny.ask("rollback", "2", "--yes"))


WITHOUT_DAEMON = [
    "status", "history", "agent list", "plan 1", "audit verify", "fingerprint --live", "diff main --live", "recover",
    "apply", "baseline verify", "suspend", "resume",
]  # fmt: skip


def test_everything_works_without_a_daemon(home: Driver) -> None:
    for words in map(str.split, WITHOUT_DAEMON):
        done = home.run("--json", *words)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        if words == ["status"]:
            is_status(document)
            assert document["guard"]["running"] is False
            assert "not running" in home.must("status")


def test_a_person_can_go_back_without_a_daemon(home: Driver) -> None:
    assert home.offer("config/shared.yaml", "limits: {plans: 5}\n").returncode == 0
    assert home.ask("apply")["outcome"] == "succeeded"
    assert "plans: 5" in (home.live / "config/shared.yaml").read_text()
    assert home.ask("rollback", "1", "--yes")["outcome"] == "succeeded"
    assert "plans: 3" in (home.live / "config/shared.yaml").read_text()


def test_no_colours_where_none_are_wanted(tiny: Driver) -> None:
    for done in (tiny.run("status"), tiny.run("status", NO_COLOR="1"), tiny.run("--no-color", "status")):
        assert "\x1b" not in done.stdout
    assert tiny.run("--quiet", "agent", "restart", "beta").stderr == ""


def test_json_stands_alone_on_standard_output(tiny: Driver) -> None:
    done = tiny.run("--json", "agent", "restart", "beta")
    json.loads(done.stdout)
    assert "beta started" in done.stderr


def test_a_guard_that_has_the_lock_and_does_not_answer_is_starting(home: Driver) -> None:
    assert home.status()["guard"]["starting"] is False
    with WriterLock(home.home / "run" / "writer.lock", "daemon").acquire():
        assert home.status()["guard"]["starting"] is True
        assert "guard        starting" in home.must("status")
    assert "guard        not running" in home.must("status")
