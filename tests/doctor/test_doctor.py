"""``stateguard doctor`` on homes that are really damaged: each damage is named with its mend, none stops the rest."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from driving import Document, Driver, git, past_hooks, sh
from stateguard.errors import StorageError
from stateguard.guard.compose import compose
from stateguard.guard.doctor import examine as table
from stateguard.guard.doctor.finding import subject_of
from stateguard.host.clock import now_text
from stateguard.host.home import Home
from stateguard.model.moment import rfc3339
from stateguard.model.trust import Role, Trust
from stateguard.trust.people import added, removed, save, ssh_key, with_threshold
from stateguard.trust.ssh import SigningKey

Damage = Callable[[Driver], object]


def findings(driver: Driver, *, healthy: bool = True) -> list[Document]:
    seen = table.examine(subject_of(Home(driver.home)), table.CHECKS)
    assert table.healthy(seen) is healthy
    return [finding.as_json() for finding in seen]


def bad(found: list[Document]) -> dict[str, Document]:
    return {f["check"]: f for f in found if f["level"] == "problem"}


def tree(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(p.relative_to(root)): (p.lstat().st_mode, 0 if p.is_dir() else p.lstat().st_mtime_ns)
        for p in root.rglob("*")
    }


def test_a_sound_home_has_no_problems_and_is_not_changed(copied: Driver) -> None:
    before = tree(copied.root)
    found = findings(copied)
    assert {
        f["check"]: f["level"] for f in found if f["check"] in ("home", "keys", "database", "refs", "hooks")
    } == dict.fromkeys(("home", "keys", "database", "refs", "hooks"), "ok")
    assert all(f["mend"] for f in found if f["level"] in ("warning", "problem"))
    assert tree(copied.root) == before


def test_without_a_home_the_machine_is_examined(tmp_path: Path) -> None:
    document = Driver(tmp_path).ask("doctor")
    assert document["healthy"] is True
    found = document["findings"]
    checks = {f["check"]: f["level"] for f in found}
    assert checks["git"] in ("ok", "note")
    assert checks["home"] == "note"
    assert "database" not in checks
    assert not (tmp_path / "home").exists()


RECEIVE = "receive.procReceiveRefs"


def hook(driver: Driver) -> Path:
    return driver.repository / "hooks/pre-receive"


def _lose_content(driver: Driver) -> None:
    """Throw away the content of one file on main, as a damaged disk would."""
    blob = git(driver.repository, "rev-parse", "main:config/shared.yaml")
    packs = list((driver.repository / "objects/pack").glob("*.pack"))
    for pack in packs:
        pack.rename(driver.root / pack.name)
        sh("sh", "-c", 'git -C "$1" unpack-objects -q < "$2"', "sh", driver.repository, driver.root / pack.name)
    (driver.repository / "objects" / blob[:2] / blob[2:]).unlink()


def _another_key(driver: Driver) -> None:
    (driver.home / "keys/guard").unlink()
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", driver.home / "keys/guard")


def _newer_schema(driver: Driver) -> None:
    connection = sqlite3.connect(driver.home / "guard.db")
    connection.execute("PRAGMA user_version=999")
    connection.close()


def _moved_environment(driver: Driver) -> None:
    text = hook(driver).read_text()
    hook(driver).write_text(text.replace(sys.executable, str(driver.root / "gone/python3")))


def _claimed_by_another(driver: Driver) -> None:
    other = driver.root / "other"
    other.mkdir()
    (other / "guard.yaml").touch()
    (driver.live / ".stateguard.lock").write_text(json.dumps({"owner": "somebody", "home": str(other)}))


APPLIED_REF, MAIN_REF = "refs/stateguard/applied", "refs/heads/main"
DAMAGES: list[tuple[str, Damage, str]] = [
    ("settings", lambda d: (d.home / "guard.yaml").write_text("live: x\nliev: y\n"), "guard.yaml:2:1"),
    ("settings", lambda d: (d.home / "guard.yaml").write_bytes(b"\xff\xfe torn"), "guard.yaml"),
    ("settings", lambda d: (d.home / "guard.yaml").unlink(), "cannot be read"),
    ("home", lambda d: shutil.rmtree(d.repository), "lacks repo.git"),
    ("repository", lambda d: (d.home / "captured.git/HEAD").unlink(), "is no git repository"),
    ("refs", lambda d: (d.repository / APPLIED_REF).write_text("torn"), "what is live cannot be read"),
    ("refs", lambda d: past_hooks(d.repository, "update-ref", "-d", APPLIED_REF), "nothing was ever applied"),
    ("refs", lambda d: past_hooks(d.repository, "update-ref", "-d", MAIN_REF), "main names nothing"),
    ("refs", _lose_content, "is missing"),
    ("keys", lambda d: (d.home / "keys/guard").unlink(), "cannot be read"),
    ("keys", lambda d: (d.home / "keys/guard").chmod(0o644), "read by others"),
    ("keys", _another_key, "not the one pinned"),
    ("permissions", lambda d: (d.home / "keys").chmod(0o755), "reached by other users"),
    ("database", lambda d: (d.home / "guard.db").unlink(), "is missing"),
    ("database", lambda d: (d.home / "guard.db").write_bytes(b"no database " * 400), "cannot be read"),
    ("database", _newer_schema, "schema version 999"),
    ("hooks", lambda d: hook(d).unlink(), "pushes are not guarded"),
    ("hooks", lambda d: hook(d).chmod(0o644), "may not be executed"),
    ("hooks", _moved_environment, "was the environment moved?"),
    ("hooks", lambda d: hook(d).write_text("#!/bin/sh\nexit 0\n"), "is not stateguard's"),
    ("git-settings", lambda d: git(d.repository, "config", "--unset", RECEIVE), "procReceiveRefs is not set"),
    ("git-settings", lambda d: git(d.repository, "config", "core.hooksPath", "x"), "takes its hooks from x"),
    ("live", lambda d: shutil.rmtree(d.live), "is missing"),
    ("live", _claimed_by_another, "belongs to the guard home"),
    ("live", lambda d: (d.home / "trust/identity").unlink(), "does not know its own name"),
]


@pytest.mark.parametrize(("check", "damage", "says"), DAMAGES)
def test_a_damage_is_named_with_its_mend(copied: Driver, check: str, damage: Damage, says: str) -> None:
    damage(copied)
    before = tree(copied.root)
    seen = table.examine(subject_of(Home(copied.home)), {k: c for k, c in table.CHECKS.items() if k != "tools"})
    assert not table.healthy(seen)
    found = [f.as_json() for f in seen]
    named = bad(found)
    assert check in named, named
    assert says in named[check]["message"]
    assert named[check]["mend"]
    assert {"clock", "guard", "confinement"} <= {f["check"] for f in found}, "the other checks have looked"
    assert not any("could not be looked at" in f["message"] for f in found), found
    assert tree(copied.root) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: (hook(d).unlink(), (d.home / "keys").chmod(0o755)),
        lambda d: (hook(d).chmod(0o644), git(d.repository, "config", RECEIVE, "refs/heads/other")),
    ],
)
def test_what_has_one_right_way_is_mended_only_when_asked(copied: Driver, damage: Damage) -> None:
    damage(copied)
    findings(copied, healthy=False)
    document = copied.ask("doctor", "--fix")
    assert document["mended"]
    assert not bad(document["findings"])
    assert (copied.home / "reserve").stat().st_blocks * 512 >= 64 * 1024 * 1024
    assert findings(copied)


def test_a_mended_environment_takes_pushes_again(copied: Driver) -> None:
    _moved_environment(copied)
    copied.clone()
    assert copied.offer("config/alpha.conf", "mode = plain\n# more\n").returncode != 0
    copied.must("doctor", "--fix")
    done = copied.push()
    assert done.returncode == 0, done.stderr


def put_in_force(driver: Driver, trust: Trust, without_admins: str) -> None:
    guard = compose(Home(driver.home), lambda *_: None)
    try:
        guard.people.change(Trust(), trust, "person:ann", {}, without_admins=without_admins)
    finally:
        guard.close()


def test_keys_that_will_not_count_for_long_are_told(copied: Driver) -> None:
    folder = copied.home / "trust"
    trust = Trust()
    for name, expires in (("ann", rfc3339(time.time() + 86400)), ("bob", rfc3339(time.time() + 40 * 86400))):
        key = ssh_key(SigningKey.generate().public.line, now_text())
        trust = added(trust, folder, name, key, [Role.BASELINE], expires)
    save(folder, with_threshold(trust, Role.BASELINE, 2))
    (found,) = [f for f in findings(copied) if f["check"] == "trust"]
    assert found["level"] == "warning"
    assert found["message"].startswith("ann's key ")
    assert found["mend"].startswith("stateguard trust rotate ann --ssh NEW.pub")
    save(folder, removed(with_threshold(trust, Role.BASELINE, 2), "bob", None, now_text()))
    said = [f["message"] for f in findings(copied) if f["check"] == "trust"]
    assert said[1:] == ["1 person can sign as baseline, and it takes 2"]
    put_in_force(copied, trust, "person:ann")
    said = [f["message"] for f in findings(copied) if f["check"] == "trust"]
    assert said[0] == "person:ann put the trust document in force without the signatures of admins"
    with (folder / "trust.yaml").open("a") as file:
        file.write("# a remark\n")
    (found,) = [f for f in findings(copied, healthy=False) if f["check"] == "trust"]
    assert (found["level"], found["mend"]) == ("problem", "stateguard trust restore")
    assert "changed past the guard" in found["message"]
    (folder / "trust.yaml").write_text("people: 3\n")
    (found,) = [f for f in findings(copied, healthy=False) if f["check"] == "trust"]
    assert found["level"] == "problem"


def test_an_interrupted_operation_is_told(copied: Driver) -> None:
    connection = sqlite3.connect(copied.home / "guard.db")
    connection.execute("UPDATE operation SET outcome=NULL WHERE id=1")
    connection.commit()
    connection.close()
    told = next(f for f in findings(copied) if f["check"] == "operations")
    assert told["mend"] == "stateguard recover"


def test_people_read_levels_and_mends(copied: Driver) -> None:
    _moved_environment(copied)
    done = copied.run("--quiet", "doctor")
    assert done.returncode == 1
    assert "problem  " in done.stdout
    assert "mend: stateguard doctor --fix" in done.stdout
    assert "ok  " not in done.stdout
    assert copied.run("doctor", "--nonsense").returncode == 2


def test_a_check_that_fails_is_a_finding(copied: Driver) -> None:
    def fails(_subject: object) -> list[table.Finding]:
        raise StorageError("the disk is on fire")

    found = table.examine(table.Subject(None, None), {"one": fails, "two": table.CHECKS["home"]})
    assert [f.check for f in found] == ["one", "home"]
    assert "the disk is on fire" in found[0].message


def test_a_running_guard_answers_and_a_killed_one_is_told(copied: Driver) -> None:
    copied.start(health="")
    try:
        guard = next(f for f in findings(copied) if f["check"] == "guard")
        assert guard["level"] == "ok"
        assert "answers" in guard["message"]
        assert (copied.home / "reserve").stat().st_size == 64 * 1024 * 1024
        copied.kill()
        guard = next(f for f in findings(copied) if f["check"] == "guard")
        assert guard["level"] == "warning"
        assert "the socket of one that was killed is still there" in guard["message"]
    finally:
        copied.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_somebody_else_are_found(copied: Driver) -> None:
    os.chown(copied.repository / "HEAD", 12345, -1)
    named = bad(findings(copied, healthy=False))
    assert "HEAD" in named["ownership"]["message"]
