"""``stateguard trust``: whose signatures count."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click

from stateguard.cli.context import ask, show, table
from stateguard.errors import TrustError, UsageProblemError
from stateguard.text.escape import line

_LARGEST_BYTES = 1024 * 1024
_ROLES = ("push", "baseline", "approve", "admin")
_DECIDES = {"baseline": "approving a baseline"}


_SSH = click.option("--ssh", metavar="KEY", help="A public SSH key: a .pub file, or its line.")
_GPG = click.option(
    "--gpg", metavar="KEY", help="A public GPG key: an exported file, or a full fingerprint of your keyring."
)
_EXPIRES = click.option(
    "--expires", metavar="TIME", help="When the key ends counting for what comes, RFC 3339; or never."
)


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
@click.pass_context
def add(
    ctx: click.Context, name: str, ssh: str | None, gpg: str | None, expires: str | None, roles: tuple[str, ...]
) -> None:
    """Trust a person's key; roles that are given replace the person's."""
    given = _offered(ssh, gpg) | {"person": name, "roles": list(roles) or None, "expires": expires}
    document = ask(ctx, "trust-add", **given)
    show(ctx, document, _lines(document))


@command.command("rotate")
@click.argument("name")
@_SSH
@_GPG
@_EXPIRES
@click.option("--key", metavar="FINGERPRINT", help="The key that goes, if the person has several.")
@click.pass_context
def rotate(
    ctx: click.Context, name: str, ssh: str | None, gpg: str | None, expires: str | None, key: str | None
) -> None:
    """Replace a person's key by a new one, at once; what was accepted with the old one stays accepted."""
    given = _offered(ssh, gpg) | {"person": name, "key": _fingerprint(key), "expires": expires}
    document = ask(ctx, "trust-rotate", **given)
    show(ctx, document, _lines(document))


@command.command("remove")
@click.argument("name")
@click.option("--key", metavar="FINGERPRINT", help="Only this key of the person's.")
@click.pass_context
def remove(ctx: click.Context, name: str, key: str | None) -> None:
    """Trust a person's keys no longer; what was accepted with them stays accepted."""
    document = ask(ctx, "trust-remove", person=name, key=_fingerprint(key))
    show(ctx, document, _lines(document))


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
@click.option("--force", is_flag=True, help="Even if it is your own name.")
@click.pass_context
def unlock(ctx: click.Context, name: str, force: bool) -> None:
    """End the lock of a person."""
    document = ask(ctx, "trust-unlock", person=name, force=force)
    show(ctx, document, _lines(document))


@command.command("threshold")
@click.argument("role", type=click.Choice(list(_DECIDES)))
@click.argument("persons", type=click.IntRange(1, 99))
@click.pass_context
def threshold(ctx: click.Context, role: str, persons: int) -> None:
    """Say how many persons must sign what a role decides."""
    document = ask(ctx, "trust-threshold", role=role, persons=persons)
    show(ctx, document, _lines(document))


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
    return [*table(rows, ("WHO", "KEY", "FINGERPRINT", "ROLES", "ADDED")), *locks, *expiring, *takes, version]
