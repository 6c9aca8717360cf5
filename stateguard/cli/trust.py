"""``stateguard trust``: whose signatures count."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stateguard.cli.context import ask, say, show, table
from stateguard.errors import TrustError, UsageProblemError
from stateguard.text.escape import line
from stateguard.text.words import count

if TYPE_CHECKING:
    from stateguard.trust.signing import Signing

_LARGEST_BYTES = 1024 * 1024
_ROLES = ("push", "baseline", "approve", "admin")
_DECIDES = {"baseline": "approving a baseline", "admin": "a change of trust"}


_SSH = click.option("--ssh", metavar="KEY", help="A public SSH key: a .pub file, or its line.")
_GPG = click.option(
    "--gpg", metavar="KEY", help="A public GPG key: an exported file, or a full fingerprint of your keyring."
)
_EXPIRES = click.option(
    "--expires", metavar="TIME", help="When the key ends counting for what comes, RFC 3339; or never."
)

_SIGN = click.option(
    "--sign", metavar="KEY", help="Your key, if admins must sign: a file, ssh:SHA256:… in the agent, a fingerprint."
)
_FORCE = click.option("--force", is_flag=True, help="Without the signatures of admins; this is on record.")


@click.group("trust")
def command() -> None:
    """List, add, replace and remove the keys of people whose signatures count, and lock people out."""


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List who is trusted with what, and by which key."""
    document = ask(ctx, "trust-list")
    show(ctx, document, _lines(document))


@command.command("add")
@click.argument("name")
@_SSH
@_GPG
@_EXPIRES
@click.option("--role", "roles", multiple=True, type=click.Choice(_ROLES), help="May be repeated; a new person: push.")
@_SIGN
@_FORCE
@click.pass_context
def add(
    ctx: click.Context, name: str, ssh: str | None, gpg: str | None, expires: str | None, roles: tuple[str, ...],
    sign: str | None, *, force: bool,
) -> None:  # fmt: skip
    """Trust a person's key; roles that are given replace the person's."""
    given = _offered(ssh, gpg) | {"person": name, "roles": list(roles) or None, "expires": expires}
    _change(ctx, "trust-add", sign, force=force, **given)


@command.command("rotate")
@click.argument("name")
@_SSH
@_GPG
@_EXPIRES
@click.option("--key", metavar="FINGERPRINT", help="The key that goes, if the person has several.")
@_SIGN
@_FORCE
@click.pass_context
def rotate(
    ctx: click.Context, name: str, ssh: str | None, gpg: str | None, expires: str | None, key: str | None,
    sign: str | None, *, force: bool,
) -> None:  # fmt: skip
    """Replace a person's key by a new one, at once; what was accepted with the old one stays accepted."""
    given = _offered(ssh, gpg) | {"person": name, "key": _fingerprint(key), "expires": expires}
    _change(ctx, "trust-rotate", sign, force=force, **given)


@command.command("remove")
@click.argument("name")
@click.option("--key", metavar="FINGERPRINT", help="Only this key of the person's.")
@_SIGN
@_FORCE
@click.pass_context
def remove(ctx: click.Context, name: str, key: str | None, sign: str | None, *, force: bool) -> None:
    """Trust a person's keys no longer; what was accepted with them stays accepted."""
    _change(ctx, "trust-remove", sign, force=force, person=name, key=_fingerprint(key))


@command.command("lock")
@click.argument("name")
@click.option("--reason", default="", help="Why; whoever is refused for it is told.")
@click.pass_context
def lock(ctx: click.Context, name: str, reason: str) -> None:
    """Let a person's signatures and pushes count for nothing until they are unlocked."""
    document = ask(ctx, "trust-lock", person=name, reason=reason)
    show(ctx, document, _lines(document))


@command.command("unlock")
@click.argument("name")
@_SIGN
@click.option("--force", is_flag=True, help="Even if it is your own name, and without admins; this is on record.")
@click.pass_context
def unlock(ctx: click.Context, name: str, sign: str | None, *, force: bool) -> None:
    """End the lock of a person."""
    _change(ctx, "trust-unlock", sign, force=force, person=name)


@command.command("threshold")
@click.argument("role", type=click.Choice(list(_DECIDES)))
@click.argument("persons", type=click.IntRange(1, 99))
@_SIGN
@_FORCE
@click.pass_context
def threshold(ctx: click.Context, role: str, persons: int, sign: str | None, *, force: bool) -> None:
    """Say how many persons must sign what a role decides: baselines, or changes of trust."""
    _change(ctx, "trust-threshold", sign, force=force, role=role, persons=persons)


@command.command("sign")
@click.option("--key", required=True, metavar="KEY", help="Your key: a file, ssh:SHA256:… in the agent, a fingerprint.")
@click.pass_context
def sign_(ctx: click.Context, key: str) -> None:
    """Sign the change that other admins have signed and that waits for more; shows what it changes first."""
    from stateguard.trust.signing import signing_key

    signing = signing_key(key)
    document = _signed(ctx, signing, ask(ctx, "trust-pending", key=signing.fingerprint))
    show(ctx, document, _lines(document))


@command.command("drop")
@click.pass_context
def drop(ctx: click.Context) -> None:
    """Give up the change that waits for more signatures."""
    document = ask(ctx, "trust-drop")
    show(ctx, document, _lines(document))


@command.command("restore")
@click.option("--force", is_flag=True, help="The last one that admins agreed to, in any case; on record.")
@click.pass_context
def restore(ctx: click.Context, *, force: bool) -> None:
    """Put the trust document back that the audit chain says is in force."""
    document = ask(ctx, "trust-restore", force=force)
    show(ctx, document, _lines(document))


@command.command("verify")
@click.pass_context
def verify(ctx: click.Context) -> int:
    """Follow every change in the audit chain: was each signed by as many admins as it took then?"""
    document = ask(ctx, "trust-verify")
    show(ctx, document, followed(document))
    return 0 if document["valid"] else 10


def followed(document: dict[str, Any]) -> list[str]:
    """Return the lines of ``trust verify``: what is wrong or was forced, what was not followed, and the sum."""
    forced = [
        f"version {x['version']} came without the signatures of admins, by {x['actor']} at {x['at']}"
        for x in document["without_admins"]
    ]
    untold = document["unfollowed"]
    holds = f"{count(document['changes'], 'change')} of trust: " + ("all hold" if document["valid"] else "not all hold")
    taken = []
    if untold:
        until = f"the audit chain holds no documents until {untold['until']}"
        taken.append(f"versions up to {untold['version']} are taken as they are, and were not followed: {until}")
        if document["valid"] and not document["changes"]:
            holds = "no change of trust could be followed"
    return [*document["problems"], *forced, *taken, holds]


def _change(ctx: click.Context, name: str, sign: str | None, *, force: bool, **given: object) -> None:
    """Have the guard change trust; what an admin must sign for it is signed on this side."""
    if sign is None:
        document = ask(ctx, name, force=force, **given)
    else:
        from stateguard.trust.signing import signing_key

        signing = signing_key(sign)
        document = ask(ctx, name, by=signing.fingerprint, force=force, **given)
        if "payload" in document:
            document = _signed(ctx, signing, document)
    show(ctx, document, _lines(document))


def _signed(ctx: click.Context, signing: Signing, prepared: dict[str, Any]) -> dict[str, Any]:
    """Show what is about to be signed, out of these very bytes; sign it, and hand the signature over."""
    from difflib import unified_diff

    from stateguard.trust.change import document_in
    from stateguard.trust.ssh import TRUST_NAMESPACE

    payload = base64.b64decode(prepared["payload"])
    now, then = (text.splitlines() for text in (prepared["document"], document_in(payload)))
    since = prepared["since"]
    if since < prepared["version"] - 1:
        say(ctx, f"what came after version {since} was not signed by its admins; it is part of what you sign")
    names = f"version {since}", f"version {prepared['version']}"
    for changed in list(unified_diff(now, then, *names, lineterm="", n=1)):
        say(ctx, changed)
    say(ctx, f"signing trust version {prepared['version']} with {signing.fingerprint}")
    signature = signing.sign(payload, TRUST_NAMESPACE)
    return ask(ctx, "trust-submit", payload=prepared["payload"], signature=signature)


def _offered(ssh: str | None, gpg: str | None) -> dict[str, Any]:
    """Return what a request says of the key that is given, if one is."""
    given: dict[str, Any] = {}
    if ssh is not None:
        given["ssh"] = _ssh(ssh)
    if gpg is not None:
        given["gpg"] = base64.b64encode(_gpg(gpg)).decode()
    return given


def _fingerprint(key: str | None) -> str | None:
    from stateguard.trust.signing import gpg_fingerprint

    return (gpg_fingerprint(key) or key) if key else None


def _ssh(given: str) -> str:
    from stateguard.trust.people import refuse_private

    refuse_private(given.encode("utf-8", "surrogateescape"))  # first: whatever is wrong with it, it is not shown again
    path = Path(given).expanduser()
    if len(given.split()) > 1 and not path.is_file():
        return given
    return _read(path, "a .pub file nor the line in one").decode("utf-8", "replace")


def _gpg(given: str) -> bytes:
    from stateguard.trust.signing import exported, gpg_fingerprint

    fingerprint = gpg_fingerprint(given)
    if fingerprint is not None and not Path(given).is_file():
        return exported(fingerprint)
    return _read(Path(given).expanduser(), "an exported key nor the 40 hexadecimal digits of a fingerprint")


def _read(path: Path, what: str) -> bytes:
    from stateguard.trust.people import refuse_private

    if not path.is_file():
        message = f"{str(path)!r} is neither {what}"
        raise UsageProblemError(message, next_step="see: stateguard trust add --help")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise UsageProblemError(message) from error
    if len(content) > _LARGEST_BYTES:
        message = f"{path} has more than {_LARGEST_BYTES} bytes; that is no key"
        raise TrustError(message)
    refuse_private(content)  # before it goes anywhere
    return content


def _lines(document: dict[str, Any]) -> list[str]:
    guard = document["guard"]
    rows = [(guard["name"], guard["kind"], guard["fingerprint"], "the guard itself", "")]
    rows += [
        (p["name"], k["kind"], k["fingerprint"], ", ".join(p["roles"]) or "none", k["added_at"])
        for p in document["people"]
        for k in p["keys"]
    ]
    rows += [
        (f["name"], f["kind"], f["fingerprint"], f"removed {f['removed_at']}", f["added_at"])
        for f in document["former"]
    ]
    locks = [
        f"{x['name']} is locked since {x['since']}" + (f": {line(x['reason'])}" if x["reason"] else "")
        for x in document["locked"]
    ]
    takes = [
        f"{_DECIDES[role]} takes the signatures of {persons} persons"
        for role, persons in document["thresholds"].items()
        if persons > 1
    ]
    expiring = [
        f"{x['name']}'s key {x['fingerprint']} {'expired' if x['expired'] else 'expires'} at {x['expires_at']}"
        for x in document["expiring"]
    ]
    version = f"version {document['version']}"
    if document["without_admins"]:
        version += f", put in force by {document['without_admins']} without the signatures of admins"
    pending = document["pending"]
    if pending:
        names = ", ".join(s["name"] for s in pending["signers"])
        takes.append(f"a change to version {pending['version']} has {len(pending['signers'])} of "
                     f"{pending['threshold']} signatures ({names}): stateguard trust sign --key KEY")  # fmt: skip
    return [*table(rows, ("WHO", "KEY", "FINGERPRINT", "ROLES", "ADDED")), *locks, *expiring, *takes, version]
