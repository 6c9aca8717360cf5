"""``stateguard baseline``: signed states to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stateguard.cli import complete
from stateguard.cli.context import ask, say, show, table
from stateguard.model.identity import short

if TYPE_CHECKING:
    from stateguard.trust.signing import Signing


@click.group("baseline")
def command() -> None:
    """Create, sign, list, show, verify and revoke baselines."""


@command.command("create")
@click.option("--force", is_flag=True, help="Although the system is not known to be healthy.")
@click.option(
    "--sign", metavar="KEY", help="Approve it with your key: a file, ssh:SHA256:… in the agent, a GPG fingerprint."
)
@click.pass_context
def create(ctx: click.Context, force: bool, sign: str | None) -> None:
    """Sign the live state as the next baseline now: by the guard's key, or by yours."""
    document = ask(ctx, "baseline-create", force=force) if sign is None else _approved(ctx, sign, force=force)
    show(ctx, document, _lines(document))


@command.command("sign")
@click.argument("number")
@click.option("--key", required=True, metavar="KEY", help="Your key: a file, ssh:SHA256:… in the agent, a fingerprint.")
@click.pass_context
def sign(ctx: click.Context, number: str, key: str) -> None:
    """Add your signature to a baseline that others have signed and that waits for more."""
    from stateguard.trust.signing import signing_key

    signing = signing_key(key)
    pending = ask(ctx, "baseline-pending", number=number, key=signing.fingerprint)
    document = _signed(ctx, signing, pending["unsigned"])
    show(ctx, document, _lines(document))


def _approved(ctx: click.Context, key: str, *, force: bool) -> dict[str, Any]:
    """Have the guard prepare the bytes, sign them on this side, hand them back."""
    from stateguard.trust.signing import signing_key

    signing = signing_key(key)
    return _signed(ctx, signing, ask(ctx, "baseline-prepare", force=force, key=signing.fingerprint)["unsigned"])


def _signed(ctx: click.Context, signing: Signing, prepared: str) -> dict[str, Any]:
    """Say what is about to be signed, sign it on this side, and hand the signature over."""
    import base64

    from stateguard.trust.statement import of_tag

    unsigned = base64.b64decode(prepared)
    statement = of_tag(unsigned)
    say(ctx, f"signing {statement.tag} with {signing.fingerprint}: revision {short(statement.revision)}, "
             f"fingerprint {short(statement.fingerprint)}")  # fmt: skip
    return ask(ctx, "baseline-submit", unsigned=prepared, signature=signing.sign(unsigned))


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List every baseline, newest first."""
    document = ask(ctx, "baseline-list")
    rows = [
        (
            b["number"],
            b["grade"],
            b["signer"],
            short(b["revision"]),
            short(b["fingerprint"]),
            b["issued_at"],
            _verdict(b),
        )
        for b in document["baselines"]
    ]
    rows[:0] = [
        (b["number"], b["grade"], _names(b), short(b["revision"]), short(b["fingerprint"]), b["issued_at"], _waits(b))
        for b in document["pending"]
    ]
    show(ctx, document, table(rows, ("N", "GRADE", "SIGNER", "REVISION", "FINGERPRINT", "ISSUED", "")))


@command.command("show")
@click.argument("number", shell_complete=complete.baselines)
@click.pass_context
def show_(ctx: click.Context, number: str) -> None:
    """Show one baseline."""
    document = ask(ctx, "baseline-show", number=number)
    show(ctx, document, _lines(document))


@command.command("verify")
@click.argument("number", required=False, shell_complete=complete.baselines)
@click.pass_context
def verify(ctx: click.Context, number: str | None) -> int:
    """Read every byte of a baseline (default: of all) and check signature, name and fingerprints."""
    document = ask(ctx, "baseline-verify", number=number)
    lines = []
    for b in document["baselines"]:
        verdict = f"holds ({b['grade']}, signed by {b['signer']})" if b["valid"] else "; ".join(b["problems"])
        lines.append(f"baseline/{b['number']}: {verdict}")
        lines += [f"  warning: {warning}" for warning in b["warnings"]]
    show(ctx, document, lines or ["there is no baseline"])
    return 0 if document["valid"] else 10


@command.command("revoke")
@click.argument("number", shell_complete=complete.baselines)
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@click.pass_context
def revoke(ctx: click.Context, number: str, reason: str | None) -> None:
    """Take a baseline out of use for good."""
    document = ask(ctx, "baseline-revoke", number=number, reason=reason)
    show(ctx, document, _lines(document))


def _names(baseline: dict[str, Any]) -> str:
    return ", ".join(s["name"] for s in baseline["signers"])


def _waits(pending: dict[str, Any]) -> str:
    return f"{len(pending['signers'])} of {pending['threshold']} signatures"


def _verdict(baseline: dict[str, Any]) -> str:
    words = [w for w in ("revoked", "suspect", "thinned") if baseline[w]]
    return ", ".join([*words, *([] if baseline["valid"] else ["INVALID: " + "; ".join(baseline["problems"])])])


def _lines(baseline: dict[str, Any]) -> list[str]:
    if "pending" in baseline:
        return _pending_lines(baseline)
    keys = (
        "number",
        "grade",
        "revision",
        "snapshot",
        "desired_fingerprint",
        "fingerprint",
        "issued_at",
        "signer",
        "key",
    )
    found = [*(f"{key:<20} {baseline[key]}" for key in keys), f"{'verdict':<20} {_verdict(baseline) or 'valid'}"]
    return [*found, *(f"{'warning':<20} {warning}" for warning in baseline["warnings"])]


def _pending_lines(pending: dict[str, Any]) -> list[str]:
    keys = ("number", "grade", "revision", "snapshot", "desired_fingerprint", "fingerprint", "issued_at")
    found = [*(f"{key:<20} {pending[key]}" for key in keys), f"{'signed by':<20} {_names(pending)}"]
    if not pending["pending"]:
        return [*found, f"{'verdict':<20} given up"]
    others = f"others add theirs: stateguard baseline sign {pending['number']} --key KEY"
    return [*found, f"{'verdict':<20} pending, {_waits(pending)}; {others}"]
