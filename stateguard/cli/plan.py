"""``stateguard plan``: what a rollback would do."""

from __future__ import annotations

from typing import Any

import click

from stateguard.cli.context import ask, show, target as allowed
from stateguard.text.escape import line
from stateguard.text.words import seconds


@click.command("plan", context_settings={"ignore_unknown_options": True})
@click.argument("target", required=False, metavar="[TARGET]", callback=allowed)
@click.option("--agent", "agents", multiple=True, metavar="NAME", help="Only these agents' paths.")
@click.option("--conversations", type=click.Choice(["keep", "restore"]), default="keep", show_default=True)
@click.pass_context
def command(ctx: click.Context, target: str | None, agents: tuple[str, ...], conversations: str) -> None:
    """Show what a rollback to TARGET would do: stages, files, agents, conversations, risks, time, advice."""
    document = ask(ctx, "plan", target=target, agents=list(agents), conversations=conversations)
    show(ctx, document, lines(document, "rollback"))


def lines(plan: dict[str, Any], kind: str) -> list[str]:
    """Return a plan as people read it; the first line says what it is a plan of."""
    files = plan["files"]
    found = [f"This {kind} would go to {plan['target']} ({plan['revision'][:10]}); nothing has been changed."]
    if plan["advice"]:
        found.append(f"advice         {plan['advice']}")
    found.append(f"stages         {', '.join(str(s['number']) + ' ' + s['name'] for s in plan['stages'])}")
    found += [f"{name:<14} {line(path)}" for name in ("added", "changed", "removed") for path in files[name][:20]]
    found.append(f"agents         {', '.join(plan['agents']) or 'none is restarted'}")
    if plan["reloaded"]:
        found.append(f"reloaded       {', '.join(plan['reloaded'])}")
    found.append(f"conversations  {plan['conversations']}")
    found.append(f"estimated      {seconds(plan['estimated_seconds'])}")
    return [*found, *(f"risk           {line(risk)}" for risk in plan["risks"])]
