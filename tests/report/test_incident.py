from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from report.samples import rejected_push
from stateguard.model.condition import Severity
from stateguard.model.incident import Incident, IncidentState, TimelineEvent
from stateguard.report.incident import MOST_ROWS, CommitLine, ReportFacts, render
from stateguard.text.escape import terminal

SECTIONS = [
    "Timeline",
    "Evidence",
    "What changed",
    "Decision and authority",
    "Stages",
    "Validation",
    "Communications",
    "Displaced data",
    "Root cause",
    "Prevention",
    "Review",
]

OPEN = Incident(
    id=3,
    state=IncidentState.OPEN,
    severity=Severity.CRITICAL,
    type="SYSTEM_FAILURE",
    opened_at="2026-07-01T10:00:00.000Z",
    detected_by="detector:failure",
    summary="all agents failed",
)
EMPTY = ReportFacts(OPEN, generated_at="2026-07-01T10:00:10.000Z")


def tokens(markdown: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)


def headings(markdown: str) -> list[str]:
    found = tokens(markdown)
    return [
        "".join(c.content for c in following.children or ())
        for token, following in pairwise(found)
        if token.type == "heading_open"
    ]


def section(markdown: str, name: str) -> str:
    return markdown.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]


def test_a_report_has_its_sections_in_order() -> None:
    for facts in (rejected_push(), EMPTY):
        names = headings(render(facts))
        assert names[0] == f"Incident {facts.incident.id}: {facts.incident.summary}"
        assert [n for n in names[1:] if not n.startswith("Operation ")] == SECTIONS


def test_the_summary_says_in_words_what_happened() -> None:
    paragraph = render(rejected_push()).split("\n\n")[1]
    assert paragraph.startswith(
        "**Summary.** On 2026-07-01 10:02:11 UTC this was found: nutrition: ready failed 3 times"
    )
    assert "commit 9d0b7e1c9d, “Weigh food in ounces” by ann" in paragraph
    assert "put back to the state before the push in 1.1 s. The push was rejected, and main never moved." in paragraph
    assert paragraph.endswith("It was resolved after 1.2 s.")


def test_the_head_gives_severity_and_why() -> None:
    report = render(rejected_push())
    assert "| Severity | Level 2 (HIGH): significant degradation or partial failure |" in report
    assert "| Why | nutrition: ready failed 3 times (connection refused on 127.0.0.1:9102) |" in report
    assert "| Confidence | 100% |" in report
    assert "| Duration | 1.2 s |" in report


def test_the_timeline_counts_from_the_opening() -> None:
    assert "| 10:02:12.420 | +1.2 s | validated: 6/6 healthy |" in section(render(rejected_push()), "Timeline")


def test_an_event_of_another_day_shows_its_date_and_a_broken_time_itself() -> None:
    events = (TimelineEvent("2026-07-02T10:00:00.000Z", "acknowledged"), TimelineEvent("soon", "odd"))
    text = section(render(replace(EMPTY, incident=replace(OPEN, timeline=events))), "Timeline")
    assert "| 2026-07-02 10:00:00 UTC | +1 d | acknowledged |" in text
    assert "| soon | ? | odd |" in text


def test_every_stage_of_every_operation_is_listed() -> None:
    text = section(render(rejected_push()), "Stages")
    assert "### Operation 11: apply, failed" in text
    assert "| 7 | validate | failed | 3.0 s |" in text
    assert "### Operation 12: rollback, succeeded" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Timeline", "No event is recorded."),
        ("Evidence", "No condition is recorded."),
        ("What changed", "No commit is blamed."),
        ("Decision and authority", "No decision was taken."),
        ("Stages", "No operation was run."),
        ("Validation", "No probe was asked after the recovery."),
        ("Communications", "Nobody was told."),
        ("Displaced data", "No data was displaced."),
        ("Root cause", "No change is known to have caused this."),
        ("Prevention", "None derived."),
        ("Review", "A review is **mandatory**"),
    ],
)
def test_an_empty_section_says_so(name: str, words: str) -> None:
    assert words in section(render(EMPTY), name)


def test_an_open_incident_is_told_as_open() -> None:
    report = render(EMPTY)
    assert "No change is blamed for it. It is open." in report
    assert "| Resolved | not yet |" in report
    assert "| Duration | 10 s so far |" in report
    assert "| Review | mandatory, not done |" in report


def test_an_incident_that_was_opened_again_is_not_told_as_resolved() -> None:
    report = render(replace(EMPTY, incident=replace(OPEN, resolved_at="2026-07-01T10:00:05.000Z")))
    assert "| Resolved | not yet |" in report
    assert "| Duration | 10 s so far |" in report
    assert "It is open." in report


def test_a_broken_opening_gives_no_duration() -> None:
    assert "| Duration | unknown |" in render(replace(EMPTY, incident=replace(OPEN, opened_at="soon")))


def test_a_culprit_without_commits_is_still_the_culprit() -> None:
    text = render(replace(EMPTY, incident=replace(OPEN, culprit="d" * 40)))
    assert "No change is blamed" not in text
    assert f"The culprit is `{'d' * 40}`." in section(text, "Root cause")


def test_a_review_is_named() -> None:
    text = section(render(replace(EMPTY, reviewed="by ann on 2026-07-03")), "Review")
    assert text.strip().startswith("Reviewed: by ann on 2026-07-03")


def test_a_rejected_push_is_amended() -> None:
    text = section(render(rejected_push()), "Root cause")
    assert "git fetch origin\ngit commit --amend\ngit push origin HEAD:main\n```" in text


def test_a_withdrawn_change_is_brought_back_by_reverting_the_rollback() -> None:
    facts = replace(rejected_push(), forward_commit="c" * 40)
    assert "git fetch origin\ngit checkout -b mend origin/main\n" in section(render(facts), "Root cause")
    assert f"git revert --no-edit {'c' * 40}" in section(render(facts), "Root cause")
    assert "The push was rejected" not in render(facts)


def test_what_is_long_is_counted() -> None:
    files = tuple(f"config/{n}.yaml" for n in range(MOST_ROWS + 7))
    text = section(render(replace(rejected_push(), files=files)), "What changed")
    assert text.count("\n- `config/") == MOST_ROWS
    assert "And 7 more." in text
    assert "(cut)" in render(replace(EMPTY, incident=replace(OPEN, summary="x" * 10_000)))


def test_secrets_do_not_reach_the_report() -> None:
    facts = replace(
        rejected_push(),
        diff="+token: hunter2\n-old\n",
        probes=(("p", "UNHEALTHY", "GET https://ann:hunter2@example.org"),),
        displaced=(("a", "git fetch https://ann:hunter2@example.org"),),
    )
    report = render(facts)
    assert "hunter2" not in report
    assert "+token: ***\n-old\n" in report


def test_a_decision_shows_every_key_it_has() -> None:
    decision: dict[str, object] = {"zeal": 3, "reason": "why", "action": "stop", "trigger": None}
    facts = replace(EMPTY, target="baseline/3", incident=replace(OPEN, decision=decision))
    rows = [r for r in section(render(facts), "Decision and authority").splitlines() if r.startswith("|")][2:]
    assert rows == ["| Action | stop |", "| Reason | why |", "| Target | baseline/3 |", "| Zeal | 3 |"]


def test_a_failed_rollback_is_told() -> None:
    facts = rejected_push()
    failed = {**facts.operations[1], "outcome": "undone", "detail": {"target_label": "baseline/2"}}
    report = render(replace(facts, operations=(failed,)))
    assert "Going back to baseline/2 failed. The change is still in force." in report
    assert f"git revert --no-edit {'9d0b7e1c' * 5}" in report


def test_damaged_documents_still_give_a_report() -> None:
    incident = replace(OPEN, conditions=({}, {"evidence": "no list", "confidence": "high", "severity": None}))
    report = render(replace(EMPTY, incident=incident, operations=({}, {"stages": [{}]})))
    assert "- `unknown` on `unknown`" in report
    assert "| Confidence | unknown |" in report


SPITE = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                *(
                    "\n",
                    "\r",
                    "\r\n",
                    "\u2028",
                    "\x0b",
                    "\x1c",
                    "\x85",
                    "\t",
                    " ",
                    "    ",
                    "\x1b[31m",
                    "\u202e",
                    "\udc80",
                ),
                *(
                    "#",
                    "# x",
                    "===",
                    "---",
                    "- ",
                    "* ",
                    "+ ",
                    "1. ",
                    "> ",
                    "| a | b |",
                    "|---|",
                    "|",
                    "\\|",
                    "\\",
                    "\\\\",
                ),
                *("`", "``", "```", "````", "~~~", "<b>", "<!--", "-->", "<script>", "</td>", "&lt;", "&#96;"),
                *(
                    "[x](http://a)",
                    "![x](y)",
                    "[x]: y",
                    "**",
                    "__",
                    "_",
                    "~~",
                    "$x$",
                    "{{ 7*7 }}",
                    "{% raw %}",
                    "{#",
                    "x",
                ),
            ]
        ),
        max_size=8,
    ).map("".join),
)
MARKUP = {"image", "link_open", "em_open", "strong_open", "s_open", "html_inline", "html_block", "hr", "softbreak"}


def shape(markdown: str) -> list[Any]:
    """Return the structure of a document: its tokens without the text that they hold."""
    return [
        (token.type, token.tag, [c.type for c in token.children or () if c.type in MARKUP])
        for token in tokens(markdown)
    ]


def filled(spite: str, diff: str) -> ReportFacts:
    """Return facts that hold a text wherever text is held."""
    condition: dict[str, object] = dict.fromkeys(("type", "component", "method", "probe", "message"), spite)
    document = {
        **dict.fromkeys(("kind", "outcome", "from", "to", "actor", "reason", "started_at"), spite),
        "operation": 9,
        "stages": [{"number": 1, "name": spite, "outcome": spite}],
    }
    incident = replace(
        OPEN,
        type=spite,
        detected_by=spite,
        summary=spite,
        culprit=spite,
        conditions=({**condition, "evidence": [spite, spite]},),
        timeline=(TimelineEvent(spite, spite), TimelineEvent(OPEN.opened_at, spite)),
        decision={"action": spite, "reason": spite, "target": "x"},
    )
    return ReportFacts(
        incident,
        operations=(document,),
        culprit=(CommitLine(spite, spite, spite, spite),),
        files=(spite, spite),
        diff=diff,
        displaced=((spite, spite),),
        probes=((spite, spite, spite),),
        communications=((spite, spite),),
        target=spite,
        generated_at=OPEN.opened_at,
        reviewed=spite,
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(spite=SPITE.map(lambda text: f"{text}x"), tail=st.sampled_from(["", "\\", "`", "|", "\n", "#", "\\`"]))
def test_no_value_changes_the_structure(spite: str, tail: str) -> None:
    """Whatever the texts hold, headings, tables, lists, code blocks and markup are those of a harmless report."""
    report = render(filled(spite + tail, "+x"))
    assert shape(report) == shape(render(filled("harmless", "+x")))
    report.encode()


@given(diff=st.lists(st.one_of(SPITE, st.just("```"), st.just("`````\n# x")), min_size=1, max_size=5).map("\n".join))
def test_no_diff_leaves_its_fence(diff: str) -> None:
    report = render(replace(rejected_push(), diff=f"+{diff}x"))
    found = tokens(report)
    fences = [t for t in found if t.type == "fence" and t.info == "diff"]
    assert [t.type for t in found if t.type != "fence"] == [
        t.type for t in tokens(render(rejected_push())) if t.type != "fence"
    ]
    assert len(fences) == 1
    assert fences[0].content.endswith(f"{terminal(f'+{diff}x')}\n") or "***" in fences[0].content


@given(spite=SPITE)
def test_a_value_is_shown_as_it_is(spite: str) -> None:
    """What a reader sees in a heading is the text itself, on one line, without control characters."""
    text = f"a {spite} z"
    report = render(replace(EMPTY, incident=replace(OPEN, summary=text)))
    shown = headings(report)[0]
    expected = " ".join(text.split())
    assert shown == f"Incident 3: {terminal(expected)}"
