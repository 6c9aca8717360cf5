"""What is let go, what stays, and what people are told of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from driving import Driver, git, sh
from helpers import eventually
from mirror.setting import bare
from stateguard.errors import StorageError
from stateguard.guard.compose import Guard, compose
from stateguard.guard.maintenance import MARK, Maintenance
from stateguard.guard.retention import let_go
from stateguard.host.clock import boot_seconds, now_text, wall_seconds
from stateguard.host.home import Home
from stateguard.model.baseline import Grade
from stateguard.model.condition import Severity
from stateguard.model.incident import IncidentState
from stateguard.state.snapshot import (
    MARKED,
    backup_ref,
    baseline_ref,
    close_line,
    earlier_refs,
    running_ref,
    write_snapshot,
)  # fmt: skip
from stateguard.state.upkeep import CalledOffError, Extent, extent

RETENTION = """
retention:
  baselines: {newest: 2, daily: 0}
  backups: {newest: 2, keep: 0}
  snapshots: {newest: 3, keep: 7d}
  every: 1s
"""
TALK = "conversations/talk.jsonl"


class Kept(Driver):
    """A home of plain configuration and one conversation, with the guard's parts in this process."""

    guard: Guard

    def turn(self, *, busy: bool = False) -> None:
        """Do maintenance once, the guard's own thread being this one."""
        maintenance = Maintenance(self.guard, lambda: busy)
        failed: list[BaseException] = []

        def once() -> None:
            try:
                maintenance.turn()
            except CalledOffError as error:
                failed.append(error)

        mark = self.guard.store.marked(MARK)
        if mark is not None:
            mark["since"]["boot_seconds"] -= 2.0
            self.guard.store.mark(MARK, mark)
        thread = threading.Thread(target=once)
        thread.start()
        while thread.is_alive():
            thread.join(0.01)
            maintenance.between()
        if failed:
            raise failed[0]

    def say(self, text: str) -> None:
        with (self.live / TALK).open("a", encoding="utf-8") as stream:
            stream.write(f'{{"content": "{text}"}}\n')

    def baseline(self) -> int:
        """Sign the state as it is now."""
        guard = self.guard
        self.say(f"before a baseline {guard.baselines.highest() + 1}")
        paths = guard.archive.all(guard.applied, guard.applied)
        return guard.baselines.create(guard.applied, paths, "guard", {}).statement.number

    def snapshot(self, ref: str) -> str:
        """Keep the state as it is now under a ref."""
        self.say(f"before {ref} {self.guard.captured.moves}")
        last = self.guard.captured.ref(ref)
        paths = self.guard.archive.all(self.guard.applied, self.guard.applied)
        return self.guard.archive.write(paths, ref, "kept\n", [last] if last else [])

    def aged(self, ref: str, days: float) -> None:
        """Keep the state as it is now under a ref, as if that had been done so many days ago."""
        self.say(f"before {ref}")
        guard = self.guard
        paths = guard.archive.all(guard.applied, guard.applied)
        write_snapshot(guard.captured, paths, ref, "kept\n", wall_seconds() - days * 86400, [])

    def refs_below(self, prefix: str) -> set[str]:
        return set(self.guard.captured.refs(f"refs/stateguard/{prefix}"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    root = tmp_path_factory.mktemp("kept")
    source = root / "source"
    (source / "conversations").mkdir(parents=True)
    (source / "plain.conf").write_text("n = 0\n", encoding="utf-8")
    (source / TALK).write_text('{"content": "hello"}\n', encoding="utf-8")
    driver = Kept(root, source)
    driver.init("--no-baseline")
    with (driver.home / "guard.yaml").open("a", encoding="utf-8") as settings:
        settings.write(RETENTION)
    sh("cp", "-a", driver.home, root / "home-as-made")
    sh("cp", "-a", driver.live, root / "live-as-made")
    yield driver
    driver.close()


@pytest.fixture
def kept(made: Kept) -> Iterator[Kept]:
    """Lend the home as it was made."""
    for place in (made.home, made.live):
        sh("rm", "-rf", place)
        sh("cp", "-a", made.root / f"{place.name}-as-made", place)
    made.guard = compose(Home(made.home), lambda *_: None)
    made.turn()
    yield made
    made.guard.close()
    made.stop()


def test_confirmed_baselines_are_thinned_and_said_to_be(kept: Kept) -> None:
    for _ in range(5):
        kept.baseline()
    baselines, old = kept.guard.baselines, kept.guard.baselines.get(1).statement.snapshot
    assert kept.status()["maintenance"] is None
    kept.turn()
    assert kept.refs_below("snapshots/") == {baseline_ref(n) for n in (3, 4, 5)}
    assert not kept.guard.captured.has(old)
    assert {b.statement.number: b.thinned for b in baselines.all()} == {1: True, 2: True, 3: False, 4: False, 5: False}
    assert all(b.usable for b in baselines.all())
    assert [baselines.verify(n) for n in range(1, 6)] == [()] * 5
    entry = next(kept.guard.books.audit.newest_first())
    assert (entry["kind"], entry["body"]["baselines"]) == ("retention", [1, 2])
    error = kept.refused("rollback", "baseline/1", "--conversations", "restore", "--yes", status=1)
    assert "thinned" in error["message"]
    assert kept.ask("plan", "baseline/1")["target"]
    found = kept.status()["maintenance"]
    assert set(found["bytes"]) == {"captured.git", "repo.git"}
    assert all(size > 0 for size in found["bytes"].values())
    assert found["at"] <= now_text()
    assert kept.must("baseline", "list").count("thinned") == 2


def test_an_approved_one_stays_for_ever(kept: Kept) -> None:
    key = kept.root / "ann"
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    kept.must("trust", "add", "ann", "--ssh", f"{key}.pub", "--role", "baseline")
    kept.must("baseline", "create", "--force", "--sign", key)
    for _ in range(4):
        kept.baseline()
    kept.turn()
    found = {b.statement.number: b for b in kept.guard.baselines.all()}
    assert found[1].statement.grade is Grade.APPROVED
    assert [n for n, b in sorted(found.items()) if b.thinned] == [2]
    assert kept.guard.baselines.verify(1) == ()


def test_one_that_an_incident_may_need_stays(kept: Kept) -> None:
    kept.baseline()
    incident = kept.guard.store.open_incident("t", Severity.HIGH, "x", "guard", "s", None)
    for _ in range(4):
        kept.baseline()
    kept.turn()
    assert {1, 3, 4, 5} == {int(ref.rpartition("/")[2]) for ref in kept.refs_below("snapshots/baseline/")}
    kept.guard.store.become(incident.id, IncidentState.RESOLVED, "x")
    kept.turn()
    assert {3, 4, 5} == {int(ref.rpartition("/")[2]) for ref in kept.refs_below("snapshots/baseline/")}


def test_backups_go_but_not_what_is_unfinished_or_under_inquiry(kept: Kept) -> None:
    guard = kept.guard
    operations = [guard.books.journal.open("apply", "guard", "r").id for _ in range(7)]
    for operation in operations[1:]:
        guard.books.journal.close(operation, "succeeded", {})
    for operation in operations:
        kept.aged(backup_ref(operation), days=2)
    kept.aged(f"{backup_ref(operations[3])}-displaced", days=2)
    kept.snapshot("refs/stateguard/backups/of-somebody")
    incident = guard.store.open_incident("t", Severity.HIGH, "x", "guard", "s", None)
    guard.store.tie(incident.id, operations[2])
    old = guard.captured.ref(backup_ref(operations[3])) or ""
    before = kept.refs_below("backups/")
    kept.turn()
    gone = {f"refs/stateguard/backups/{operations[3]}", f"refs/stateguard/backups/{operations[3]}-displaced",
            f"refs/stateguard/backups/{operations[1]}", f"refs/stateguard/backups/{operations[4]}"}  # fmt: skip
    assert before - kept.refs_below("backups/") >= gone
    assert {backup_ref(operations[n]) for n in (0, 2, 5, 6)} <= kept.refs_below("backups/")
    assert "refs/stateguard/backups/of-somebody" in kept.refs_below("backups/")
    assert not guard.captured.has(old)


def test_closed_lines_of_snapshots_go_by_count_and_the_growing_one_stays(kept: Kept) -> None:
    number = kept.baseline()
    tips = []
    for _ in range(3):
        kept.snapshot(running_ref(number))
        tips.append(kept.snapshot(running_ref(number)))
        close_line(kept.guard.captured, number)
    growing = kept.snapshot(running_ref(number))
    kept.turn()
    assert kept.refs_below("snapshots/earlier/") == {f"{earlier_refs(number)}3"}
    assert [kept.guard.captured.has(tip) for tip in (*tips, growing)] == [False, False, True, True]


def test_what_watermarks_refer_to_stays_readable(kept: Kept) -> None:
    guard = kept.guard
    kept.snapshot(running_ref(0))
    ended = guard.watermarks.of(TALK)[-1].digest
    close_line(guard.captured, 0)
    (kept.live / TALK).write_text('{"content": "begun anew"}\n', encoding="utf-8")
    for _ in range(2):
        kept.snapshot(running_ref(0))
        kept.snapshot(running_ref(0))
        close_line(guard.captured, 0)
    kept.turn()
    assert len(kept.refs_below("snapshots/earlier/")) == 2
    assert ended in guard.watermarks.needed()
    assert guard.captured.blob(ended)
    assert guard.captured.ref(MARKED) is not None


def test_nothing_is_done_while_somebody_waits_and_later_it_is(kept: Kept) -> None:
    for _ in range(4):
        kept.baseline()
    with pytest.raises(CalledOffError):
        kept.turn(busy=True)
    assert len(kept.refs_below("snapshots/baseline/")) == 4
    kept.turn()
    assert len(kept.refs_below("snapshots/baseline/")) == 3


def test_a_trusted_mirror_drops_the_same_and_stays_in_sync(kept: Kept) -> None:
    place = bare(kept.root / "mirror.git")
    settings, mirror = kept.home / "guard.yaml", f"mirrors: [{{name: m, url: '{place}', trusted: true}}]"
    settings.write_text(settings.read_text(encoding="utf-8").replace("mirrors: []", mirror), encoding="utf-8")
    for _ in range(4):
        kept.baseline()
    kept.snapshot(running_ref(4))
    kept.must("mirror", "sync")
    kept.turn()
    kept.must("mirror", "sync")
    (mirror,) = kept.ask("mirror", "status")["mirrors"]
    assert mirror["state"] == "IN_SYNC"
    there = git(place, "for-each-ref", "--format=%(refname)", "refs/captured").split()
    here = git(kept.home / "captured.git", "for-each-ref", "--format=%(refname)").split()
    assert there == [ref.replace("refs/", "refs/captured/", 1) for ref in here]
    assert len([ref for ref in there if "/baseline/" in ref]) == 3
    kept.must("mirror", "verify", "--complete")


def test_a_step_of_a_transition_calls_it_off(kept: Kept) -> None:
    kept.snapshot(running_ref(0))
    before = extent(kept.guard.captured.path)

    def a_transition_begins() -> bool:
        maintenance.step_aside()  # when git is about to be started for it
        return False

    maintenance = Maintenance(kept.guard, a_transition_begins, many=Extent(0, 0))
    with pytest.raises(CalledOffError):
        maintenance.turn()
    assert extent(kept.guard.captured.path) == before
    Maintenance(kept.guard, lambda: False, many=Extent(0, 0)).turn()
    assert extent(kept.guard.captured.path) == Extent(0, 1)


def test_a_guard_that_ends_waits_for_nothing(kept: Kept) -> None:
    for _ in range(4):
        kept.baseline()
    mark = kept.guard.store.marked(MARK)
    mark["since"]["boot_seconds"] -= 2.0
    kept.guard.store.mark(MARK, mark)
    maintenance = Maintenance(kept.guard, lambda: False)
    maintenance.start()
    assert kept.guard.wake.wait(60), "the short part is wished for, and nobody comes"
    began = boot_seconds()
    maintenance.stop()
    assert boot_seconds() - began < 30
    assert kept.guard.store.marked(MARK)["owed"]
    kept.turn()
    assert not kept.guard.store.marked(MARK)["owed"]


def test_a_disk_that_is_nearly_full_is_left_to_the_guard(kept: Kept) -> None:
    kept.snapshot(running_ref(0))
    before = extent(kept.guard.captured.path)
    with pytest.raises(StorageError, match=r"needs .* for a while"):
        Maintenance(kept.guard, lambda: False, many=Extent(0, 0), spare_bytes=2**60).turn()
    assert extent(kept.guard.captured.path) == before


def test_a_home_interrupted_between_the_refs_and_the_objects_is_released_later(kept: Kept) -> None:
    for _ in range(4):
        kept.baseline()
    snapshot = kept.guard.baselines.get(1).statement.snapshot
    assert let_go(kept.guard).baselines == (1,)
    kept.guard.store.mark(MARK, kept.guard.store.marked(MARK) | {"owed": True})  # killed here
    kept.turn()
    assert not kept.guard.captured.has(snapshot)
    assert not kept.guard.store.marked(MARK)["owed"]


def test_a_running_guard_does_it_by_itself(kept: Kept) -> None:
    for _ in range(4):
        kept.baseline()
    snapshot = kept.guard.baselines.get(1).statement.snapshot
    kept.guard.close()
    kept.start(health="")
    captured = kept.home / "captured.git"
    eventually(lambda: git(captured, "cat-file", "-t", snapshot, check=False) == "", 60)
    kept.wait(lambda s: s["guard"]["running"] and s["maintenance"])
    found = {f["check"]: f["level"] for f in kept.ask("doctor")["findings"]}
    assert found["growth"] == "ok"
