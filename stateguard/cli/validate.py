"""``stateguard validate``: the checks of admission without pushing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from stateguard.cli.context import home_of, show
from stateguard.errors import NotFoundError, StateguardError
from stateguard.host.home import Home
from stateguard.model.agent import Probe
from stateguard.model.policy import System
from stateguard.model.secret import SCHEME
from stateguard.text.escape import line
from stateguard.text.words import joined


@click.command("validate")
@click.argument("place", default=".", metavar="[DIR or REV]")
@click.option(
    "--runtime",
    type=click.Choice(["embedded", "supervisor", "command"]),
    help="Who starts the agents: only embedded needs a command of each (default: as guard.yaml says, else embedded).",
)
@click.pass_context
def command(ctx: click.Context, place: str, runtime: str | None) -> int:
    """Check a directory, or a revision of the served repository, as a push of it would be."""
    from stateguard.admission.admit import judge
    from stateguard.admission.foreign.survey import summary
    from stateguard.config.defaults import default_policy
    from stateguard.guard.admit import tree_reader
    from stateguard.guard.gather import read_directory
    from stateguard.guard.keeping import Keeping, NotHandedOn
    from stateguard.guard.secrets import secrets_in, told_of
    from stateguard.guard.settings import read_settings
    from stateguard.state import trees
    from stateguard.state.repository import Repository

    directory, home = Path(place), home_of(ctx)
    commands = runtime == "embedded" if runtime else not home.exists() or read_settings(home).needs_commands
    known = Keeping(home, Repository(home.repository)) if home.exists() else None
    secrets = known if commands else NotHandedOn()
    if directory.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            repository = Repository.create(Path(scratch) / "scratch.git", served=False)
            tree = trees.build(repository, read_directory(directory.absolute(), repository))
            verdict = judge(tree_reader(repository, tree), None, default_policy(), commands=commands, secrets=secrets)
            problems = told_of([*secrets_in(repository, tree, verdict.system), *verdict.problems])
    else:
        if not home.exists():
            message = f"{place} is no directory, and {home.root} is no guard home with such a revision"
            raise NotFoundError(message, next_step="stateguard validate DIR")
        repository = Repository(home.repository)
        commit = repository.commit(repository.resolve(place))
        verdict = judge(
            tree_reader(repository, commit.tree), None, default_policy(), commands=commands, secrets=secrets
        )
        problems = told_of([*secrets_in(repository, commit.tree, verdict.system), *verdict.problems])
    told = notes(verdict.system.probes, home) if verdict.system and home.exists() else []
    if verdict.system and secrets is None and (named := secrets_of(verdict.system)):
        told.append(f"note: only a guard knows whether these are set: {joined(named)}; stateguard secret list")
    document = {
        "valid": not problems,
        "problems": [p.as_json() for p in problems],
        "recognised": [one.as_json() for one in verdict.recognised],
        "notes": list(told),
    }
    told += [line(summary(verdict.recognised))] if verdict.recognised else []
    show(ctx, document, [*([p.text() for p in problems] or ["valid"]), *told])
    return 1 if problems else 0


def secrets_of(system: System) -> list[str]:
    """Return how the secrets that agents name are written, sorted."""
    return sorted({SCHEME + name for agent in system.agents.values() for name in agent.secrets.values()})


def notes(probes: tuple[Probe, ...], home: Home) -> list[str]:
    """Return what the self-tests of this home say of probes; validation itself needs no home."""
    from stateguard.guard.selftest import notes as known
    from stateguard.host.database import Database
    from stateguard.observe.selftest import Trials

    try:
        database = Database(home.database)
    except StateguardError as error:
        return [f"note: the self-tests of the probes are not known: {error.message}"]
    try:
        return known(probes, Trials(database))
    finally:
        database.close()
