"""A rollback to a baseline that was accepted needs nobody else: no gpg, no network, no clock that is right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from faults.clockwork import environment, library, turn
from gpghome import gpg_home
from stateguard.guard.compose import read_identity
from stateguard.host.clock import now_text
from stateguard.host.home import Home
from stateguard.model.trust import Role
from stateguard.trust.people import added, gpg_key
from transition.setting import CHANGE, Setting, copied, kill_agents

TESTS = Path(__file__).parents[1]
YEAR_SECONDS = 365 * 86400
BY_GUARD, BY_PERSON = "baseline/1", "baseline/2"
MAIN = """\
from faults.clockwork import steady_sleep
from stateguard.__main__ import main
steady_sleep()
main()
"""


@pytest.fixture(scope="module")
def approved(template: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Make a home whose second baseline ann signed with a GPG key that lasts a day, and which has changed since."""
    setting = Setting(copied(template, tmp_path_factory.mktemp("approved")))
    guard = setting.restart()
    with gpg_home() as ann:
        key = ann.make("ann", expires="1d")
        known = guard.people.trust()
        trusted = added(known, guard.home.trust, "ann", gpg_key(ann.export(key), now_text()), (Role.BASELINE,))
        guard.people.change(known, trusted, "guard", {})
        draft = guard.approvals.prepare(guard.applied, guard.operations.preparation.keep_all(guard.applied), {})
        made = guard.approvals.submit(draft, ann.sign(key, draft.unsigned), "person:ann")
    assert (f"baseline/{made.statement.number}", made.signer, made.usable) == (BY_PERSON, "ann", True)
    assert setting.push(setting.commit(CHANGE)).accepted
    for name in ("helper", "parent"):
        assert guard.runtime.stop(name)
    setting.end()
    return setting.home


@pytest.fixture
def home(approved: Home, tmp_path: Path) -> Iterator[Home]:
    yield copied(approved, tmp_path)
    kill_agents(read_identity(approved))


def stateguard(home: Home, environment: dict[str, str], *words: str) -> dict[str, Any]:
    """Run a command, without a guard at work, with exactly this environment."""
    argv = [sys.executable, "-c", MAIN, "--json", "--home", str(home.root), *words]
    done = subprocess.run(
        argv, env=environment | {"PYTHONPATH": str(TESTS)}, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check_rolled_back(home: Home, environment: dict[str, str], baseline: str) -> list[str]:
    """Roll back to a baseline, check that its state is live, and return the warnings about it."""
    assert (home.default_live / "config/new/deep.txt").exists()
    assert stateguard(home, environment, "rollback", baseline, "--yes")["outcome"] == "succeeded"
    assert not (home.default_live / "config/new/deep.txt").exists()
    assert (home.default_live / "config/gone.txt").read_text() == "to be removed\n"
    shown = stateguard(home, environment, "baseline", "show", baseline)
    assert shown["valid"]
    return [str(warning) for warning in shown["warnings"]]


def without_gpg(place: Path) -> dict[str, str]:
    """Return an environment in which there is every program but gpg and what belongs to it."""
    place.mkdir()
    for folder in os.get_exec_path():
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if not program.name.startswith(("gpg", "dirmngr", "scdaemon", "keyboxd")):
                (place / program.name).unlink(missing_ok=True)
                (place / program.name).symlink_to(program)
    return {"PATH": str(place)}


def missing(_: Path) -> None:
    """Let gpg be missing."""


def broken(gpg: Path) -> None:
    """Let gpg end at once, as one whose libraries are gone does."""
    gpg.write_text("#!/bin/sh\nexit 127\n")
    gpg.chmod(0o755)


@pytest.mark.parametrize(("baseline", "spoil"), [(BY_GUARD, missing), (BY_PERSON, missing), (BY_PERSON, broken)])
def test_without_gpg(home: Home, tmp_path: Path, baseline: str, spoil: Callable[[Path], None]) -> None:
    alone = without_gpg(tmp_path / "bin")
    spoil(tmp_path / "bin" / "gpg")
    warnings = check_rolled_back(home, alone, baseline)
    assert [("not looked at again" in w and "gpg" in w) for w in warnings] == [True] * (baseline == BY_PERSON)


@pytest.mark.skipif(not library(), reason="needs libfaketime")
@pytest.mark.parametrize(
    ("baseline", "years", "warning"),
    [(BY_GUARD, -20, ""), (BY_PERSON, -20, ""), (BY_PERSON, 20, "expired")],
    ids=["guard-before", "person-before", "person-expired"],
)
def test_with_a_wrong_clock(home: Home, tmp_path: Path, baseline: str, years: int, warning: str) -> None:
    """Before the baseline and the key were made, and long after the key has expired."""
    wrong = environment(tmp_path / "clock")
    turn(tmp_path / "clock", years * YEAR_SECONDS)
    day = datetime.fromtimestamp(time.time() + years * YEAR_SECONDS, UTC).strftime("%Y%m%dT%H%M%S")
    gpg = tmp_path / "bin" / "gpg"  # what is preloaded does not reach it: it is started with an environment of its own
    gpg.parent.mkdir()
    gpg.write_text(f'#!/bin/sh\necho >> "{gpg}-ran"\nexec {shutil.which("gpg")} --faked-system-time {day}! "$@"\n')
    gpg.chmod(0o755)
    warnings = check_rolled_back(home, wrong | {"PATH": f"{gpg.parent}:{wrong['PATH']}"}, baseline)
    assert gpg.with_name("gpg-ran").exists() == (baseline == BY_PERSON)
    assert [warning in w for w in warnings] == [True] * bool(warning)
