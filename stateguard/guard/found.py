"""Found a guard home: repositories with hooks, keys, trust, database; the first commit, applied; baseline/1."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pygit2.enums import ObjectType

from stateguard.admission.admit import judge
from stateguard.config.defaults import default_policy
from stateguard.config.host import host_document
from stateguard.config.problem import InvalidDocument
from stateguard.config.runtime import EMBEDDED
from stateguard.config.sections import literal
from stateguard.config.state import STATE_FILE
from stateguard.errors import (
    AgentsError,
    NotFoundError,
    RefusedError,
    StateguardError,
    StorageError,
    TrustError,
    UsageProblemError,
)
from stateguard.guard.admit import tree_reader
from stateguard.guard.applies import Say
from stateguard.guard.attach import choose, require_none
from stateguard.guard.commands.desk import nobody
from stateguard.guard.compose import IDENTITY, Guard, compose
from stateguard.guard.gather import Directory, Gathered, policy_of
from stateguard.guard.hooks import install_hooks
from stateguard.guard.selftest import lines, selftest
from stateguard.host import files
from stateguard.host.clock import boot_seconds, now_text, wall_seconds
from stateguard.host.home import Home
from stateguard.host.lock import WriterLock
from stateguard.host.process import directory_of
from stateguard.live.lock import claim
from stateguard.model.health import ALIVE, AgentState
from stateguard.model.identity import APPLIED, MAIN, ZERO, person
from stateguard.model.mirror import MirrorSpec
from stateguard.model.policy import SHIPPED_ARMING, HostSettings
from stateguard.model.transition import Kind, Outcome, Step
from stateguard.model.tree import REGULAR, Entry
from stateguard.model.trust import Key, Role, is_person_name
from stateguard.record import audit
from stateguard.state import trees
from stateguard.state.batch import Batch
from stateguard.state.forward import signed_commit
from stateguard.state.repository import RefMove, Repository
from stateguard.text.words import count, joined, seconds
from stateguard.transition.journal import Operation
from stateguard.transition.prepare import Wish
from stateguard.trust.keys import create_guard_key
from stateguard.trust.people import added, gpg_key, ssh_key
from stateguard.trust.signing import Signing


@dataclass(frozen=True, slots=True)
class Founding:
    """What a new home is made from.

    ``source`` None: an empty state; ``signing`` None: the guard signs baseline/1; ``runtime``: as guard.yaml says it.
    ``attach`` looks for agents that run already, ``processes`` are agents' processes that a person named.
    ``probe_runs`` is how often each probe is tried, ``progress`` hears how far that is.
    """

    home: Home
    source: Path | None
    live: Path
    baseline: bool
    user: str
    mirrors: tuple[MirrorSpec, ...] = ()
    signing: Signing | None = None
    runtime: object = EMBEDDED
    attach: bool = False
    processes: Mapping[str, int] = field(default_factory=dict)
    probe_runs: int = 0
    progress: Callable[[int, int, str], None] = nobody

    @property
    def settings(self) -> HostSettings:
        """What its guard.yaml says at first, but for the runtime."""
        return HostSettings(str(self.live), SHIPPED_ARMING, name=os.uname().nodename, mirrors=self.mirrors)


def found(
    founding: Founding, say: Say, announce: Callable[[Operation, Step], None] = lambda *_: None
) -> dict[str, Any]:
    """Make a guard home; what fails before the first commit is applied leaves no home behind.

    Raises:
        RefusedError: there is a home already, the state is not valid, or its probes are red.
        StateguardError: something could not be written.
    """
    home = founding.home
    if home.exists():
        message = f"{home.root} is a guard home already"
        raise RefusedError(message, next_step=f"use it: stateguard --home {home.root} status")
    if founding.source is not None and not founding.source.is_dir():
        raise NotFoundError(f"{founding.source} is no directory", next_step="name the directory that holds your state")
    _check_places(founding)
    _check_settings(founding)
    key = _founders_key(founding)
    fresh = not home.root.exists()
    try:
        home.create()
    except OSError as error:
        raise StorageError(f"{home.root} cannot be made: {error.strerror}") from error
    try:
        with WriterLock(home.writer_lock, "init").acquire():
            return _found(founding, key, say, announce)
    except StateguardError:
        if fresh and not home.exists():
            _remove_tree(home.root)
        raise


def _found(
    founding: Founding, key: Key | None, say: Say, announce: Callable[[Operation, Step], None]
) -> dict[str, Any]:
    home = founding.home
    _furnish(founding)
    guard = compose(home, announce)
    try:
        try:
            taken = _gathered(guard, founding)
            revision = _first_commit(guard, taken)
            _check_ground(guard, founding, revision)
            running = _meet(guard, founding, revision)
            _check_directories(guard, founding)
            claim(guard.live, guard.identity, home.root)
            say(f"imported {count(len(taken.paths), 'file')} as {revision[:10]}")
            for line in taken.lines():
                say(line)
            if running:
                say(f"{count(len(running), 'agent runs', 'agents run')} already: {joined(running)}")
        except StateguardError:
            _forget(home)
            raise
        return _first_apply(guard, founding, revision, key, say) | {"taken": taken.as_json()}
    finally:
        guard.close()


def _check_places(founding: Founding) -> None:
    live, root = founding.live, founding.home.root
    if founding.source is not None and root == founding.source:
        raise UsageProblemError("the guard home cannot be the directory it guards", next_step="choose another --home")
    if live == root:
        raise UsageProblemError("the live directory cannot be the guard home itself", next_step="choose another --live")


def _check_settings(founding: Founding) -> None:
    try:
        host_document(founding.settings)
    except InvalidDocument as error:
        said = "; ".join(problem.message for problem in error.problems)
        raise UsageProblemError(f"these settings cannot be: {said}", next_step="see: stateguard init --help") from error


def _furnish(founding: Founding) -> None:
    home = founding.home
    identity = secrets.token_hex(16)
    served = Repository.create(home.repository, served=True)
    Repository.create(home.captured, served=False)
    install_hooks(served.path)
    create_guard_key(home.keys, home.trust)
    files.replace(home.trust / IDENTITY, identity.encode() + b"\n", 0o644)
    founding.live.mkdir(parents=True, exist_ok=True)
    files.replace(home.settings, host_document(founding.settings, founding.runtime).encode(), 0o600)


def _gathered(guard: Guard, founding: Founding) -> Gathered:
    """Take what the source holds; conversations of a system in use are its own and stay where they are."""
    if founding.source is None:
        text = b"apiVersion: stateguard/v1\n"
        return Gathered({STATE_FILE: Entry(REGULAR, guard.repository.write(ObjectType.BLOB, text))})
    inside = founding.home.inside(founding.source)
    policy = policy_of(founding.source, [literal(inside)] if inside else [])
    in_use = founding.source.samefile(founding.live)
    taken = Directory(founding.source, guard.repository, policy).gather(captured=not in_use)
    return replace(taken, ignored=tuple(p for p in taken.ignored if p != f"{inside}/"))


def _first_commit(guard: Guard, taken: Gathered) -> str:
    batch = Batch(guard.repository)
    tree = trees.build(batch, taken.paths)
    batch.flush()
    commands = guard.settings.needs_commands
    secrets = None if commands else guard.keeper  # a home has to be there before any can be set
    verdict = judge(tree_reader(guard.repository, tree), None, default_policy(), commands=commands, secrets=secrets)
    if verdict.problems:
        lines = "\n".join(p.text() for p in verdict.problems[:20])
        raise RefusedError(
            f"the state is not valid:\n{lines}", next_step="mend it and try again; stateguard validate DIR"
        )
    message = "Take the state under guard\n"
    return signed_commit(guard.repository, tree, [], message, wall_seconds(), guard.books.signer)


def _check_ground(guard: Guard, founding: Founding, revision: str) -> None:
    """Refuse where the live directory holds something else than the state: what lies there is not ours to replace."""
    try:
        guard.operations.preparation.check(Wish(Kind.APPLY, "", revision))
    except RefusedError as error:
        message = f"the live directory holds something else than the state: {error.message}"
        hint = f"take it as it is: stateguard init --from {founding.live} --live {founding.live}; or move it away"
        raise RefusedError(message, next_step=hint) from error


def _meet(guard: Guard, founding: Founding, revision: str) -> list[str]:
    """Take over the agents that run already, and return their names; what somebody else runs must be known there."""
    system = guard.books.declared.system(revision)
    guard.runtime.adopt(system.agents)
    statuses = guard.runtime.statuses().values()
    silent = [s.message for s in statuses if s.state is AgentState.UNKNOWN]
    wrong = silent[:1] or [f"{s.name}: {s.message}" for s in statuses if s.state is AgentState.FATAL]
    if wrong:
        raise AgentsError("\n".join(wrong), next_step="check the runtime and its programs, then run init again")
    _attach(guard, founding, revision)
    statuses = guard.runtime.statuses().values()
    guard.prober.configure(system.probes)
    return sorted(s.name for s in statuses if s.state in ALIVE)


def _check_directories(guard: Guard, founding: Founding) -> None:
    """Refuse to guard a copy beside the directory in which the agents really run: no push would ever reach them."""
    source, live = founding.source, founding.live
    if source is None or source.samefile(live):
        return
    for status in guard.runtime.statuses().values():
        at = directory_of(status.pid) if status.pid else None
        if at is not None and at.is_relative_to(source.resolve()) and not at.is_relative_to(live.resolve()):
            message = f"{status.name} runs in {at}, not in the live directory {live}: what is pushed would not reach it"
            raise RefusedError(message, next_step=f"stateguard init --from {source} --live {source}")


def _attach(guard: Guard, founding: Founding, revision: str) -> None:
    agents, runtime = guard.books.declared.system(revision).agents, guard.runtime
    unknown = sorted(founding.processes.keys() - agents.keys())
    if unknown:
        raise NotFoundError(f"there is no agent {unknown[0]!r}", next_step=f"agents: {', '.join(sorted(agents))}")
    for name, pid in founding.processes.items():
        runtime.attach(agents[name], pid, revision)
    if not founding.attach:
        require_none(runtime, agents)
        return
    for name, pid in choose(runtime, agents).items():
        runtime.attach(agents[name], pid, revision)


def _forget(home: Home) -> None:
    """Remove the settings, so that what was begun is no guard home."""
    home.settings.unlink(missing_ok=True)
    for repository in (home.repository, home.captured):
        _remove_tree(repository)


def _remove_tree(path: Path) -> None:
    for directory, names, filenames in os.walk(path, topdown=False):
        for name in filenames:
            Path(directory, name).unlink()
        for name in names:
            Path(directory, name).rmdir()
    if path.is_dir():
        path.rmdir()


def _first_apply(guard: Guard, founding: Founding, revision: str, key: Key | None, say: Say) -> dict[str, Any]:
    actor = person(founding.user)
    guard.books.audit.append(
        [audit.Entry("init", actor, {"identity": guard.identity, "moves": [[MAIN, ZERO, revision]]})],
        [RefMove(MAIN, revision, ZERO)],
    )
    if key is not None:
        _pin_founder(guard, founding, key)
    operation = guard.books.journal.open("apply", actor, "stateguard init", {"target": revision, "was_well": True})
    window = guard.books.declared.system(revision).policy.confirm_window_seconds
    agents = guard.books.declared.system(revision).agents
    idle = [s for s in guard.runtime.statuses().values() if s.state not in ALIVE]
    if agents and founding.baseline:
        begin = f"starting {count(len(idle), 'agent')}, then " if idle else ""
        say(f"{begin}watching {count(len(agents), 'agent')} for one confirm window ({seconds(window)})")
    wish = Wish(Kind.APPLY, "", revision, hold=founding.baseline and bool(agents), record={"main": "keep"})
    ended = guard.operations.transition(operation, lambda: wish)
    if ended.outcome is not Outcome.SUCCEEDED:
        if guard.applied != revision:
            body = {"operation": operation.id, "moves": [[APPLIED, ZERO, revision]]}
            guard.books.audit.append([audit.Entry("ref", actor, body)], [RefMove(APPLIED, revision, ZERO)])
        guard.operations.finish(operation, Outcome.FAILED, ended.detail)
        message = f"the home is made, but the system is not well: {ended.detail}"
        hint = f"mend it by a push to {guard.repository.path}; see stateguard --home {founding.home.root} status"
        raise RefusedError(message, changed="the home was made and its agents were started", next_step=hint)
    record = guard.operations.finish(operation, ended.outcome, ended.detail)
    document = {"home": str(founding.home.root), "live": str(founding.live), "revision": revision,
                "baseline": None, "operation": record.operation,
                "probes": _tried(guard, founding, say)}  # fmt: skip
    if founding.baseline:
        paths = guard.operations.preparation.keep_all(revision)
        evidence = {"health": "HEALTHY", "window_seconds": window}
        if founding.signing is None:
            baseline = guard.baselines.create(revision, paths, actor, evidence)
        else:
            draft = guard.approvals.prepare(revision, paths, evidence)
            say(f"signing baseline/1 with {founding.signing.fingerprint}")
            guard.approvals.submit(draft, _signature(founding, founding.signing, draft.unsigned), actor)
            baseline = guard.baselines.get(draft.statement.number)
        say(f"signed baseline/1, fingerprint {baseline.statement.fingerprint[:23]}")
        document["baseline"] = 1
    return document


def _tried(guard: Guard, founding: Founding, say: Say) -> list[dict[str, Any]]:
    """Try each probe of the system that is up now many times, before one of them is trusted with a rollback."""
    probes = guard.books.declared.literally(guard.applied).probes
    if not founding.probe_runs or not probes:
        return []
    began = boot_seconds()
    say(f"trying {count(len(probes), 'probe')}, {count(founding.probe_runs, 'run')} each")
    tested = selftest(guard, probes, founding.probe_runs, founding.progress)
    for text in lines(tested, boot_seconds() - began):
        say(text)
    found: list[dict[str, Any]] = tested["probes"]
    return found


def _founders_key(founding: Founding) -> Key | None:
    signing = founding.signing
    if signing is None:
        return None
    if not is_person_name(founding.user):
        message = f"{founding.user!r} cannot name a person whose key is trusted"
        raise UsageProblemError(message, next_step="run init as a user with a name of letters and digits")
    return gpg_key(signing.gpg, now_text()) if signing.gpg else ssh_key(signing.ssh, now_text())


def _pin_founder(guard: Guard, founding: Founding, key: Key) -> None:
    """Trust the key of whoever makes the home with everything, under that person's name."""
    before = guard.people.trust()
    after = added(before, founding.home.trust, founding.user, key, list(Role))
    body = {"action": "add", "name": founding.user, "key": key.fingerprint, "roles": [str(r) for r in Role]}
    guard.people.change(before, after, person(founding.user), body)


def _signature(founding: Founding, signing: Signing, unsigned: bytes) -> str:
    try:
        return signing.sign(unsigned)
    except TrustError as error:
        root = founding.home.root
        next_step = f"stateguard --home {root} run, then stateguard --home {root} baseline create --sign KEY"
        changed = "the home was made and its agents run; baseline/1 is not signed"
        raise TrustError(error.message, changed=changed, next_step=next_step) from error
