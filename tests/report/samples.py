"""Facts of realistic incidents."""

from __future__ import annotations

from stateguard.model.condition import Severity
from stateguard.model.incident import Incident, IncidentState, TimelineEvent
from stateguard.report.incident import CommitLine, ReportFacts

DIFF = """\
diff --git a/agents/nutrition/prompt.md b/agents/nutrition/prompt.md
index 3f1c2aa..9d0b7e1 100644
--- a/agents/nutrition/prompt.md
+++ b/agents/nutrition/prompt.md
@@ -1,4 +1,4 @@
 Answer in this form:
 ```json
-{"unit": "g"}
+{"unit": "oz"
 ```
"""


def rejected_push() -> ReportFacts:
    """Return the facts of a push that made an agent fail and was put back within its window."""
    incident = Incident(
        id=7,
        state=IncidentState.RESOLVED,
        severity=Severity.HIGH,
        type="AGENT_FAILED",
        opened_at="2026-07-01T10:02:11.250Z",
        detected_by="detector:failure",
        summary="nutrition: ready failed 3 times (connection refused on 127.0.0.1:9102)",
        culprit="9d0b7e1c" * 5,
        conditions=(
            {
                "type": "AGENT_FAILED",
                "component": "nutrition",
                "severity": 2,
                "reason": "ProbeFailed",
                "message": "nutrition: ready failed 3 times (connection refused on 127.0.0.1:9102)",
                "method": "probe",
                "evidence": ["fail: connection refused on 127.0.0.1:9102", "last run took 0.002 s"],
                "confidence": 1.0,
                "probe": "nutrition/ready",
                "external": False,
            },
        ),
        timeline=(
            TimelineEvent("2026-07-01T10:02:11.250Z", "opened: nutrition: ready failed 3 times"),
            TimelineEvent("2026-07-01T10:02:11.270Z", "decided: rollback to the state before the push"),
            TimelineEvent("2026-07-01T10:02:11.301Z", "emergency backup of operation 12 is durable"),
            TimelineEvent("2026-07-01T10:02:12.410Z", "rolled back to the state before the push in 1.1 s"),
            TimelineEvent("2026-07-01T10:02:12.420Z", "validated: 6/6 healthy"),
        ),
        decision={
            "action": "rollback",
            "trigger": "apply",
            "reason": "a push that does not become healthy is put back",
            "arming": "act",
        },
        operations=(11, 12),
        resolved_at="2026-07-01T10:02:12.450Z",
    )
    apply = {
        "operation": 11,
        "kind": "apply",
        "outcome": "failed",
        "from": "1a2b3c4d" * 5,
        "to": "9d0b7e1c" * 5,
        "fingerprint": None,
        "started_at": "2026-07-01T10:02:07.900Z",
        "duration_seconds": 3.35,
        "actor": "person:ann",
        "reason": "push to main",
        "incident": 7,
        "stages": [
            {"number": 1, "name": "stop agents", "outcome": "succeeded", "duration_seconds": 0.21},
            {"number": 2, "name": "restore agent specifications", "outcome": "succeeded", "duration_seconds": 0.01},
            {"number": 5, "name": "start agents", "outcome": "succeeded", "duration_seconds": 0.12},
            {"number": 7, "name": "validate", "outcome": "failed", "duration_seconds": 3.0},
        ],
        "detail": {},
    }
    rollback = {
        **apply,
        "operation": 12,
        "kind": "rollback",
        "outcome": "succeeded",
        "from": "9d0b7e1c" * 5,
        "to": "1a2b3c4d" * 5,
        "started_at": "2026-07-01T10:02:11.280Z",
        "duration_seconds": 1.13,
        "actor": "guard",
        "reason": "nutrition: ready failed 3 times",
        "stages": [
            {"number": 1, "name": "stop agents", "outcome": "succeeded", "duration_seconds": 0.2},
            {"number": 2, "name": "restore agent specifications", "outcome": "succeeded", "duration_seconds": 0.01},
            {"number": 5, "name": "start agents", "outcome": "succeeded", "duration_seconds": 0.11},
            {"number": 7, "name": "validate", "outcome": "succeeded", "duration_seconds": 0.81},
        ],
    }
    return ReportFacts(
        incident=incident,
        operations=(apply, rollback),
        culprit=(
            CommitLine("9d0b7e1c" * 5, "ann <ann@example.org>", "Weigh food in ounces", "2026-07-01T09:58:40.000Z"),
        ),
        files=("agents/nutrition/prompt.md",),
        diff=DIFF,
        displaced=(
            (
                "conversations/nutrition/2026-07-01.jsonl",
                "git -C captured.git show refs/stateguard/backups/12:conversations/nutrition/2026-07-01.jsonl",
            ),
        ),
        probes=(
            ("nutrition: ready", "HEALTHY", "200 OK"),
            ("plan-my-week", "HEALTHY", ""),
        ),
        communications=(
            ("2026-07-01T10:02:11.290Z", "to ann (pusher): nutrition: ready failed 3 times"),
            ("2026-07-01T10:02:12.430Z", "to ann (pusher): rolled back in 1.1 s, 6/6 healthy; incident 7"),
        ),
        target="the state before the push",
        generated_at="2026-07-01T10:02:12.500Z",
    )
