"""Going back, as a person asks for it."""

from driving import Driver, git
from tiny import ALPHA, GOOD

TALK = "conversations/alpha.jsonl"
LATER = '{"id": "2", "role": "user", "content": "later"}\n'


def advance(driver: Driver, words: str = "# advanced\n") -> str:
    """Push a change of alpha's and beta's files; returns the commit that was main before."""
    before = driver.main
    driver.edit("config/beta.conf", GOOD + words)
    assert driver.offer(ALPHA, GOOD + words).returncode == 0
    return before


def tree(driver: Driver, revision: str) -> str:
    return git(driver.repository, "rev-parse", f"{revision}^{{tree}}")


def test_minus_one_is_the_state_before(tiny: Driver) -> None:
    before = advance(tiny)
    done = tiny.run("rollback", "-1", "--yes", "--reason", "a test of going back")
    assert done.returncode == 0, done.stderr
    assert "rolling back to the state before" in done.stderr
    assert "a test of going back" in done.stderr.splitlines()[0]
    assert tree(tiny, "main") == tree(tiny, before)
    assert git(tiny.repository, "rev-parse", "main~1") == tiny.head
    entry = tiny.newest(kind="rollback")
    assert entry["reason"] == "a test of going back"
    assert entry["actor"].startswith("person:")


def test_a_baseline_by_number_name_and_fingerprint(tiny: Driver) -> None:
    baselines = {b["number"]: b for b in tiny.ask("baseline", "list")["baselines"]}
    for target, number in (
        ("1", 1),
        ("baseline/2", 2),
        (baselines[1]["fingerprint"], 1),
        (baselines[2]["desired_fingerprint"].removeprefix("sha256:")[:8], 2),
        (baselines[1]["revision"], 1),
    ):
        document = tiny.ask("rollback", target, "--yes")
        assert document["outcome"] == "succeeded"
        assert tree(tiny, "main") == tree(tiny, baselines[number]["revision"])
        assert tiny.status()["desired_fingerprint"] == baselines[number]["desired_fingerprint"]
    tiny.settled()


def test_what_was_rolled_back_can_be_reverted_to_by_its_own_message(tiny: Driver) -> None:
    advance(tiny, "# reverted and mended\n")
    tiny.must("rollback", "-1", "--yes")
    message = git(tiny.repository, "log", "-1", "--format=%B", "main")
    assert "git revert" in message
    assert tiny.head[:10] in message


def test_only_one_agent(tiny: Driver) -> None:
    prompt = "agents/alpha/prompt.md"
    old = (tiny.live / prompt).read_text()
    tiny.edit(prompt, "Answer at length.\n")
    advance(tiny, "# stays\n")
    pids = {n: a["pid"] for n, a in tiny.agents().items()}
    planned = tiny.ask("rollback", "-1", "--agent", "alpha", "--dry-run")
    assert planned["files"] == {"added": [], "changed": [prompt], "removed": []}
    assert tiny.ask("rollback", "-1", "--agent", "alpha", "--yes")["outcome"] == "succeeded"
    assert (tiny.live / prompt).read_text() == old
    assert (tiny.live / "config/beta.conf").read_text() == GOOD + "# stays\n"
    assert git(tiny.repository, "show", f"main:{ALPHA}") + "\n" == GOOD + "# stays\n"
    assert tiny.agents()["alpha"]["pid"] != pids["alpha"]
    tiny.settled()


def test_a_dry_run_changes_nothing(tiny: Driver) -> None:
    advance(tiny, "# dry\n")
    refs, content = tiny.refs(), (tiny.live / ALPHA).read_text()
    plan = tiny.ask("rollback", "-1", "--dry-run")
    assert set(plan["files"]["changed"]) == {ALPHA, "config/beta.conf"}
    assert plan["agents"] == ["alpha", "beta"]
    assert [s["number"] for s in plan["stages"]] == sorted(s["number"] for s in plan["stages"])
    assert not plan["recommended"]
    assert plan["advice"].startswith("not recommended")
    assert (tiny.refs(), (tiny.live / ALPHA).read_text()) == (refs, content)


def test_conversations_are_kept_unless_they_are_to_be_restored(tiny: Driver) -> None:
    talk = tiny.live / TALK
    with talk.open("a") as conversation:
        conversation.write(LATER)
    advance(tiny, "# talk\n")
    assert tiny.ask("rollback", "-1", "--yes")["outcome"] == "succeeded"
    assert talk.read_text().endswith(LATER)
    document = tiny.ask("rollback", "1", "--conversations", "restore", "--yes")
    assert document["outcome"] == "succeeded"
    assert "later" not in talk.read_text()
    backup = tiny.ask("show", str(document["operation"]))["detail"]["backup"]
    assert "later" in git(tiny.home / "captured.git", "show", f"{backup}:{TALK}")
