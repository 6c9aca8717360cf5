"""The table of checks, and going through it: one that fails is a finding and keeps none of the others from looking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stateguard.guard.doctor import hooks, machine, places, records, running, space, testing, tools, trust
from stateguard.guard.doctor.finding import Finding, Level, Subject, problem, warning

Check = Callable[[Subject], Iterable[Finding]]

CHECKS: dict[str, Check] = {
    "tools": tools.look,
    "home": places.home,
    "permissions": places.permissions,
    "file-system": places.file_systems,
    "live": places.live,
    "space": space.space,
    "reserve": space.reserve,
    "growth": space.growth,
    "clock": machine.clock,
    "watches": machine.watches,
    "open-files": machine.open_files,
    "keys": records.keys,
    "trust": trust.trust,
    "database": records.database,
    "refs": records.refs,
    "spool": records.spool,
    "hooks": hooks.hooks,
    "git-settings": hooks.configuration,
    "gitleaks": running.gitleaks,
    "guard": running.daemon,
    "confinement": running.confinement,
}
TESTS: dict[str, Check] = {"tests": testing.look}


def examine(subject: Subject, checks: dict[str, Check]) -> list[Finding]:
    """Return what all checks find."""
    found: list[Finding] = []
    for name, check in checks.items():
        try:
            found.extend(check(subject))
        except Exception as error:  # noqa: BLE001 - whatever a damaged home does to one check, the others look
            message = f"this could not be looked at: {type(error).__name__}: {error}"
            found.append(problem(name, message, "see the other findings first"))
    return found


def mend(findings: Sequence[Finding]) -> tuple[list[str], list[Finding]]:
    """Mend what has one right way; returns what was mended, and a finding for each that could not be."""
    mended: list[str] = []
    failed: list[Finding] = []
    for finding in findings:
        if finding.fix is None or finding.level is Level.OK:
            continue
        try:
            finding.fix()
            mended.append(finding.message)
        except Exception as error:  # noqa: BLE001 - as above; what could not be mended is told
            failed.append(warning(finding.check, f"could not be mended: {error}", finding.mend))
    return mended, failed


def healthy(findings: Iterable[Finding]) -> bool:
    """Say whether nothing keeps the guard from its work."""
    return all(finding.level is not Level.PROBLEM for finding in findings)
