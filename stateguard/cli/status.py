"""``stateguard status``: how things are."""

from __future__ import annotations

from typing import Any

import click

from stateguard.cli.context import ask, show, table, word
from stateguard.model.identity import short
from stateguard.text.escape import line
from stateguard.text.words import count


@click.command("status")
@click.option("--watch", is_flag=True, help="Show it again every second until Ctrl-C.")
@click.pass_context
def command(ctx: click.Context, watch: bool) -> None:
    """Show health, revision, fingerprint, baseline, drift, agents, open incidents, running transition."""
    if watch:
        from stateguard.cli.watch import watch_over

        watch_over(lambda: ask(ctx, "status"), lines, as_json=ctx.obj["json"], colour=ctx.color is not False)
        return
    document = ask(ctx, "status")
    show(ctx, document, lines(document))


def lines(status: dict[str, Any]) -> list[str]:
    """Return the status as people read it."""
    guard, baseline = status["guard"], status["baseline"]
    found = [
        f"health       {word(status['health'])}{'  (suspended)' if status['suspended'] else ''}",
        f"guard        {_guard(guard)}",
        f"revision     {short(status['revision'] or 'none')}",
        f"fingerprint  {(status['fingerprint'] or 'none')[:23]}",
        f"baseline     {_baseline(baseline)}",
        f"drift        {', '.join(d['path'] + ' ' + d['kind'] for d in status['drift'][:5]) or 'none'}",
        f"incidents    {', '.join(map(str, status['incidents'])) or 'none open'}",
    ]
    if status["spool"]:
        found.append(f"spool        {_spooled(status['spool'])}")
    if status["mirrors"]:
        found.append(f"mirrors      {', '.join(_mirror(m) for m in status['mirrors'])}")
    if status["stopped"]:
        found.append(
            f"by hand      {', '.join(status['stopped'])} stopped; stateguard only watches until they run again"
        )
    if status["transition"]:
        found.append(_transition(status["transition"], guarded=guard["running"] or guard["starting"]))
    elif status["main"] and status["main"] != status["revision"]:
        found.append(f"main         {short(status['main'])} is not live: {_applied_when(status)}")
    if status["soak"]:
        found.append(f"soaking      {short(status['soak']['revision'])} until {status['soak']['due_at']}")
    found += [
        f"flaky        {p['title']} failed {p['failures']} of {p['runs']} runs of its self-test: wanted, not required"
        for p in status["flaky"]
    ]
    found += [
        f"pending      {p['what']}: {len(p['signers'])} of {p['threshold']} signatures ({', '.join(p['signers'])})"
        for p in status.get("pending", [])
    ]
    found += [
        f"locked       {x['name']} since {x['since']}" + (f": {line(x['reason'])}" if x["reason"] else "")
        for x in status.get("locked", [])
    ]
    found += [f"condition    {c['type']}: {c['message']}" for c in status.get("conditions", [])]
    rows = [
        (a["name"], a["state"], a["health"], a["pid"] or "-", short(a["running"] or "-"), a["message"])
        for a in status["agents"]
    ]
    return [*found, "", *table(rows, ("AGENT", "STATE", "HEALTH", "PID", "RUNNING", ""))] if rows else found


def _guard(guard: dict[str, Any]) -> str:
    if guard["running"]:
        return f"running, process {guard['pid']}"
    return "starting" if guard["starting"] else "not running"


def _transition(running: dict[str, Any], *, guarded: bool) -> str:
    what = f"{running['kind']} {running['operation']}, stage {running['stage']}"
    if guarded:
        return f"transition   {what}"
    return f"interrupted  {what}: stateguard recover finishes or undoes it, and so does the guard when it starts"


def _applied_when(status: dict[str, Any]) -> str:
    if status["main_refused"]:
        return line(status["main_refused"])
    if status["suspended"]:
        return "it is applied after stateguard resume"
    guard = status["guard"]
    return "it is applied next" if guard["running"] or guard["starting"] else "it is applied when the guard starts"


def _spooled(names: list[str]) -> str:
    return f"{' and '.join(names)} cannot be written: what is new waits in the home; stateguard doctor says what to do"


def _mirror(mirror: dict[str, Any]) -> str:
    behind = f" by {count(mirror['behind'], 'ref')}" if mirror["state"] == "BEHIND" and mirror["behind"] else ""
    return f"{mirror['name']} {word(mirror['state'])}{behind}"


def _baseline(baseline: dict[str, Any] | None) -> str:
    return f"{baseline['number']} ({baseline['grade']}, {short(baseline['revision'])})" if baseline else "none"
