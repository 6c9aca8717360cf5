"""Admission of a push, in quarantine: the same with and without the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stateguard.admission.admit import Verdict, judge
from stateguard.admission.refs import RefUpdate, ref_problems
from stateguard.admission.tree import Tree
from stateguard.config.problem import Problem
from stateguard.config.sections import PathRules
from stateguard.errors import StateguardError
from stateguard.guard.budget import Deadline, Spending, changed_problems, weight_problems
from stateguard.guard.compose import Guard
from stateguard.guard.emergency import admitted, emergency_of
from stateguard.guard.gitleaks import on_path
from stateguard.guard.lockdown import lock_problems
from stateguard.guard.objects import Forms
from stateguard.guard.secrets import Search, told_of
from stateguard.guard.selftest import notes
from stateguard.guard.signatures import signature_of, signature_problems
from stateguard.host.clock import boot_seconds
from stateguard.model.identity import MAIN, ZERO, person
from stateguard.model.policy import Policy, System
from stateguard.model.tree import summary
from stateguard.record.audit import Entry
from stateguard.state import trees
from stateguard.state.repository import Repository
from stateguard.state.treemap import TreeMap
from stateguard.text.escape import line
from stateguard.text.words import count, seconds
from stateguard.transition.declared import captured_paths

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Admission:
    """The verdict on a push as the pusher sees it."""

    admitted: bool
    lines: tuple[str, ...]
    problems: tuple[Problem, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as it crosses the control socket."""
        return {
            "admitted": self.admitted,
            "lines": list(self.lines),
            "problems": [p.as_json() for p in self.problems],
        }


def admit(
    guard: Guard, updates: Sequence[Sequence[str]], quarantine: str | None, options: Sequence[str], user: str
) -> Admission:
    """Judge the ref updates (old, new, name) of one push; a refusal is written into the audit chain.

    Raises:
        StateguardError: the repository cannot be read; the push must be refused.
    """
    began = boot_seconds()
    repository = Repository(guard.repository.path, Path(quarantine) if quarantine else None)
    heavy = weight_problems(Path(quarantine)) if quarantine else []  # before anything in it is read
    checked = [_update(repository, *update) for update in ([] if heavy else updates)]
    problems = [*heavy, *ref_problems(checked), *option_problems(options), *_busy(guard)]
    emergency, unfit = (None, []) if problems else emergency_of(guard, repository, checked, options)
    problems += unfit
    policy = [] if problems else lock_problems(guard, repository, checked, user)
    lines: list[str] = []
    refused, deadline = bool(problems or (policy and not emergency)), None if emergency else Deadline()
    search, malformed = _searched(guard, repository, checked if not refused else (), deadline)
    problems += malformed  # and what is malformed is not judged
    for update in checked if not (refused or malformed or (search.over and not emergency)) else ():
        if update.deletes or update.name.startswith("refs/tags/"):
            continue
        verdict = judge_commit(guard, repository, update.new, deadline=deadline)
        if update.name != MAIN:
            named = [p for p in verdict.problems if p.code in _OBJECT_RULES]
            problems += named
            left = len(verdict.problems) - len(named)
            lines += [f"{update.name}: {count(left, 'problem')} that would keep it from main"] if left else []
            continue
        problems += verdict.problems
        policy += changed_problems(len(verdict.changed), guard.settings.push)
        policy += [] if verdict.problems else _withdrawn(guard, repository, update.new, options)
        lines += _announced(guard, verdict)
        lines += notes(verdict.system.probes, guard.trials) if verdict.system else []
        signed = signature_of(guard, repository, update.new)
        problems += signature_problems(guard, repository, update.new, signed)
        took = seconds(boot_seconds() - began)
        lines.append(f"{summary(verdict.changed)}, valid, {signed.words} (admitted in {took})")
    policy = [*([search.over] if search.over else []), *search.problems, *policy]
    lines += [f"note: {line(path)} is too large to look for secrets in it" for path in search.unread[:_SHOWN]]
    lines += [f"note: gitleaks did not look through this: {line(search.trouble)}"] if search.trouble else []
    if emergency and not problems:
        lines += admitted(guard, emergency, checked[0].new, user, told_of(policy))
    elif not emergency:
        problems = [*policy, *problems]
    if not problems:
        return Admission(admitted=True, lines=tuple(lines), problems=())
    problems = told_of(problems)
    shown = [p.text() for p in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        shown.append(f"and {count(len(problems) - _SHOWN, 'more problem')}")
    body = {"updates": [list(u) for u in updates], "problems": [p.as_json() for p in problems[:_SHOWN]]}
    guard.books.audit.append([Entry("refusal", person(user), body)])
    return Admission(admitted=False, lines=(*shown, "refused; nothing was changed"), problems=tuple(problems))


def _searched(
    guard: Guard, pushed: Repository, updates: Sequence[RefUpdate], deadline: Deadline | None
) -> tuple[Search, list[Problem]]:
    """Count what a push brings, and look through it for secrets; without a deadline also through what is too much.

    The problems are those with the form of its objects.
    """
    harmless = policy_in_force(guard).harmless if updates else ()
    spending, forms = Spending(guard.settings.push, waived=deadline is None), Forms()
    program = on_path(guard.sandbox) if guard.settings.gitleaks else None
    second = program.look if program else None
    search = Search(pushed, harmless, guard.repository, spending, deadline, forms.fits, second)
    for update in updates:
        if update.deletes:
            continue
        forms.name(update.name, *pushed.raw(update.new))
        try:
            search.through(update.new)
        except StateguardError:
            if not forms.problems:  # else something hangs on an object that is refused anyway
                raise
    return search, forms.problems


def policy_in_force(guard: Guard) -> Policy:
    """Return the policy by which a push is judged: that of main, or of what is live where that cannot be read.

    Raises:
        StateguardError: neither can be.
    """
    return _before(guard).policy


def _before(guard: Guard) -> System:
    try:
        return guard.books.declared.system(guard.main)
    except StateguardError:  # somebody moved it past the hooks: a push must be able to mend it
        return guard.books.declared.system(guard.applied)


def option_problems(options: Sequence[str]) -> list[Problem]:
    """Return what is wrong with push options: one that nobody acts on must not look as if somebody did."""
    found = []
    for option in options:
        name, _, value = option.partition("=")
        if name == "emergency" and not value.strip():
            found.append(
                Problem("-o emergency", 0, "push-option", "an emergency has a reason; say it: emergency=REASON")
            )
        elif name == "wait" and value not in ("healthy", "confirmed", "none"):
            found.append(Problem("-o wait", 0, "push-option", "wait takes healthy, confirmed or none"))
        elif name not in ("wait", "reason", "override", "emergency"):
            message = "there is no such push option; there are wait=, reason=, override= and emergency="
            found.append(Problem(f"-o {name}", 0, "push-option", message))
    return found


def _busy(guard: Guard) -> list[Problem]:
    """Refuse while a rollback runs: what it goes back to is not known to the pusher."""
    current = guard.operations.engine.current
    if current is None or current[0].kind != "rollback":
        return []
    message = f"a rollback runs (operation {current[0].id}: {current[0].reason}); push again when it is over"
    return [Problem("main", 0, "busy", message)]


def _announced(guard: Guard, verdict: Verdict) -> list[str]:
    """Say aloud what a push takes away from the watching."""
    if verdict.system is None or not guard.main:
        return []
    before = {p.id: p for p in _before(guard).probes if p.required}
    after = {p.id for p in verdict.system.probes if p.required}
    return [f"note: this removes the required probe {p.title}" for i, p in sorted(before.items()) if i not in after]


_OBJECT_RULES = frozenset({"path", "mode", "budget", "missing-object", "symlink", "collision", "name"})


_OWNS_NOTHING = Policy(())


def judge_commit(
    guard: Guard, repository: Repository, commit: str, *, pushed: bool = True, deadline: Deadline | None = None
) -> Verdict:
    """Judge the tree of a commit by what it changes on main, under the policy in force there.

    What was not ``pushed`` may differ in what the running system owns, and is judged whole where main cannot be read,
    or where it is main itself: somebody may have moved that past the guard. Without a ``deadline`` there is time.
    """
    verdict, main = Verdict((), None, ()), guard.main
    for head in (main,) if pushed else ("" if main == commit else main, ""):
        try:
            before = _tree(repository, head) if head else None
            policy = policy_in_force(guard) if pushed else _OWNS_NOTHING
            commands, late = guard.settings.needs_commands, deadline.passed if deadline else None
            return judge(
                _tree(repository, commit), before, policy, commands=commands, known=guard.known, late=late,
                secrets=guard.keeper,
            )  # fmt: skip
        except StateguardError as error:
            verdict = Verdict((Problem("", 0, "missing-object", error.message),), None, ())
    return verdict


def tree_reader(repository: Repository, tree: str) -> Tree:
    """Return a tree as admission reads it."""
    return Tree(tree, partial(trees.entries, repository), repository.blob, repository.blob_size)


def _tree(repository: Repository, commit: str) -> Tree:
    return tree_reader(repository, repository.commit(commit).tree)


def _update(repository: Repository, old: str, new: str, name: str) -> RefUpdate:
    forward: bool | None = None
    if name.startswith("refs/heads/") and ZERO not in (old, new):
        forward = repository.is_ancestor(old, new)
    return RefUpdate(name, old, new, forward)


def _withdrawn(guard: Guard, repository: Repository, commit: str, options: Sequence[str]) -> list[Problem]:
    found = withdrawn_as(guard, repository, commit)
    if found is None or overridden(found, options):
        return []
    revision, incident = found
    about = f"incident {incident}" if incident else "a rollback"
    message = (
        f"this is the state of {revision[:10]}, which was withdrawn in {about}; "
        f"change it and push again, or push with -o override={incident or 'rollback'}"
    )
    return [Problem("main", 0, "withdrawn", message)]


def overridden(withdrawn: tuple[str, int | None], options: Sequence[str]) -> bool:
    """Say whether push options name the very incident (or rollback) in which a state was withdrawn."""
    return f"override={withdrawn[1] or 'rollback'}" in options


def withdrawn_as(guard: Guard, repository: Repository, commit: str) -> tuple[str, int | None] | None:
    """Return revision and incident under which a commit's desired tree was withdrawn, or None."""
    if not guard.store.has_withdrawn():
        return None
    rules = guard.books.declared.rules(guard.main)
    return guard.store.withdrawn(desired_digest(repository, repository.commit(commit).tree, rules))


def desired_digest(repository: Repository, tree: str, rules: PathRules) -> str:
    """Return the id of a tree without its captured paths.

    Raises:
        StorageError: an object is missing or a path is no UTF-8.
    """
    without = dict.fromkeys(captured_paths(TreeMap(repository, tree), rules))
    return trees.updated(repository, tree, without, trees.tree_id_of)


def said(lines: Sequence[str]) -> list[str]:
    """Return lines as a pusher may see them: each on one line, nothing that steers a terminal."""
    return [f"stateguard: {line(text)}" for text in lines]
