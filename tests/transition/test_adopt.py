"""Adopting what lies in the live directory: what is taken, what is refused, and what a crash leaves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stateguard import faults
from stateguard.errors import NotFoundError, RefusedError, StateguardError, UsageProblemError
from stateguard.guard.adopt import adopt, adoption
from stateguard.guard.applies import Applies
from stateguard.state.commits import split_signature
from stateguard.trust.keys import load_pinned
from stateguard.trust.ssh import verify
from transition.journeys import last
from transition.setting import CHANGE, Setting, audit_problems, everything, ignored

HELPER = "config/helper.txt"


def by_hand(setting: Setting) -> Path:
    """Change, remove, and set the mode of a desired path each; and lay one more file beside."""
    live = setting.guard.live
    (live / HELPER).write_text("mode: by hand\n")
    (live / "config/gone.txt").unlink()
    (live / "config/shared.txt").chmod(0o755)
    (live / "config/own.txt").write_text("mine\n")
    return live


def adopted(setting: Setting, *named: str, cwd: str = "", reason: str = "") -> dict[str, Any]:
    guard = setting.guard
    return adopt(guard, adoption(guard, named, cwd), "person:Ann <b>", reason, ignored)


def kinds(document: dict[str, Any]) -> dict[str, str]:
    return {a["path"]: a["kind"] for a in document["adopted"]}


DRIFT = {HELPER: "changed", "config/gone.txt": "removed", "config/shared.txt": "mode"}


def test_drift_becomes_a_signed_commit_of_the_persons_own(setting: Setting) -> None:
    live, guard = by_hand(setting), setting.guard
    old, before = guard.main, everything(live)
    pids = {n: s.pid for n, s in guard.runtime.statuses().items()}
    inode = (live / HELPER).stat().st_ino
    document = adopted(setting, reason="the night of the outage")
    assert kinds(document) == DRIFT
    assert document["kind"] == "apply"
    assert document["outcome"] == "succeeded"
    assert document["reason"] == "adopt 3 files in config: the night of the outage"
    assert guard.main == guard.applied == document["to"] != old
    commit = guard.repository.commit(guard.main)
    assert commit.parents == (old,)
    assert (commit.author, commit.email) == ("Ann b", "Ann-b@localhost")
    assert commit.message.startswith("Adopt 3 files in config\n\nthe night of the outage\n")
    signed, signature = split_signature(guard.repository.raw(guard.main)[1])
    assert signature
    verify(signed, signature, load_pinned(guard.home.trust))
    assert everything(live) == before
    assert (live / HELPER).stat().st_ino == inode
    assert guard.scanner().observe(guard.books.declared.desired(guard.main)) == guard.books.declared.desired(guard.main)
    assert "config/own.txt" not in guard.books.declared.paths(guard.main)
    assert {n: s.pid for n, s in guard.runtime.statuses().items()} == pids
    soak = guard.store.soak()
    assert soak
    assert (soak.revision, soak.before, soak.before_was_well, soak.by_rollback) == (guard.main, old, False, False)
    assert audit_problems(guard) == ()
    with pytest.raises(RefusedError, match="nothing has drifted"):
        adopted(setting)


def test_who_was_started_before_runs_the_old_inputs_until_it_is_restarted(setting: Setting) -> None:
    by_hand(setting)
    guard, old = setting.guard, setting.guard.main
    assert adopted(setting)["behind"] == ["helper"]
    running = {n: s.running for n, s in guard.runtime.statuses().items()}
    assert running == {"parent": guard.main, "helper": old}
    assert setting.push(setting.commit({"agents/parent/prompt.md": "be kind\n"})).accepted
    running = {n: s.running for n, s in guard.runtime.statuses().items()}
    assert running == {"parent": guard.main, "helper": guard.main}, "the helper depends on the parent: it was restarted"


def test_an_agent_that_a_later_push_leaves_alone_is_still_behind(setting: Setting) -> None:
    (setting.guard.live / "config/parent.txt").write_text("mode: by hand\n")
    guard, old = setting.guard, setting.guard.main
    assert adopted(setting)["behind"] == ["parent"]
    assert setting.push(setting.commit({HELPER: "mode: better\n"})).accepted
    assert {n: s.running for n, s in guard.runtime.statuses().items()} == {"parent": old, "helper": guard.main}


def test_named_paths_take_what_is_unmanaged_too(setting: Setting) -> None:
    live = by_hand(setting)
    (live / "notes").mkdir()
    for name in ("a.md", "b.log", "deep/c.md"):
        (live / "notes" / name).parent.mkdir(exist_ok=True)
        (live / "notes" / name).write_text(name)
    os.mkfifo(live / "notes/pipe")
    (live / "notes/link").symlink_to("a.md")
    (live / "notes/run.sh").touch(0o755)
    assert kinds(adopted(setting, "config/own.txt")) == {"config/own.txt": "added"}
    added = dict.fromkeys(["notes/a.md", "notes/deep/c.md", "notes/link", "notes/run.sh"], "added")
    assert kinds(adopted(setting, "notes", str(live / HELPER))) == {**added, HELPER: "changed"}
    assert kinds(adopted(setting, "b.log", cwd=str(live / "notes"))) == {"notes/b.log": "added"}
    rest = {"config/gone.txt": "removed", "config/shared.txt": "mode", "starts": "added"}
    assert kinds(adopted(setting, ".")) == rest, "starts is what the agents wrote"
    main = setting.guard.books.declared.paths(setting.guard.main)
    assert {main["notes/link"].mode, main["notes/run.sh"].mode} == {0o120000, 0o100755}


def test_a_file_that_became_a_directory_and_a_directory_that_became_a_link(setting: Setting) -> None:
    live, outside = setting.guard.live, setting.home.root / "elsewhere"
    (live / "config/shared.txt").unlink()
    (live / "config/shared.txt").mkdir()
    (live / "config/shared.txt/now").write_text("inside\n")
    assert kinds(adopted(setting, "config/shared.txt/now")) == {
        "config/shared.txt": "removed", "config/shared.txt/now": "added",
    }  # fmt: skip
    (live / "agents/helper").rename(outside)
    (live / "agents/helper").symlink_to(outside)
    with pytest.raises(RefusedError, match="agents/helper cannot be adopted: the link is absolute"):
        adopted(setting, "agents/helper")


def refusals(live: Path) -> dict[str, tuple[str, type[StateguardError], str]]:
    os.mkfifo(live / "config/pipe")
    (live / "logs").mkdir()
    (live / "logs/a.log").touch()
    (live / "huge").touch()
    os.truncate(live / "huge", 101 * 1024 * 1024)
    (live / "-rf").touch()
    return {
        "outside": ("/etc", UsageProblemError, "does not lie in the live directory"),
        "above": ("../x", UsageProblemError, "does not lie in the live directory"),
        "nothing": ("config/nothing", NotFoundError, "is neither in"),
        "captured file": ("conversations/seed.jsonl", RefusedError, "the running system's own"),
        "captured directory": ("conversations", RefusedError, "the running system's own"),
        "ignored directory": ("logs", RefusedError, "all that lies in logs is ignored"),
        "pipe": ("config/pipe", RefusedError, "a pipe, which git cannot hold"),
        "too large": ("huge", RefusedError, "too large: 101.0 MiB"),
        "name": ("./-rf", RefusedError, "taken for an option"),
        "lock": (".stateguard.lock", RefusedError, "belong to the guard"),
        "undrifted": ("config/parent.txt", RefusedError, "nothing has drifted"),
        "undrifted directory": ("bin", RefusedError, "nothing has drifted"),
    }


def test_what_cannot_be_adopted_is_refused_with_its_reason(setting: Setting) -> None:
    live = by_hand(setting)
    guard, before = setting.guard, setting.guard.repository.refs("refs/")
    for name, (text, kind, words) in refusals(live).items():
        with pytest.raises(kind) as caught:
            adopted(setting, text, HELPER) if kind is not RefusedError else adopted(setting, text)
        assert words in caught.value.message, name
        assert caught.value.changed == "nothing was changed"
        assert caught.value.next_step
    assert guard.repository.refs("refs/") == before


def test_an_invalid_whole_is_refused_with_path_and_line(setting: Setting) -> None:
    live, guard = setting.guard.live, setting.guard
    (live / "agents/helper/agent.yaml").write_text("name: helper\nnonsense: 1\n")
    before = guard.repository.refs("refs/")
    found = adoption(guard, [], "")
    assert any((p.path, p.line) == ("agents/helper/agent.yaml", 2) for p in found.problems)
    with pytest.raises(RefusedError, match=r"agents/helper/agent\.yaml:2"):
        adopted(setting)
    assert guard.repository.refs("refs/") == before
    assert guard.books.journal.unfinished() == []


def test_a_new_agent_is_started_and_a_removed_one_stopped(setting: Setting) -> None:
    live = setting.guard.live
    text = (live / "agents/helper/agent.yaml").read_text()
    for path in sorted((live / "agents/helper").iterdir()):
        path.unlink()
    (live / "agents/third").mkdir()
    (live / "agents/third/agent.yaml").write_text(text.replace("helper", "third"))
    (live / "config/third.txt").write_text("mode: fine\n")
    assert adopted(setting, "agents", "config/third.txt")["outcome"] == "succeeded"
    assert setting.running() == ["parent", "third"]


def test_a_new_agent_that_does_not_work_is_stopped_and_its_files_stay_by_hand(setting: Setting) -> None:
    live, old = setting.guard.live, setting.guard.main
    text = (live / "agents/helper/agent.yaml").read_text()
    (live / "agents/third").mkdir()
    (live / "agents/third/agent.yaml").write_text(text.replace("helper", "third"))
    (live / "config/third.txt").write_text("mode: bad\n")
    before = everything(live)
    document = adopted(setting, "agents/third", "config/third.txt")
    assert document["outcome"] == "failed"
    assert document["incident"]
    assert setting.running() == ["helper", "parent"]
    assert everything(live) == before
    assert setting.guard.main == setting.guard.applied == old


def test_main_that_waits_is_adopted_on_and_applied_as_a_whole(setting: Setting) -> None:
    guard, live = setting.guard, setting.guard.live
    guard.store.mark("suspended", {"reason": "", "until": None})
    assert setting.push(setting.commit(CHANGE)).accepted
    live_before, waiting = guard.applied, guard.main
    (live / "config/parent.txt").write_text("mode: by hand\n")
    (live / HELPER).write_text("mode: by hand\n")
    with pytest.raises(RefusedError, match="main holds another change of config/helper"):
        adopted(setting)
    document = adopted(setting, "config")
    assert "applied as a whole" in document["detail"]["message"]
    assert guard.applied == live_before
    assert guard.repository.commit(guard.main).parents == (waiting,)
    guard.store.mark("suspended", None)
    done = Applies(guard).catch_up(ignored)
    assert done is not None
    assert done.outcome == "succeeded"
    assert (live / HELPER).read_text() == "mode: by hand\n"
    assert (live / "agents/helper/prompt.md").read_text() == "be brief\n"
    assert guard.books.declared.desired(guard.main) == guard.scanner().observe(guard.books.declared.desired(guard.main))


def test_what_is_in_the_way_of_main_is_settled_by_adopting_it(setting: Setting) -> None:
    guard, live = setting.guard, setting.guard.live
    assert setting.push(setting.commit({"config/extra": "theirs\n"}), "wait=none").accepted
    (live / "config/extra").write_text("mine\n")
    applies = Applies(guard)
    refused = applies.catch_up(ignored)
    assert refused is not None
    assert refused.outcome == "refused"
    assert kinds(adopted(setting, "config/extra")) == {"config/extra": "added"}
    done = applies.catch_up(ignored)
    assert done is not None
    assert done.outcome == "succeeded"
    assert (live / "config/extra").read_text() == "mine\n"
    assert guard.main == guard.applied


@pytest.mark.parametrize(
    "point", ["journal.opened:1", "journal.planned:1", "stage.start:1", "audit.appended:1", "journal.close:1"]
)
def test_an_interrupted_adoption_is_finished_or_never_happened(setting: Setting, point: str) -> None:
    live, old = by_hand(setting), setting.guard.main
    before = everything(live)
    faults.arm(f"{point}:cut")
    with pytest.raises(faults.Cut):
        adopted(setting)
    faults.arm(None)
    guard = setting.restart()
    assert guard.books.journal.unfinished() == []
    assert everything(live) == before
    assert last(setting).outcome == ("refused" if guard.main == old else "succeeded")
    assert (guard.main == old) == (point == "journal.opened:1")
    assert guard.main == guard.applied
    assert audit_problems(guard) == ()
    if guard.main == old:
        assert kinds(adopted(setting)) == DRIFT
