"""``stateguard rollback``: go back to an earlier state."""

from __future__ import annotations

import click

from stateguard.cli.context import NUMBER, ask, is_terminal, outcome_status, show, target as allowed
from stateguard.cli.plan import lines as plan_lines
from stateguard.cli.record import lines as record_lines


@click.command("rollback", context_settings={"ignore_unknown_options": True})
@click.argument("target", required=False, metavar="[TARGET]", callback=allowed)
@click.option("--reason", metavar="TEXT", help="Why, for the record and the commit.")
@click.option("--conversations", type=click.Choice(["keep", "restore"]), default="keep", show_default=True)
@click.option("--agent", "agents", multiple=True, metavar="NAME", help="Only these agents' paths.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Overrule advice; never verification.")
@click.option("--cancel", type=NUMBER, metavar="OPERATION", help="Turn a running rollback round before its next stage.")
@click.pass_context
def command(
    ctx: click.Context,
    target: str | None,
    reason: str | None,
    conversations: str,
    agents: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    force: bool,
    cancel: int | None,
) -> int:
    """Go back to TARGET (baseline/N, N, -1, a fingerprint or commit; default: the best choice)."""
    if cancel is not None:
        document = ask(ctx, "cancel", operation=cancel)
        show(ctx, document, [f"operation {cancel} turns round before its next stage"])
        return 0
    wanted = {"target": target, "agents": list(agents), "conversations": conversations}
    if dry_run or (is_terminal() and not yes):
        document = ask(ctx, "plan", **wanted)
        if dry_run or not ctx.obj["json"]:
            show(ctx, document, plan_lines(document, "rollback"))
        if dry_run:
            return 0
        click.confirm("Go back?", abort=True, err=True)
    document = ask(ctx, "rollback", reason=reason, force=force, **wanted)
    show(ctx, document, record_lines(document))
    return outcome_status(document)
