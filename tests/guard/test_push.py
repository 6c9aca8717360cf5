"""What a pusher sees, and what main and the live directory are afterwards."""

import re

import pytest

from damage import held
from driving import Driver, end_pushing, git, sh
from helpers import eventually
from stateguard.model.identity import CANDIDATES
from tiny import ALPHA, GOOD


def live(driver: Driver, path: str = ALPHA) -> str:
    return (driver.live / path).read_text()


def test_a_push_that_works_is_told_in_three_lines(tiny: Driver) -> None:
    done = tiny.offer(ALPHA, GOOD + "# works\n")
    assert done.returncode == 0
    said = [line.strip() for line in done.stderr.splitlines() if line.startswith("remote: stateguard:")]
    assert len(said) == 3
    assert re.fullmatch(r"remote: stateguard: 1 file in config, valid, unsigned \(admitted in [\d.]+ m?s\)", said[0])
    applied = r"remote: stateguard: applied in [\d.]+ m?s, 2 of 2 agents restarted, 2/2 healthy"
    assert re.fullmatch(applied, said[1])
    assert re.fullmatch(r"remote: stateguard: accepted; soaking for 90 s, then baseline/\d+", said[2])
    assert tiny.main == tiny.head == tiny.status()["revision"]
    assert live(tiny) == GOOD + "# works\n"


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("crash", "alpha: "),
        ("unready", r"alpha: readiness failed 2 times \(exit status 1\)"),
        ("wrong", r"judge failed 2 times \(exit status 1\)"),
    ],
)
def test_a_push_that_does_not_work_is_taken_back_and_rejected(tiny: Driver, word: str, words: str) -> None:
    before, content = tiny.main, live(tiny)
    done = tiny.offer(ALPHA, word + "\n")
    assert done.returncode == 1
    assert re.search(f"remote: stateguard: {words}", done.stderr)
    found = re.search(
        r"remote: stateguard: rolled back in [\d.]+ m?s, 2/2 healthy; incident (\d+): stateguard incident show (\d+)",
        done.stderr,
    )
    assert found
    assert f"! [remote rejected] HEAD -> main (unhealthy: rolled back, incident {found[1]})" in done.stderr
    assert tiny.main == before == tiny.settled()["revision"]
    assert live(tiny) == content
    incident = tiny.ask("incident", "show", found[1])
    assert incident["state"] == "RESOLVED"
    assert incident["severity"] == 2
    report = git(tiny.repository, "show", f"refs/heads/incidents:incidents/{int(found[1]):04}.md")
    assert report.startswith("# ")
    apply, back = tiny.newest(kind="apply"), tiny.newest(kind="rollback")
    assert (apply["outcome"], back["outcome"]) == ("failed", "succeeded")
    assert apply["incident"] == back["incident"] == int(found[1])
    assert git(tiny.repository, "rev-parse", f"refs/stateguard/withdrawn/{apply['operation']}") == tiny.head


def test_a_withdrawn_state_is_refused_until_it_differs(tiny: Driver) -> None:
    tiny.offer(ALPHA, "wrong again\n")
    again = tiny.push()
    assert again.returncode == 1
    assert "which was withdrawn in incident" in again.stderr
    sh("git", "commit", "-q", "--amend", "-m", "Same state, other words", cwd=tiny.work)
    assert "withdrawn" in tiny.push().stderr
    tiny.edit(ALPHA, GOOD + "# mended\n")
    tiny.commit("Mended", "--amend")
    assert tiny.push().returncode == 0


def test_a_withdrawn_state_may_be_tried_again_by_override(tiny: Driver) -> None:
    """What failed through no fault of its own: the live directory held a file that it could not bear."""
    (tiny.live / "lit").touch()
    assert tiny.offer(ALPHA, GOOD + "fuse\n").returncode == 1
    (tiny.live / "lit").unlink()
    assert "withdrawn" in tiny.push("-o", "override=").stderr
    refused = tiny.push("-o", "override=999999")
    assert "withdrawn" in refused.stderr
    named = re.search(r"override=(\d+)", refused.stderr)
    assert named
    done = tiny.push("-o", named.group())
    assert done.returncode == 0, done.stderr
    assert tiny.main == tiny.head
    tiny.offer(ALPHA, GOOD)


def test_invalid_yaml_is_refused_with_path_line_and_column(tiny: Driver) -> None:
    before, refs = tiny.main, tiny.refs()
    done = tiny.offer("agents/alpha/agent.yaml", "name: alpha\ncommand: [a\n: b\n")
    assert done.returncode == 1
    assert re.search(r"remote: stateguard: agents/alpha/agent\.yaml:3:\d+: ", done.stderr)
    assert "refused; nothing was changed" in done.stderr
    assert tiny.main == before
    assert tiny.refs() == refs
    assert "alpha" in live(tiny, "agents/alpha/agent.yaml")


def test_a_change_of_captured_paths_is_refused(tiny: Driver) -> None:
    done = tiny.offer("conversations/alpha.jsonl", '{"id": "2"}\n')
    assert done.returncode == 1
    assert "conversations/alpha.jsonl" in done.stderr
    assert "hello" in live(tiny, "conversations/alpha.jsonl")


def test_an_empty_commit_is_accepted(tiny: Driver) -> None:
    pids = {n: a["pid"] for n, a in tiny.agents().items()}
    tiny.commit("Nothing", "--allow-empty")
    assert tiny.push().returncode == 0
    assert tiny.main == tiny.head == tiny.status()["revision"]
    assert {n: a["pid"] for n, a in tiny.agents().items()} == pids


def test_a_file_that_no_agent_reads_is_said_to_restart_nobody(tiny: Driver) -> None:
    for name in ("one", "two"):
        tiny.edit(f"etc/{name}.json", "{}\n")
    tiny.commit("Add what nobody reads")
    done = tiny.push()
    assert done.returncode == 0
    assert "0 of 2 agents restarted" in done.stderr
    assert "no agent has etc/one.json and 1 more path in its restart_on: none was restarted for that" in done.stderr


def test_a_slip_in_guard_yaml_does_not_blind_the_guard(tiny: Driver) -> None:
    file = tiny.home / "guard.yaml"
    good = file.read_text(encoding="utf-8")
    try:
        file.write_text(f"{good}cycel: 3s\n", encoding="utf-8")
        told = tiny.wait(lambda s: any(c["type"] == "SETTINGS_INVALID" for c in s["conditions"]))
        assert "cycel" in next(c["message"] for c in told["conditions"] if c["type"] == "SETTINGS_INVALID")
        assert tiny.offer(ALPHA, GOOD + "unready\n").returncode == 1, "it still takes back what does not work"
        error = tiny.refused("arming", "set", "soak", "act", status=1)
        assert "cycel" in error["message"]
    finally:
        file.write_text(good, encoding="utf-8")
    tiny.wait(lambda s: not s["conditions"])


def test_a_directory_in_place_of_a_file_is_drift(tiny: Driver) -> None:
    prompt = tiny.live / "agents" / "alpha" / "prompt.md"
    text = prompt.read_text(encoding="utf-8")
    prompt.unlink()
    prompt.mkdir()
    try:
        assert [d["path"] for d in tiny.status()["drift"]] == ["agents/alpha/prompt.md"]
        assert tiny.ask("fingerprint", "--live")["fingerprint"].startswith("sha256:")
    finally:
        prompt.rmdir()
        prompt.write_text(text, encoding="utf-8")
    assert tiny.status()["drift"] == []


def test_a_reason_is_kept_in_history(tiny: Driver) -> None:
    tiny.edit(ALPHA, GOOD + "# reason\n")
    tiny.commit("Change")
    assert tiny.push("-o", "reason=because of the season").returncode == 0
    assert tiny.newest(kind="apply")["reason"] == "because of the season"


@pytest.mark.parametrize("option", ["wait=sometimes", "waits=none", "emergency", "emergency= "])
def test_a_push_option_that_nobody_acts_on_is_refused(tiny: Driver, option: str) -> None:
    tiny.edit(ALPHA, GOOD + "# option\n")
    tiny.commit("Change")
    assert tiny.push("-o", option).returncode == 1
    assert tiny.main != tiny.head


def test_an_unwatched_push_that_works_is_applied(tiny: Driver) -> None:
    tiny.edit(ALPHA, GOOD + "# unwatched\n")
    tiny.commit("Change")
    done = tiny.push("-o", "wait=none")
    assert done.returncode == 0
    assert tiny.main == tiny.head
    tiny.settled()
    assert live(tiny) == GOOD + "# unwatched\n"


def test_an_unwatched_push_that_fails_is_taken_back_by_forward_commit(tiny: Driver) -> None:
    before, content = tiny.main, live(tiny)
    tiny.edit(ALPHA, "wrong unseen\n")
    tiny.commit("Break")
    assert tiny.push("-o", "wait=none").returncode == 0
    tiny.wait(lambda s: s["main"] not in (before, tiny.head))
    tiny.settled()
    assert git(tiny.repository, "rev-parse", "main~1") == tiny.head
    assert git(tiny.repository, "rev-parse", "main^{tree}") == git(tiny.repository, "rev-parse", before + "^{tree}")
    assert live(tiny) == content
    tiny.wait(lambda s: not s["incidents"])  # resolved once the refs have moved
    message = git(tiny.repository, "log", "-1", "--format=%B", "main")
    assert "git revert" in message
    assert "Incident: " in message


def test_two_pushes_at_once_are_served_one_at_a_time(tiny: Driver) -> None:
    tiny.edit("bin/judge.sh", "sleep 1\n" + (tiny.work / "bin/judge.sh").read_text())
    tiny.commit("First")
    first = tiny.begin_push()
    tiny.wait(lambda s: s["transition"])
    sh("git", "reset", "-q", "--hard", "HEAD~1", cwd=tiny.work)
    tiny.edit(ALPHA, GOOD + "# second\n")
    tiny.commit("Second")
    second, said = end_pushing(tiny.begin_push())
    status, _ = end_pushing(first)
    assert status == 0
    assert "queued behind operation" in said
    assert second == 1
    assert "main has moved: run git fetch origin, then git rebase origin/main" in said
    tiny.sync()
    sh("git", "revert", "--no-edit", "HEAD", cwd=tiny.work)
    assert tiny.push().returncode == 0


def test_a_push_never_replaces_an_unmanaged_file(tiny: Driver) -> None:
    own = tiny.live / "config/own.txt"
    own.write_text("somebody's own\n")
    before, inode, pids = tiny.main, own.stat().st_ino, {n: a["pid"] for n, a in tiny.agents().items()}
    tiny.edit("config/own.txt", "managed\n")
    for options in ((), ("-o", "wait=none")):
        done = tiny.offer(ALPHA, f"{GOOD}# beside {options}\n", *options)
        assert done.returncode == 1
        assert "! [remote rejected] HEAD -> main (config/own.txt is in the way" in done.stderr
        assert "stateguard adopt config/own.txt; or move it away" in done.stderr
    assert tiny.main == before
    assert (own.stat().st_ino, own.read_text()) == (inode, "somebody's own\n")
    assert {n: a["pid"] for n, a in tiny.agents().items()} == pids
    own.unlink()
    assert tiny.push().returncode == 0
    assert own.read_text() == "managed\n"


# branches, tags and other refs


def test_a_branch_with_an_invalid_state_is_let_in_with_a_warning_and_never_applied(tiny: Driver) -> None:
    revision = tiny.status()["revision"]
    tiny.edit("agents/alpha/agent.yaml", "name: alpha\nnonsense: true\n")
    tiny.commit("Work in progress")
    done = tiny.push(ref="HEAD:refs/heads/topic")
    assert done.returncode == 0
    assert "that would keep it from main" in done.stderr
    assert git(tiny.repository, "rev-parse", "topic") == tiny.head
    assert tiny.status()["revision"] == revision


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_fast_forward_of_main_is_refused(tiny: Driver, force: bool) -> None:
    tiny.offer(ALPHA, GOOD + f"# ahead {force}\n")
    before = tiny.main
    sh("git", "reset", "-q", "--hard", "HEAD~1", cwd=tiny.work)
    tiny.edit(ALPHA, GOOD + "# aside\n")
    tiny.commit("Aside")
    done = tiny.push(*(["--force"] if force else []))
    assert done.returncode == 1
    assert (
        "main only goes forward; run: git fetch origin" in done.stderr if force else "non-fast-forward" in done.stderr
    )
    assert tiny.main == before


PROTECTED = [
    ":refs/heads/main",
    "+HEAD:refs/tags/baseline/1",
    "HEAD:refs/tags/baseline/77",
    ":refs/tags/baseline/1",
    "+HEAD:refs/heads/incidents",
    ":refs/heads/incidents",
    "HEAD:refs/heads/incidents/mine",
    "HEAD:refs/stateguard/audit",
    "+HEAD:refs/stateguard/applied",
    "HEAD:refs/stateguard/withdrawn/1",
    "HEAD:refs/notes/commits",
    "HEAD:refs/replace/" + "0" * 40,
]


def test_protected_refs_are_refused_each_and_with_everything_beside_them(tiny: Driver) -> None:
    if not tiny.ask("baseline", "list")["baselines"]:
        tiny.must("baseline", "create")
    if not tiny.ask("incident", "list")["incidents"]:
        tiny.offer(ALPHA, "wrong for an incident\n")
    tiny.sync()
    tiny.commit("Nothing", "--allow-empty")
    before = tiny.refs()
    for spec in PROTECTED:
        assert tiny.push("--force", ref=spec).returncode == 1, spec
        both = sh("git", "push", "--force", "origin", "HEAD:refs/heads/beside", spec, cwd=tiny.work, check=False)
        assert both.returncode == 1, spec
        assert tiny.refs() == before, spec


def test_a_good_main_beside_a_bad_ref_is_refused_too(tiny: Driver) -> None:
    tiny.edit(ALPHA, GOOD + "# beside\n")
    tiny.commit("Change")
    before = tiny.refs()
    done = sh("git", "push", "origin", "HEAD:main", "HEAD:refs/tags/baseline/78", cwd=tiny.work, check=False)
    assert done.returncode == 1
    assert tiny.refs() == before
    assert tiny.status()["revision"] == tiny.main


def test_a_report_that_a_guard_owes_is_published_by_the_next(tiny: Driver) -> None:
    with held(tiny.repository / "refs/heads/incidents.lock"):
        assert tiny.offer(ALPHA, "crash and be taken back\n").returncode == 1
        number = max(i["id"] for i in tiny.ask("incident", "list")["incidents"])
        path = f"incidents/{number:04d}.md"
        assert git(tiny.repository, "show", f"refs/heads/incidents:{path}", check=False) == ""
        tiny.stop()
    tiny.start()
    eventually(lambda: "RESOLVED" in git(tiny.repository, "show", f"refs/heads/incidents:{path}", check=False), 30)
    assert CANDIDATES not in tiny.refs()
