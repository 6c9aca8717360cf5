"""``stateguard doctor``: what keeps, or may keep, the guard from its work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from stateguard.cli.context import home_of, show
from stateguard.text.escape import terminal
from stateguard.text.words import count

if TYPE_CHECKING:
    from stateguard.guard.doctor.finding import Finding

_COLOURS = {"ok": "green", "note": None, "warning": "yellow", "problem": "red"}


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Mend what has one right way: hooks, git settings, permissions, reserve.")
@click.option("--tests", is_flag=True, help="Also look for what the test suite of a checkout needs.")
@click.pass_context
def command(ctx: click.Context, fix: bool, tests: bool) -> int:
    """Examine tools, machine and home; each finding comes with the command that mends it."""
    from stateguard.guard.doctor.examine import CHECKS, TESTS, examine, healthy, mend
    from stateguard.guard.doctor.finding import subject_of

    home = home_of(ctx)
    checks = CHECKS | TESTS if tests else CHECKS
    findings = examine(subject_of(home), checks)
    mended: list[str] = []
    if fix:
        mended, failed = mend(findings)
        findings = [*failed, *examine(subject_of(home), checks)]
    document = {
        "healthy": healthy(findings),
        "findings": [finding.as_json() for finding in findings],
        "mended": mended,
    }
    show(ctx, document, _lines(findings, mended, quiet=ctx.obj["quiet"]))
    return 0 if document["healthy"] else 1


def _lines(findings: list[Finding], mended: list[str], *, quiet: bool) -> Iterator[str]:
    for text in mended:
        yield f"{click.style('mended'.ljust(8), fg='green')} {terminal(text)}"
    for finding in findings:
        if quiet and finding.level == "ok":
            continue
        word = click.style(str(finding.level).ljust(8), fg=_COLOURS[finding.level])
        yield f"{word} {terminal(finding.message)}"
        if finding.mend and finding.level != "ok":
            yield f"         mend: {terminal(finding.mend)}"
    bad = sum(finding.level == "problem" for finding in findings)
    doubtful = sum(finding.level == "warning" for finding in findings)
    yield f"{count(bad, 'problem')}, {count(doubtful, 'warning')}"
