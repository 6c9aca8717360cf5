"""What a transition does when something goes wrong in earnest: it turns round, and nothing is lost."""

from __future__ import annotations

import shutil

import pytest

from stateguard import faults
from stateguard.errors import RefusedError, StorageError
from stateguard.guard.applies import Applies
from stateguard.guard.recover import recover
from stateguard.model.transition import (
    BACK,
    FORWARD,
    Direction,
    JournalEntry,
    Kind,
    Outcome,
    Step,
    StepName,
    StepState,
)
from stateguard.transition.engine import ended
from stateguard.transition.journal import Operation
from stateguard.transition.prepare import Wish
from transition.journeys import Apply, Rollback, at, check, last, steps
from transition.setting import CHANGE, Setting, audit_problems, everything, leftovers

# turning round


def blocked(setting: Setting) -> None:
    """Let somebody put a file where the change needs a directory, once all was looked at."""
    file = setting.guard.live / "config/new"
    setting.wake(at(setting, StepName.CONFIGURATION, Direction.FORWARD, lambda _: file.touch()))


def test_a_failed_stage_restores_bytes_modes_and_links(setting: Setting) -> None:
    live = setting.guard.live
    (live / "config/gone.txt").write_text("mine, by hand\n")
    (live / "config/gone.txt").chmod(0o640)
    (live / "agents/helper/prompt.md").chmod(0o600)
    (live / "config/shared.txt").unlink()
    (live / "config/shared.txt").symlink_to("helper.txt")
    (live / "notes").write_text("nobody's business\n")
    before = everything(live)
    change = CHANGE | {
        "config/gone.txt": "theirs\n",
        "config/shared.txt": "-> gone.txt",
        "agents/helper/more/deep.md": "new\n",
        "bin/tool.sh": "#!/bin/sh\n",
    }
    blocked(setting)
    answer = setting.push(setting.commit(change))
    assert not answer.accepted
    assert "undone" in answer.reason
    assert last(setting).outcome == "undone"
    (live / "config/new").unlink()
    assert everything(live) == before
    assert not (live / "agents/helper/more").exists()
    assert setting.running() == ["helper", "parent"]
    assert audit_problems(setting.guard) == ()
    assert steps(setting) == [
        ("forward", "stop", "done"),
        ("forward", "capture", "done"),
        ("forward", "specifications", "done"),
        ("forward", "configuration", "failed"),
        *(("back", str(name), "done") for _, name in BACK),
    ]


def test_what_an_interrupted_write_left_is_swept_away(setting: Setting) -> None:
    (setting.guard.live / "config/.stateguard-tmp-helper.txt.old").touch()
    assert setting.push(setting.commit(CHANGE)).accepted
    assert leftovers(setting.home) == []


def test_a_path_that_cannot_be_read_is_a_storage_error(setting: Setting) -> None:
    guard = setting.guard
    journal = guard.books.journal
    wish = Wish(Kind.APPLY, guard.applied, setting.commit({"config/" + "x" * 300: "x"}))
    with pytest.raises(StorageError, match="cannot be read") as caught:
        guard.operations.transition(journal.open("apply", "person:ann", "r"), lambda: wish)
    assert caught.value.changed == "nothing was changed"


def test_a_rollback_whose_validation_fails_is_undone(setting: Setting) -> None:
    journey = Rollback(setting)
    live = setting.guard.live
    assert setting.push(setting.commit({"bin/probe.sh": "#!/bin/sh\nexit 0\n"})).accepted
    (live / "stuck-helper").touch()
    before, main = everything(live), setting.guard.main
    journey.begin()
    assert last(setting).outcome == "undone"
    assert last(setting).result["detail"]["message"].startswith("helper: readiness failed")
    assert everything(live) == before
    assert setting.guard.main == setting.guard.applied == main
    assert setting.running() == ["helper", "parent"]
    assert {s.running for s in setting.guard.runtime.statuses().values()} == {main}


def test_a_way_back_that_fails_says_both(setting: Setting) -> None:
    live = setting.guard.live

    def block(_operation: Operation) -> None:
        shutil.rmtree(live / "agents/helper")
        (live / "agents/helper").touch()

    going_back = at(setting, StepName.SPECIFICATIONS, Direction.BACK, block)
    going_on = at(setting, StepName.CONFIGURATION, Direction.FORWARD, lambda _: (live / "config/new").touch())

    def announce(operation: Operation, step: Step) -> None:
        going_on(operation, step)
        going_back(operation, step)

    setting.wake(announce)
    answer = setting.push(setting.commit(CHANGE))
    assert not answer.accepted
    assert last(setting).outcome == "failed"
    assert "then the way back failed" in str(last(setting).result["detail"]["message"])
    assert setting.guard.books.journal.unfinished() == []


def test_somebody_who_writes_while_it_is_validated_turns_it_round(setting: Setting) -> None:
    file = setting.guard.live / "config/helper.txt"
    setting.wake(at(setting, StepName.VALIDATE, Direction.FORWARD, lambda _: file.write_text("mine\n") and None))
    assert "somebody else writes there" in setting.push(setting.commit(CHANGE)).reason
    assert last(setting).outcome == "undone"
    assert file.read_text() == "mode: fine\n"


# cancelling


@pytest.mark.parametrize("name", [name for _, name in FORWARD])
@pytest.mark.parametrize("journey", [Apply, Rollback])
def test_a_cancelled_transition_turns_round_before_the_next_step(
    setting: Setting, name: StepName, journey: type[Apply | Rollback]
) -> None:
    begun = journey(setting)
    live = setting.guard.live
    before = everything(live)
    told: list[bool] = []

    def cancel(operation: Operation) -> None:
        told.append(setting.guard.operations.engine.cancel(operation.id))

    setting.wake(at(setting, name, Direction.FORWARD, cancel))
    begun.begin()
    assert told == [True]
    assert last(setting).outcome == "undone"
    assert last(setting).result["detail"]["message"] == "cancelled by a person"
    assert everything(live) == before
    assert check(begun) == "old"
    done = [n for direction, n, _ in steps(setting) if direction == "forward"]
    assert done[-1] == str(name)


def test_what_does_not_run_cannot_be_cancelled(setting: Setting) -> None:
    assert not setting.guard.operations.engine.cancel(1)
    assert setting.push(setting.commit(CHANGE)).accepted
    assert not setting.guard.operations.engine.cancel(last(setting).id)


# trying again


@pytest.mark.parametrize(
    "fault", ["live.put:1", "live.put:3", "agents.stop:1", "files.remove:1", "stage.start:1", "audit.append:2"]
)
def test_what_storage_refuses_once_is_tried_again(setting: Setting, fault: str) -> None:
    faults.arm(f"{fault}:enospc")
    assert setting.push(setting.commit(CHANGE)).accepted
    assert {state for _, _, state in steps(setting)} == {"done"}


def test_an_operation_without_plan_cannot_be_carried_out(setting: Setting) -> None:
    guard = setting.guard
    with pytest.raises(ValueError, match="has no plan"):
        guard.operations.engine.carry_out(guard.books.journal.open("apply", "guard", "r").id)


def test_a_journal_that_stays_refused_leaves_the_operation_to_be_recovered(setting: Setting) -> None:
    """Half of it is done: nobody may say that nothing was changed."""
    announce = at(setting, StepName.CONFIGURATION, Direction.FORWARD, lambda _: faults.arm("journal.begin:1:eio"))
    setting.wake(announce)
    with pytest.raises(StorageError, match="was interrupted") as caught:
        setting.push(setting.commit(CHANGE))
    assert caught.value.changed == "a part of it"
    faults.arm(None)
    assert last(setting).outcome is None
    setting.restart()
    assert last(setting).outcome == "succeeded"
    assert (setting.guard.live / "config/new/deep.txt").read_text() == "new\n"


def test_a_database_that_is_gone_leaves_the_operation_to_be_recovered(setting: Setting) -> None:
    setting.wake(at(setting, StepName.START, Direction.FORWARD, lambda _: setting.guard.database.close()))
    with pytest.raises(StorageError):
        setting.push(setting.commit(CHANGE))
    setting.restart()
    assert last(setting).outcome == "succeeded"
    assert setting.running() == ["helper", "parent"]


def test_what_was_recovered_is_not_recovered_again(setting: Setting) -> None:
    faults.arm("live.put:1:cut")
    with pytest.raises(faults.Cut):
        setting.push(setting.commit(CHANGE))
    faults.arm(None)
    guard = setting.wake()
    assert recover(guard, Applies(guard)) == [last(setting).id]
    assert recover(guard, Applies(guard)) == []


def test_an_operation_that_changed_nothing_before_it_was_interrupted_is_closed(setting: Setting) -> None:
    guard = setting.guard
    number = guard.books.journal.open("heal", "guard", "drift").id
    assert recover(guard, Applies(guard)) == [number]
    assert guard.books.journal.get(number).outcome == "failed"


def test_a_finished_operation_keeps_its_first_record(setting: Setting) -> None:
    assert setting.push(setting.commit(CHANGE)).accepted
    first = setting.guard.operations.finish(last(setting), Outcome.FAILED, "later")
    assert (first.outcome, first.as_json()) == ("succeeded", last(setting).result)


# plans without effects


def test_a_dry_run_writes_nothing(setting: Setting) -> None:
    guard = setting.guard
    new = setting.commit(CHANGE)
    before = everything(guard.home.root, but=("run/", "logs/"))
    plan = guard.operations.preparation.plan(0, Wish(Kind.APPLY, guard.applied, new), backup=False)
    assert [w.path for w in plan.writes] == sorted(CHANGE)
    assert (plan.stop, plan.start, plan.start_back) == (("helper",), ("helper",), ("helper",))
    assert {p: m for p, m in everything(guard.home.root, but=("run/", "logs/")).items() if "guard.db" not in p} == {
        p: m for p, m in before.items() if "guard.db" not in p
    }


def test_a_rollback_to_code_that_cannot_read_todays_data_is_refused(setting: Setting) -> None:
    guard = setting.guard
    spec = (guard.live / "agents/helper/agent.yaml").read_text()
    first = guard.applied
    assert setting.push(setting.commit({"agents/helper/agent.yaml": spec + "data_version: 2\n"})).accepted
    wish = Wish(Kind.ROLLBACK, guard.applied, first)
    with pytest.raises(RefusedError, match="cannot read today's data"):
        guard.operations.preparation.plan(0, wish, backup=False)
    forced = Wish(Kind.ROLLBACK, guard.applied, first, any_data=True)
    assert guard.operations.preparation.plan(0, forced, backup=False).start == ("helper",)


def test_only_named_paths_are_written(setting: Setting) -> None:
    guard = setting.guard
    wish = Wish(Kind.APPLY, guard.applied, setting.commit(CHANGE), only=frozenset({"config/gone.txt"}))
    plan = guard.operations.preparation.plan(0, wish, backup=False)
    assert [w.path for w in plan.writes] == ["config/gone.txt"]
    assert plan.start == ()


def test_what_many_commits_declare_is_read_anew_when_it_was_forgotten(setting: Setting) -> None:
    declared, commits = setting.guard.books.declared, [setting.guard.main]
    for number in range(20):
        commits.append(setting.commit({"config/shared.txt": f"{number}\n"}, commits[-1]))
    digests = [declared.digest(commit) for commit in commits]
    assert len(set(digests)) == 21
    assert [declared.digest(commit) for commit in commits] == digests
    assert declared.paths("") == {}


# channels, and putting drift back

CHANNEL = """\
name: talk
from: parent
to: helper
endpoint: "http://127.0.0.1:9/"
probe: {command: [sh, -c, "test ! -e closed"], period_seconds: 0.1, failure_threshold: 1}
"""


def test_channels_are_verified_before_the_whole(setting: Setting) -> None:
    assert setting.push(setting.commit({"protocols/talk.yaml": CHANNEL})).accepted
    details = {e.step.name: e.detail for e in setting.guard.books.journal.entries(last(setting).id)}
    assert details[StepName.CHANNELS] == "1 channel verified"
    assert details[StepName.START] == "2 of 2 agents started"


def test_a_channel_that_stays_closed_fails_the_change(setting: Setting) -> None:
    (setting.guard.live / "closed").touch()
    assert "rolled back" in setting.push(setting.commit({"protocols/talk.yaml": CHANNEL})).reason
    failed = setting.guard.books.journal.of_kind("apply", 0.0)[0]
    assert failed.result["detail"]["message"].startswith("channel-talk failed 1 time")
    assert [s["outcome"] for s in failed.result["stages"]][-1] == "failed"
    assert not (setting.guard.live / "protocols").exists()


@pytest.mark.parametrize(
    ("since", "restarted", "said"),
    [(0.0, ("helper",), "2/2 healthy"), (4e9, (), "1 path as desired, no agent had read them")],
)
def test_only_who_read_drift_is_restarted_when_it_is_put_back(
    setting: Setting, since: float, restarted: tuple[str, ...], said: str
) -> None:
    guard = setting.guard
    (guard.live / "config/helper.txt").write_text("mode: drifted\n")
    pids = {n: s.pid for n, s in guard.runtime.statuses().items()}
    operation = guard.books.journal.open("heal", "guard", "drift")
    path = "config/helper.txt"
    wish = Wish(
        Kind.HEAL, guard.applied, guard.applied, only=frozenset({path}), healing={path: since}, turns=True,
        record={"main": "keep"},
    )  # fmt: skip
    done = guard.operations.transition(operation, lambda: wish)
    assert (done.outcome, done.detail) == (Outcome.SUCCEEDED, said)
    assert (guard.live / path).read_text() == "mode: fine\n"
    assert {n for n, s in guard.runtime.statuses().items() if s.pid != pids[n]} == set(restarted)


# the verdict


def entry(
    direction: Direction, name: StepName, state: StepState, detail: str = "", *, health: bool = False
) -> JournalEntry:
    return JournalEntry(Step(direction, 1, name), state, "2026", 0.1, detail, health)


def test_how_a_transition_ended_follows_from_its_journal() -> None:
    forward = [entry(Direction.FORWARD, n, StepState.DONE, f"did {n}") for _, n in FORWARD]
    assert (ended(forward).outcome, ended(forward).detail) == (Outcome.SUCCEEDED, "did validate")
    unwell = [*forward[:7], entry(Direction.FORWARD, StepName.VALIDATE, StepState.FAILED, "ill", health=True)]
    assert (ended(unwell).outcome, ended(unwell).detail) == (Outcome.FAILED, "ill")
    broken = [*forward[:2], entry(Direction.FORWARD, StepName.SPECIFICATIONS, StepState.FAILED, "full")]
    back = [entry(Direction.BACK, n, StepState.DONE) for _, n in BACK]
    assert (ended([*broken, *back]).outcome, ended([*broken, *back]).detail) == (Outcome.UNDONE, "full")
    stuck = [*broken, back[0], entry(Direction.BACK, StepName.SPECIFICATIONS, StepState.FAILED, "still full")]
    assert (ended(stuck).outcome, ended(stuck).detail) == (
        Outcome.FAILED,
        "full; then the way back failed: still full",
    )
