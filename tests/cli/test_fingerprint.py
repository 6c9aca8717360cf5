"""Fingerprints agree with stock git."""

from driving import Driver, stock_fingerprint


def test_the_fingerprint_of_a_revision_is_what_stock_git_says(tiny: Driver) -> None:
    (tiny.work / "bin/judge.sh").chmod(0o755)
    (tiny.work / "config/link").symlink_to("shared.yaml")
    tiny.edit("config/deep/er/übung.txt", "ü\n")
    tiny.edit("config/deep.txt", "sorts beside the directory\n")
    tiny.commit("Shapes")
    done = tiny.push()
    assert done.returncode == 0, done.stderr
    for revision in ("main", "main~1"):
        assert tiny.ask("fingerprint", revision)["fingerprint"] == stock_fingerprint(tiny.repository, revision)
    status = tiny.status()
    assert status["desired_fingerprint"] == tiny.ask("fingerprint")["fingerprint"]
    assert status["fingerprint"] == tiny.ask("fingerprint", "--live")["fingerprint"]


def test_the_fingerprints_of_baselines_are_what_stock_git_says(tiny: Driver) -> None:
    for baseline in tiny.ask("baseline", "list")["baselines"]:
        desired = stock_fingerprint(tiny.repository, baseline["revision"])
        complete = stock_fingerprint(tiny.home / "captured.git", baseline["snapshot"])
        assert (desired, complete) == (baseline["desired_fingerprint"], baseline["fingerprint"])


def test_what_is_live_after_a_rollback_with_conversations_is_the_baseline(tiny: Driver) -> None:
    with (tiny.live / "conversations/alpha.jsonl").open("a") as conversation:
        conversation.write('{"id": "2", "role": "user", "content": "later"}\n')
    done = tiny.ask("rollback", "1", "--conversations", "restore", "--yes")
    assert done["outcome"] == "succeeded"
    baseline = tiny.ask("baseline", "show", "1")
    live = tiny.ask("fingerprint", "--live")["fingerprint"]
    assert live == baseline["fingerprint"] == done["fingerprint"]
