"""``stateguard secret``: what agents need and git must not hold."""

from __future__ import annotations

import sys
from typing import Any

import click

from stateguard.cli.context import ask, show, table
from stateguard.errors import UsageProblemError
from stateguard.model.secret import MAX_BYTES


@click.group("secret")
def command() -> None:
    """Keep values that agents need out of git: an environment value secret://NAME in agent.yaml names one."""


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the names of secrets, set or missing, and which agents need them."""
    document = ask(ctx, "secret-list")
    rows = [
        (s["name"], s["from"] or "nowhere", ", ".join(s["agents"]) or "none", s["problem"] or "")
        for s in document["secrets"]
    ]
    show(ctx, document, table(rows, ("NAME", "FROM", "AGENTS", "PROBLEM")))


@command.command("set")
@click.argument("words", nargs=-1, required=True, metavar="NAME")
@click.pass_context
def set_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Set a secret to what is piped in, or typed without being shown; a line end at its end is left out."""
    name, *more = words
    if more:  # not click's own error, which would repeat it; nor is the name, as the two may have been mixed up
        message = "a value does not belong on the command line, where other users and the shell's history see it"
        hint = (
            "if it was a real one, revoke it where it came from; pipe a new one in: stateguard secret set NAME < FILE"
        )
        raise UsageProblemError(message, next_step=hint)
    document = ask(ctx, "secret-set", secret=name, value=_value())
    show(ctx, document, _told(document))


@command.command("remove")
@click.argument("name")
@click.option("--force", is_flag=True, help="Even if agents need it.")
@click.pass_context
def remove(ctx: click.Context, name: str, force: bool) -> None:
    """Remove a secret; agents that run keep what they have."""
    document = ask(ctx, "secret-remove", secret=name, force=force)
    show(ctx, document, _told(document))


@command.command("recipient")
@click.pass_context
def recipient(ctx: click.Context) -> None:
    """Print for whom to encrypt so that this guard can open it; makes its age identity if there is none."""
    document = ask(ctx, "secret-recipient")
    show(ctx, document, [document["recipient"]])


@command.command("seal")
@click.option(
    "--recipient", "others", multiple=True, metavar="AGE1…", help="Another guard that can open it; repeatable."
)
@click.pass_context
def seal(ctx: click.Context, others: tuple[str, ...]) -> None:
    """Encrypt what is piped in, or typed, for this guard, and print the file: secrets/NAME.age of the state."""
    from stateguard.host.secrets import require_secret
    from stateguard.trust.age import sealed

    value = _value()
    require_secret("sealed", value)
    own = ask(ctx, "secret-recipient")["recipient"]
    text = sealed(value.encode(), [own, *others]).decode()
    show(ctx, {"file": text}, [text.rstrip("\n")])


def _value() -> str:
    """Return what is piped in, or what a person types twice."""
    if sys.stdin.isatty():
        typed: str = click.prompt("value", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    content = sys.stdin.buffer.read(MAX_BYTES + 2)
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    try:
        return content.decode()
    except UnicodeDecodeError:
        message = "the value is no UTF-8; no variable can hold it everywhere"
        raise UsageProblemError(message, next_step="encode it, in base64 for instance") from None


def _told(document: dict[str, Any]) -> list[str]:
    agents = " ".join(document["agents"])
    return [f"in force at the next start: stateguard agent restart {agents}"] if agents else []
