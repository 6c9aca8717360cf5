"""Journeys that faults strike: what is begun, from which home, and where it may end."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from pygit2.enums import ObjectType

from drifts import drift
from faults.processes import Note
from faults.system import BREAKS, CHANGE, MANY
from stateguard import faults
from stateguard.guard.applies import Applies
from stateguard.guard.compose import Guard
from stateguard.guard.healing import Healer
from stateguard.host.clock import now_text
from stateguard.live.watch import Watcher
from stateguard.model.tree import REGULAR, SYMLINK, Entry
from stateguard.model.trust import Role
from stateguard.respond.responder import Back
from stateguard.respond.withdraw import Target
from stateguard.state import trees
from stateguard.state.commits import raw_commit
from stateguard.trust.people import added, ssh_key
from stateguard.trust.ssh import SigningKey
from transition.setting import Setting

PERSON = SigningKey.generate()
"""The key of ann, who approves baselines."""


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of a home before a journey: the two commits it may end at, and the length of what is kept."""

    old: str
    new: str
    audit: int
    baselines: int


def set_out(setting: Setting, journey: Journey) -> Before:
    """Bring a home to where a journey begins, with a baseline of either grade; returns what is known of it then."""
    guard = setting.guard
    known = guard.people.trust()
    key = ssh_key(PERSON.public.line, now_text())
    trusted = added(known, guard.home.trust, "ann", key, (Role.PUSH, Role.BASELINE))
    guard.people.change(known, trusted, "person:ann", {})
    approve(guard, lambda _: None)
    change, guard = journey.prepare(setting), setting.guard
    for name in ("helper", "parent"):
        assert guard.runtime.stop(name)
    return Before(guard.main, change, guard.books.audit.length(), guard.baselines.highest())


def approve(guard: Guard, note: Note) -> None:
    """Prepare a baseline of what is live, sign it as ann, and hand it in; notes what was acknowledged of it."""
    paths = guard.operations.preparation.keep_all(guard.applied)
    draft = guard.approvals.prepare(guard.applied, paths, {})
    note(("prepared", draft.unsigned))
    signature = PERSON.sign(draft.unsigned)
    guard.approvals.submit(guard.approvals.prepared(draft.unsigned, guard.applied), signature, "person:ann")
    made = guard.baselines.get(draft.statement.number)
    note(("baseline", (made.statement.number, str(made.statement.grade), made.signer)))


def commit(setting: Setting, changes: Mapping[str, str | None]) -> str:
    """Write a commit on main's head with these files changed, None: removed; the tool is no program in it."""
    repository = setting.guard.repository
    paths = dict(setting.guard.books.declared.paths(setting.guard.main))
    for path in [path for path, text in changes.items() if text is None]:
        del paths[path]
    for path, text in changes.items():
        if text is not None:
            mode = SYMLINK if text.startswith("-> ") else REGULAR
            paths[path] = Entry(mode, repository.write(ObjectType.BLOB, text.removeprefix("-> ").encode()))
    raw = raw_commit(trees.build(repository, paths), [setting.guard.main], "Change\n", 1_800_000_000, "ann <ann@x.org>")
    return repository.write(ObjectType.COMMIT, raw)


class Journey(ABC):
    """A transition that faults strike. Where it ends well is ``ends``: at the old commit's state or the new one's.

    ``begins`` says that it does not begin with a recovery, ``signs`` that it makes a baseline.
    """

    ends, begins, signs = "new", True, False

    @abstractmethod
    def prepare(self, setting: Setting) -> str:
        """Bring a home to where the journey begins; returns the commit that it goes to."""

    @abstractmethod
    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Carry it out, and note what was acknowledged."""

    def goes_on(self, guard: Guard, note: Note) -> None:  # noqa: B027 - most have nothing to go on with
        """Do what a guard at work does after it has recovered."""


class Apply(Journey):
    """A push that works."""

    changes: Mapping[str, str | None] = CHANGE

    def prepare(self, setting: Setting) -> str:
        """Write the commit."""
        return commit(setting, self.changes)

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Push it."""
        answer = Applies(guard).receive("push", before.old, before.new, (), "ann", lambda _: None)
        note(("answered", answer.accepted))


class Many(Apply):
    """A push of so many files that they are flushed together."""

    changes = MANY


class Failing(Apply):
    """A push that breaks an agent: tried, and put back."""

    changes, ends = BREAKS, "old"


class Rollback(Journey):
    """A person's rollback to the first baseline."""

    def prepare(self, setting: Setting) -> str:
        """Apply something first."""
        good = setting.guard.main
        assert setting.push(commit(setting, CHANGE)).accepted
        return good

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Roll back."""
        record = guard.responder.back(Back(Target(before.new, "baseline/1", "asked for", 1), "person:ann", "because"))
        note(("answered", str(record.outcome) == "succeeded"))


class Heal(Journey):
    """Drift that is put back without asking."""

    ends = "old"

    def prepare(self, setting: Setting) -> str:
        """Change what nobody but a push may change."""
        config = setting.guard.live / "config"
        config.joinpath("helper.txt").write_text("drifted\n")
        config.joinpath("gone.txt").unlink()
        config.joinpath("swap").unlink()
        config.joinpath("swap").symlink_to("shared.txt")
        config.joinpath("shared.txt").chmod(0o755)
        return setting.guard.main

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Look, and put back."""
        del before
        wanted = guard.books.declared.desired(guard.applied)
        drifted = drift(wanted, guard.scanner().observe(sorted(wanted)))
        watcher = Watcher(guard.live, guard.scanner().rules, lambda _: None)
        note(("answered", Healer(guard, watcher).heal(drifted)))


class Recovering(Apply):
    """A push whose guard was killed while it wrote, and whose agents died with it: what a start after that does."""

    begins = False

    def prepare(self, setting: Setting) -> str:
        """Push, and cut it short."""
        new = commit(setting, self.changes)
        faults.arm("live.put:3:cut")
        with contextlib.suppress(faults.Cut):
            Applies(setting.guard).receive("push", setting.guard.main, new, (), "ann", lambda _: None)
        faults.arm(None)
        return new

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Nothing is left to begin: waking the guard is the journey."""


class Confirm(Journey):
    """The guard signs what is live as a baseline; nothing else changes."""

    ends, signs = "old", True

    def prepare(self, setting: Setting) -> str:
        """Need nothing."""
        return setting.guard.main

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Sign it."""
        del before
        paths = guard.operations.preparation.keep_all(guard.applied)
        made = guard.baselines.create(guard.applied, paths, "guard", {})
        note(("baseline", (made.statement.number, str(made.statement.grade), made.signer)))


class Approve(Confirm):
    """A person signs what is live as a baseline."""

    def begin(self, guard: Guard, before: Before, note: Note) -> None:
        """Prepare it, sign it, hand it in."""
        del before
        approve(guard, note)


JOURNEYS: dict[str, Journey] = {
    "apply": Apply(),
    "failing": Failing(),
    "many": Many(),
    "rollback": Rollback(),
    "heal": Heal(),
    "recover": Recovering(),
    "confirm": Confirm(),
    "approve": Approve(),
}
