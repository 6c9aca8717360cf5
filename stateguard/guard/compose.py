"""Build everything a guard works with, from its home."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from stateguard.admission.known import Known
from stateguard.admission.references import Keeper
from stateguard.agents.choose import make_runtime
from stateguard.agents.runtime import GuardRuntime
from stateguard.config.sections import literal
from stateguard.errors import AgentsError, StorageError
from stateguard.guard.keeping import Keeping, NotHandedOn
from stateguard.guard.remembered import Remembered, Scanners
from stateguard.guard.settings import Settings
from stateguard.host.database import Database
from stateguard.host.home import Home
from stateguard.host.logs import warn
from stateguard.host.reach import Reach
from stateguard.host.sandbox import Sandbox, choose, within
from stateguard.host.space import Relief
from stateguard.host.walk import keep_apart
from stateguard.live.scan import Scanner
from stateguard.live.tracked import Tracked
from stateguard.mirror.store import MirrorStore
from stateguard.mirror.sync import Sources, Syncing
from stateguard.mirror.witness import Witness
from stateguard.model.identity import APPLIED, MAIN
from stateguard.model.incident import Incident
from stateguard.model.policy import HostSettings, System, Trigger
from stateguard.model.transition import Direction, OperationRecord, Step, StepName
from stateguard.observe.prober import Prober
from stateguard.observe.selftest import Trials
from stateguard.record.approval import Approvals
from stateguard.record.audit import Audit
from stateguard.record.baseline import Baselines, Places
from stateguard.record.changes import Changes
from stateguard.record.people import People
from stateguard.record.watermarks import Watermarks
from stateguard.respond.carry import Carrier
from stateguard.respond.failed import FailedApply
from stateguard.respond.reporting import Reporter
from stateguard.respond.responder import Responder
from stateguard.respond.store import Store
from stateguard.state.spool import SpooledRepository
from stateguard.transition.archive import Archive, Kept
from stateguard.transition.declared import Declared
from stateguard.transition.engine import Engine
from stateguard.transition.footing import Footing
from stateguard.transition.journal import Journal, Operation
from stateguard.transition.operations import Books, Operations, Recorder
from stateguard.transition.prepare import Preparation
from stateguard.transition.stages import Parts, Stages
from stateguard.transition.validate import Watch
from stateguard.trust.keys import load_guard_key, load_pinned
from stateguard.trust.ssh import SigningKey

IDENTITY = "identity"
"""File in ``trust/`` with the id of this home and its repository."""


@dataclass(slots=True)
class Guard:
    """The parts of one guard. Its methods only answer what follows from refs and settings."""

    home: Home
    identity: str
    database: Database
    repository: SpooledRepository
    captured: SpooledRepository
    books: Books
    store: Store
    archive: Archive
    tracked: Tracked
    watermarks: Watermarks
    baselines: Baselines
    secrets: Keeping
    people: People
    changes: Changes
    approvals: Approvals
    operations: Operations
    responder: Responder
    failed: FailedApply
    reporter: Reporter
    runtime: GuardRuntime
    sandbox: Sandbox
    reach: Reach
    prober: Prober
    trials: Trials
    watch: Watch
    mirrors: Syncing
    wake: threading.Event
    live: Path
    kept_settings: Settings

    @property
    def settings(self) -> HostSettings:
        """guard.yaml as it is now, or as it was last valid: changes of arming take effect at once."""
        return self.kept_settings.now()

    @property
    def applied(self) -> str:
        """The commit that is live; empty before the first apply."""
        return self.repository.ref(APPLIED) or ""

    @property
    def main(self) -> str:
        """The head of main; empty before the first commit."""
        return self.repository.ref(MAIN) or ""

    @property
    def system(self) -> System:
        """What the live commit declares."""
        return self.books.declared.system(self.applied)

    @property
    def keeper(self) -> Keeper:
        """Who knows which secrets agents would get."""
        return self.secrets if self.settings.needs_commands else NotHandedOn()

    def scanner(self) -> Scanner:
        """Return the scanner of the live directory under the rules in force."""
        return self._scanner()

    remember: Callable[[], None]
    """Keeps what is known of a large state for the guard after this one."""
    _scanner: Callable[[], Scanner]
    known: Known = field(default_factory=Known)

    def fail(self, operation: Operation, detail: str) -> tuple[Incident, OperationRecord | None]:
        """Respond to an apply that does not work, within arming: the incident, and the rollback if there was one."""
        level, suspended = self.settings.arming[Trigger.APPLY], bool(self.store.marked("suspended"))
        return self.failed.respond(operation, detail, level, suspended=suspended)

    def supervise(self) -> None:
        """Take over running agents and begin to probe: from here on this process is the guard."""
        system = self._system_in_flight() or self.system
        self.runtime.adopt(system.agents)
        self.prober.configure(system.probes)

    def look(self) -> None:
        """See which agents run, without taking them over: for reading while no guard is at work."""
        self.runtime.look(self.system.agents)

    def start_missing(self, revision: str = "", but: Collection[str] = ()) -> list[str]:
        """Start the agents of a commit (else the live one) that are stopped, but for some; returns their names."""
        applied = revision or self.applied
        system, statuses = self.books.declared.system(applied), self.runtime.statuses()
        stopped = [n for n in system.agents if n not in statuses or str(statuses[n].state) == "STOPPED"]
        missing = [n for n in stopped if n not in but]
        if revision and missing:
            self.prober.configure(system.probes)
        for name in missing:
            try:
                self.runtime.start(system.agents[name], applied)
            except AgentsError as error:
                warn("an agent could not be started", agent=name, error=error.message)
            self.prober.begin([p.id for p in system.agents[name].probes])
        if missing:
            self.prober.begin([p.id for p in system.probes if p.agent is None])
        return missing

    def close(self) -> None:
        """Let go of everything; the agents stay running."""
        self.remember()
        self.mirrors.cancel.cancel()
        self.prober.close()
        self.runtime.close()
        self.database.close()

    def _system_in_flight(self) -> System | None:
        """Return what the agents of the last interrupted transition were started from, if it came so far."""
        for operation in reversed(self.books.journal.unfinished()):
            if operation.plan is None:
                continue
            begun = {
                e.step.name for e in self.books.journal.entries(operation.id) if e.step.direction is Direction.FORWARD
            }
            back = any(e.step.direction is Direction.BACK for e in self.books.journal.entries(operation.id))
            started = StepName.START in begun and not back
            return self.books.declared.system(operation.plan.target if started else operation.plan.source)
        return None


def read_identity(home: Home) -> str:
    """Read the id of a home.

    Raises:
        StorageError: it cannot be read.
    """
    path = home.trust / IDENTITY
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read"
        raise StorageError(message, next_step="put it back from your backup") from error


def compose(home: Home, announce: Callable[[Operation, Step], None]) -> Guard:
    """Open a home and build its guard; nothing is started or changed yet.

    Raises:
        StateguardError: something in the home is missing or damaged.
    """
    kept, identity = Settings(home), read_identity(home)
    live, signing = Path(kept.now().live), _Signing(home)
    repository, captured = (SpooledRepository(p, home.spool / p.name) for p in (home.repository, home.captured))
    database, footing = Database(home.database), Footing((captured, repository), Relief(home.reserve))
    journal, store, audit = Journal(database), Store(database), Audit(repository, database, signing.sign)
    inside, remembered = home.inside(live), Remembered(home, live)
    tested, wake, digests = Trials(database), threading.Event(), remembered.digests()
    declared = Declared(repository, [literal(inside)] if inside else [], tested.flaky)
    books, secrets = Books(repository, journal, audit, declared, signing.sign, digests), Keeping(home, repository)
    sandbox, reach, runtime, prober = _running(home, live, identity, kept, wake, secrets)
    watch, watermarks, recorder = Watch(prober, runtime, wake), Watermarks(database), Recorder(books, runtime)
    scanner, tracked, archive = _looking(live, Kept(repository, captured, watermarks, digests), declared, remembered)
    preparation = Preparation(declared, archive, scanner.current, runtime, prober, tracked, inside)
    parts = Parts(
        live, repository, captured, scanner.current, archive, runtime, prober, watch, declared.system, recorder.record,
        tracked.hold,
    )  # fmt: skip
    operations = Operations(books, preparation, Engine(journal, Stages(parts), announce, footing), footing)
    pinned, people = load_pinned(home.trust), People(home.trust, home.keys / "gnupg", database, audit)
    baselines = Baselines(Places(repository, captured, identity, database), audit, pinned, signing.key, people)
    reporter, carrier = Reporter(books, store, prober), Carrier(operations, store)
    return Guard(
        home=home,
        identity=identity,
        database=database,
        repository=repository,
        captured=captured,
        books=books,
        store=store,
        archive=archive,
        tracked=tracked,
        watermarks=watermarks,
        baselines=baselines,
        secrets=secrets,
        people=people,
        changes=Changes(people, database, audit, identity),
        approvals=Approvals(baselines, people, database, audit),
        operations=operations,
        responder=Responder(carrier, baselines, reporter),
        failed=FailedApply(carrier, recorder, reporter),
        reporter=reporter,
        runtime=runtime,
        sandbox=sandbox,
        reach=reach,
        prober=prober,
        trials=tested,
        watch=watch,
        mirrors=Syncing(Sources(repository, captured), MirrorStore(database), Witness(repository, pinned), home.run),
        wake=wake,
        live=live,
        kept_settings=kept,
        remember=lambda: scanner.keep(digests, archive),
        _scanner=scanner.current,
    )


def _looking(live: Path, kept: Kept, declared: Declared, remembered: Remembered) -> tuple[Scanners, Tracked, Archive]:
    """Return what looks at the live directory, what knows its drift, and what keeps what lies there."""
    scanners = Scanners(live, kept.repository, declared, remembered)
    tracked = Tracked(scanners.current, lambda one, other: declared.differing(one, other).paths)
    archive = Archive(kept, declared, scanners.current, tracked)
    remembered.recall(archive)
    return scanners, tracked, archive


def _running(
    home: Home, live: Path, identity: str, kept: Settings, wake: threading.Event, secrets: Keeping
) -> tuple[Sandbox, Reach, GuardRuntime, Prober]:
    """Return what keeps what a push chose from the home and from networks, and who uses it: agents and probes."""
    settings, reach = kept.now(), Reach(lambda: kept.now().probe_networks)
    outside = os.path.realpath(home.root) if home.inside(live) else ""
    keep_apart(live, home.root, within(home.root, live) or outside)
    sandbox = choose(home.root, live, settings.agents_user, confine=settings.confine)
    runtime = make_runtime(settings.runtime, live, home, identity, lambda _: wake.set(), sandbox, reach, secrets.value)
    prober = Prober(live, lambda _: wake.set(), sandbox=sandbox, reach=reach, conceal=secrets.conceal)
    return sandbox, reach, runtime, prober


class _Signing:
    """Loads the guard's key when it is first needed: reading commands work without it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._key: SigningKey | None = None

    def key(self) -> SigningKey:
        if self._key is None:
            self._key = load_guard_key(self._home.keys)
        return self._key

    def sign(self, content: bytes) -> str:
        return self.key().sign(content)
