"""``stateguard mirror``: copies elsewhere."""

from __future__ import annotations

from typing import Any

import click

from stateguard.cli.context import ask, home_of, is_terminal, say, show, table
from stateguard.cli.progress import Listener
from stateguard.errors import UsageProblemError
from stateguard.model.identity import ZERO, short
from stateguard.text.escape import line

_TRUST, _NETWORK = 10, 14


@click.group("mirror")
def command() -> None:
    """Look at the copies elsewhere, bring them up to date, verify what they hold."""


@command.command("status")
@click.pass_context
def status(ctx: click.Context) -> int:
    """Show every mirror; exit 1 unless all are in sync."""
    document = ask(ctx, "mirror-status")
    rows = [
        (
            m["name"],
            m["state"],
            m["behind"],
            m["breaker"],
            m["last_success"] or "never",
            m["next_attempt"] or "-",
            m["url"],
        )
        for m in document["mirrors"]
    ]
    head = ("MIRROR", "STATE", "BEHIND", "BREAKER", "LAST SUCCESS", "NEXT TRY", "URL")
    lines = table(rows, head) if rows else ["no mirror is configured"]
    show(ctx, document, [*lines, *(text for m in document["mirrors"] for text in _troubles(m))])
    return 0 if all(m["state"] == "IN_SYNC" for m in document["mirrors"]) else 1


@command.command("sync")
@click.argument("name", required=False)
@click.option("--reset", is_flag=True, help="Overwrite what somebody else has put into the mirror NAME.")
@click.option("--yes", is_flag=True, help="Do not ask before --reset.")
@click.pass_context
def sync(ctx: click.Context, name: str | None, reset: bool, yes: bool) -> int:
    """Bring mirrors up to date now; exit 14 if one does not answer, 1 if a person must decide."""
    if reset:
        if name is None:
            raise UsageProblemError("--reset needs the name of one mirror", next_step="see: stateguard mirror status")
        _reset(ctx, name, yes=yes)
    document = ask(ctx, "mirror-sync", mirror=name)
    rows = [(m["name"], m["state"], m["behind"]) for m in document["mirrors"]]
    troubles = [text for m in document["mirrors"] for text in (*_troubles(m), *_advice(m))]
    show(ctx, document, [*table(rows, ("MIRROR", "STATE", "BEHIND")), *troubles])
    if any(m["conflicts"] or m["tampered"] for m in document["mirrors"]):
        return 1
    return _NETWORK if any(m["failures"] or m["busy"] for m in document["mirrors"]) else 0


@command.command("verify")
@click.argument("name", required=False)
@click.option("--complete", is_flag=True, help="Every baseline, every ref, the whole audit chain.")
@click.pass_context
def verify(ctx: click.Context, name: str | None, complete: bool) -> int:
    """Read mirrors back and recompute what they hold; exit 10: tampered with, 1: not in sync, 14: no answer."""
    from stateguard.guard.local import without_daemon

    asked = {"mirror": name, "complete": complete}
    with Listener(quiet=ctx.obj["quiet"]) as listener:  # not in the guard: reading every byte would slow it down
        document = without_daemon(home_of(ctx).require(), "mirror-verify", asked, listener.say, lambda *_: None)
    rows = [(m["name"], m["state"] or "?", m["refs"], len(m["checked"])) for m in document["mirrors"]]
    told = [f"{m['name']}: {line(text)}" for m in document["mirrors"] for text in (m["error"], *m["evidence"]) if text]
    whole = [f"{m['name']}: {c['what']} is {c['fingerprint']}" for m in document["mirrors"] for c in m["checked"]]
    show(ctx, document, [*table(rows, ("MIRROR", "STATE", "REFS", "RECOMPUTED")), *told, *map(line, whole)])
    states = [m["state"] for m in document["mirrors"]]
    if "TAMPERED" in states:
        return _TRUST
    if {"BEHIND", "DIVERGED"} & set(states):
        return 1
    return _NETWORK if None in states else 0


def _reset(ctx: click.Context, name: str, *, yes: bool) -> None:
    """Show what would be overwritten, ask, and permit just that."""
    found = ask(ctx, "mirror-look", mirror=name)
    conflicts = found["conflicts"]
    if not conflicts and not found["tampered"]:
        say(ctx, f"{name} holds nothing that is in the way")
        return
    for text in (*map(_conflict, conflicts), *found["tampered"]):
        say(ctx, text)
    if not yes:
        if not is_terminal() or ctx.obj["json"]:
            raise UsageProblemError("nobody can be asked here", next_step="add --yes to overwrite what is shown")
        question = f"Overwrite {len(conflicts)} refs of {found['url']}? What only they reach is lost there"
        click.confirm(question, abort=True, err=True)
    ask(ctx, "mirror-permit", mirror=name, refs={c["ref"]: c["theirs"] for c in conflicts})


def _troubles(mirror: dict[str, Any]) -> list[str]:
    error = [f"{mirror['name']}: {line(mirror['last_error'])}"] if mirror["last_error"] else []
    found = [f"{mirror['name']}: {text}" for text in map(_conflict, mirror["conflicts"])]
    return [*error, *found, *(f"{mirror['name']}: TAMPERED: {line(text)}" for text in mirror["tampered"])]


def _conflict(conflict: dict[str, str]) -> str:
    theirs, ours = (short(v) if v != ZERO else "nothing" for v in (conflict["theirs"], conflict["ours"]))
    return line(f"{conflict['ref']}: {conflict['why']} (there {theirs}, here {ours})")


def _advice(mirror: dict[str, Any]) -> list[str]:
    """Return what a person can do about a mirror that has diverged."""
    if not mirror["conflicts"]:
        return []
    name, url = mirror["name"], line(mirror["url"])
    theirs = next((c for c in mirror["conflicts"] if c["theirs"] != ZERO), None)
    look = [f"  git fetch {url} {line(theirs['ref'])} && git log FETCH_HEAD     shows what is there"] if theirs else []
    return [
        f"{name}: nothing more is sent there until this is decided:",
        *look,
        "  put the ref back there; it is looked at again by itself, or by: stateguard mirror sync " + name,
        f"  stateguard mirror sync {name} --reset     overwrites what is there with what is here",
    ]
