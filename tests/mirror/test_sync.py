"""Against real repositories: what is sent, what is never sent, and what happens when somebody else was there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from driving import git
from mirror.setting import BACKUP, BRANCH, TAG, Setting, bare, forced, refs
from stateguard.mirror.remote import Remote, RemoteError
from stateguard.mirror.store import Standing
from stateguard.model.identity import APPLIED, AUDIT, MAIN, ZERO


def test_an_empty_mirror_gets_everything_but_what_is_being_tried(setting: Setting, mirror: Path) -> None:
    setting.put(TAG, setting.commit())
    setting.put("refs/stateguard/withdrawn/3", setting.commit())
    setting.put("refs/stateguard/candidate/4", setting.commit())
    spec = setting.spec("a", mirror)
    assert setting.state(spec) == "BEHIND"
    setting.sync(spec)
    expected = refs(setting.served.path)
    del expected["refs/stateguard/candidate/4"]
    assert refs(mirror) == expected
    assert setting.state(spec) == "IN_SYNC"
    git(mirror, "fsck", "--strict")


def test_each_change_follows(setting: Setting, mirror: Path) -> None:
    spec = setting.spec("a", mirror)
    setting.put(BRANCH, setting.commit())
    setting.sync(spec)
    for _ in range(3):
        setting.grow()
        setting.put(BRANCH, setting.commit())
        assert setting.state(spec) == "BEHIND"
        setting.sync(spec)
        assert refs(mirror) == refs(setting.served.path)
    assert forced(mirror) == []
    setting.put(BRANCH, ZERO)
    setting.put(APPLIED, setting.served.commit(setting.served.ref(MAIN) or "").parents[0])
    setting.sync(spec)
    assert refs(mirror) == refs(setting.served.path)


def test_captured_state_goes_to_trusted_mirrors_alone_and_whole(setting: Setting, mirror: Path, tmp_path: Path) -> None:
    setting.put(BACKUP, setting.commit(setting.captured), setting.captured)
    private = bare(tmp_path / "private.git")
    setting.sync(setting.spec("open", mirror))
    spec = setting.spec("private", private, trusted=True)
    setting.sync(spec)
    assert not [ref for ref in refs(mirror) if "captured" in ref or "backups" in ref]
    assert refs(private)["refs/captured/stateguard/backups/1"] == setting.captured.ref(BACKUP)
    assert setting.state(spec) == "IN_SYNC"
    back = bare(tmp_path / "back.git")
    git(back, "fetch", "-q", str(private), "refs/captured/*:refs/*")
    assert refs(back) == refs(setting.captured.path)
    git(back, "fsck", "--strict", "--full")
    setting.put(BACKUP, ZERO, setting.captured)
    setting.sync(spec)
    assert not [ref for ref in refs(private) if ref.startswith("refs/captured/")]


def spoil(mirror: Path, ref: str, to: str) -> None:
    """Do what somebody else might do to a mirror."""
    if to == "delete":
        git(mirror, "update-ref", "-d", ref)
    elif to == "rewind":
        git(mirror, "update-ref", ref, f"{ref}~1")
    else:
        tree = git(mirror, "mktree", "--missing")
        parent = ["-p", ref] if to == "extra" else []
        alien = git(mirror, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", tree, *parent, "-m", "alien")
        git(mirror, "update-ref", ref, alien)


@pytest.mark.parametrize("grown", [True, False], ids=["with a change", "at a look"])
@pytest.mark.parametrize(
    ("ref", "to", "why"),
    [
        (MAIN, "extra", "somebody moved it there"),
        (MAIN, "rewind", "somebody moved it there"),
        (MAIN, "delete", "somebody deleted it there"),
        (AUDIT, "rewind", "somebody moved it there"),
        (TAG, "replace", "somebody moved it there"),
        ("refs/tags/baseline/9", "replace", "somebody added it there"),
    ],
)
def test_a_mirror_that_moved_is_left_as_it_is(
    setting: Setting, mirror: Path, ref: str, to: str, why: str, grown: bool
) -> None:
    setting.put(TAG, setting.commit())
    setting.grow()
    spec = setting.spec("a", mirror)
    setting.sync(spec)
    spoil(mirror, ref, to)
    before = refs(mirror)
    if grown:
        setting.grow()
        setting.put(TAG + "2", setting.commit())
    told = setting.sync(spec).conflicts
    assert refs(mirror) == before
    assert [(c["ref"], c["why"], c["theirs"]) for c in told] == [(ref, why, before.get(ref, ZERO))]
    assert setting.state(spec) == "DIVERGED"
    setting.sync(spec)
    assert refs(mirror) == before


def test_what_was_forced_would_be_noticed(setting: Setting, mirror: Path) -> None:
    setting.sync(setting.spec("a", mirror))
    git(setting.served.path, "push", "-q", "--force", str(mirror), f"{setting.commit()}:{MAIN}")
    assert [row.split(" ")[0] for row in forced(mirror)] == [MAIN]


def test_what_a_person_put_back_goes_on_by_itself(setting: Setting, mirror: Path) -> None:
    spec = setting.spec("a", mirror)
    setting.sync(spec)
    right = refs(mirror)[MAIN]
    spoil(mirror, MAIN, "extra")
    setting.grow()
    setting.sync(spec)
    git(mirror, "update-ref", MAIN, right)
    setting.sync(spec)
    assert refs(mirror) == refs(setting.served.path)
    assert setting.state(spec) == "IN_SYNC"


def test_a_person_may_have_just_what_they_saw_overwritten(setting: Setting, mirror: Path) -> None:
    spec = setting.spec("a", mirror)
    setting.sync(spec)
    spoil(mirror, MAIN, "extra")
    seen = {c.ref: c.theirs for c in setting.syncing.look(spec).conflicts}
    setting.syncing.store.permit(spec, seen)
    spoil(mirror, MAIN, "extra")
    later = refs(mirror)[MAIN]
    setting.sync(spec)
    assert refs(mirror)[MAIN] == later
    setting.syncing.store.permit(spec, {MAIN: later})
    setting.sync(spec)
    assert refs(mirror) == refs(setting.served.path)
    assert setting.state(spec) == "IN_SYNC"
    spoil(mirror, MAIN, "extra")
    setting.sync(spec)
    assert setting.state(spec) == "DIVERGED"


def test_a_damaged_source_does_not_damage_its_mirror(setting: Setting, mirror: Path) -> None:
    spec = setting.spec("a", mirror)
    setting.grow()
    setting.sync(spec)
    before = refs(mirror)
    setting.put(MAIN, setting.served.commit(before[MAIN]).parents[0])
    setting.put(AUDIT, ZERO)
    told = setting.sync(spec).conflicts
    assert {c["ref"] for c in told} == {MAIN, AUDIT}
    assert refs(mirror) == before


def test_the_other_side_may_say_no(setting: Setting, mirror: Path) -> None:
    hook = mirror / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'no space for token=abc'; exit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    spec = setting.spec("a", mirror)
    after = setting.sync(spec)
    assert refs(mirror) == {}
    assert "pre-receive hook declined" in (after.error or "")
    assert "token=***" in (after.error or "")
    assert after.pace.failures == 1
    hook.unlink()
    setting.sync(spec)
    assert setting.state(spec) == "IN_SYNC"


@pytest.mark.parametrize("arrived", [True, False])
def test_a_guard_killed_in_the_middle_goes_on_where_it_was(setting: Setting, mirror: Path, arrived: bool) -> None:
    """Killed after it had noted what it sends: the push arrived, or it did not."""
    spec = setting.spec("a", mirror)
    setting.sync(spec)
    setting.grow()
    plan = setting.syncing.look(spec)
    setting.syncing.store.sending(spec, plan.moves)
    if arrived:
        Remote(str(mirror), setting.syncing.cancel).push(setting.served.path, plan.moves, 10)
    setting.anew()
    setting.grow()
    setting.sync(spec)
    assert refs(mirror) == refs(setting.served.path)
    assert setting.state(spec) == "IN_SYNC"


def test_a_lost_database_is_no_reason_to_diverge(setting: Setting, mirror: Path) -> None:
    spec = setting.spec("a", mirror)
    setting.sync(spec)
    setting.database.execute("DELETE FROM mirror")
    setting.database.execute("DELETE FROM mirror_ref")
    setting.grow()
    setting.sync(spec)
    assert refs(mirror) == refs(setting.served.path)


def test_another_address_is_another_mirror(setting: Setting, mirror: Path, tmp_path: Path) -> None:
    setting.sync(setting.spec("a", mirror))
    other = setting.spec("a", bare(tmp_path / "other.git"))
    assert setting.state(other) == "BEHIND"
    assert setting.syncing.store.standing(other) == Standing()
    setting.sync(other)
    assert refs(Path(other.url)) == refs(setting.served.path)
    assert setting.state(setting.spec("a", mirror)) == "BEHIND"


def test_many_refs_are_sent_in_parts(setting: Setting, mirror: Path) -> None:
    one = setting.commit()
    lines = "".join(f"create refs/stateguard/withdrawn/{n} {one}\n" for n in range(450))
    subprocess.run(["git", "-C", setting.served.path, "update-ref", "--stdin"], input=lines.encode(), check=True)
    spec = setting.spec("a", mirror)
    setting.sync(spec)
    assert len(refs(mirror)) == 453
    assert setting.state(spec) == "IN_SYNC"


def test_a_place_that_is_no_repository_is_told(setting: Setting, tmp_path: Path) -> None:
    after = setting.sync(setting.spec("a", tmp_path / "nowhere.git"))
    assert "does not appear to be a git repository" in (after.error or "")
    assert after.pace.failures == 1


def test_nothing_is_sent_to_a_mirror_that_was_found_tampered_with(setting: Setting, mirror: Path) -> None:
    spec = setting.spec("a", mirror)
    setting.sync(spec)
    before = refs(mirror)
    setting.syncing.store.verified(spec, 1.0, ["a forged baseline"])
    setting.grow()
    setting.sync(spec)
    assert (refs(mirror), setting.state(spec)) == (before, "TAMPERED")
    setting.syncing.store.verified(spec, 2.0, [])
    setting.sync(spec)
    assert setting.state(spec) == "IN_SYNC"


def test_a_push_that_was_called_off_is_no_failure_of_the_mirror(setting: Setting, mirror: Path) -> None:
    spec = setting.spec("a", mirror)
    setting.syncing.cancel.cancel()
    setting.sync(spec)
    assert setting.syncing.store.standing(spec).pace.failures == 0
    with pytest.raises(RemoteError, match="stopped"):
        setting.syncing.look(spec)


def test_trust_that_is_withdrawn_takes_captured_state_back(setting: Setting, mirror: Path) -> None:
    setting.put(BACKUP, setting.commit(setting.captured), setting.captured)
    setting.sync(setting.spec("a", mirror, trusted=True))
    assert "refs/captured/stateguard/backups/1" in refs(mirror)
    setting.sync(setting.spec("a", mirror))
    assert refs(mirror) == refs(setting.served.path)
