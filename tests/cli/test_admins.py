"""Changes of trust that admins sign, from the command line of a home without a daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from driving import Driver
from stateguard.cli.trust import followed
from stateguard.trust.ssh import SigningKey


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("ann", "bob", "eve")}
    for path in made.values():
        key = SigningKey.generate()
        path.write_bytes(key.dump())
        path.chmod(0o600)
        path.with_suffix(".pub").write_text(key.public.line + "\n")
    return made


def test_from_the_first_admin_to_two_of_two(home: Driver, keys: dict[str, Path]) -> None:
    first = home.ask("trust", "add", "ann", "--ssh", keys["ann"].with_suffix(".pub"), "--role", "admin")
    add_bob = ("trust", "add", "bob", "--ssh", str(keys["bob"].with_suffix(".pub")), "--role", "admin")
    error = home.refused(*add_bob, status=16)
    assert "takes 1 signature of ann" in error["message"]
    assert "--sign KEY" in error["next"]
    home.refused(*add_bob, "--sign", keys["eve"], status=10)
    done = home.run(*add_bob, "--sign", keys["ann"])
    assert done.returncode == 0, done.stderr
    assert '+  - name: "bob"' in done.stderr, "what is signed is shown"
    version = first["version"] + 1
    assert f"signing trust version {version} with" in done.stderr
    home.must("trust", "threshold", "admin", "2", "--sign", keys["ann"])
    home.must("trust", "lock", "eve", "--reason", "left")
    pending = home.ask("trust", "unlock", "eve", "--sign", keys["ann"])["pending"]
    assert ([s["name"] for s in pending["signers"]], pending["threshold"]) == (["ann"], 2)
    listed = home.must("trust", "list")
    assert "a change of trust takes the signatures of 2 persons" in listed
    assert f"a change to version {version + 3} has 1 of 2 signatures (ann)" in listed
    status = home.ask("status")
    assert [x["name"] for x in status["locked"]] == ["eve"]
    assert status["pending"] == [{"what": f"trust version {version + 3}", "signers": ["ann"], "threshold": 2}]
    document = home.ask("trust", "sign", "--key", keys["bob"])
    assert (document["locked"], document["pending"], document["version"]) == ([], None, version + 3)
    home.refused("trust", "sign", "--key", keys["bob"], status=15)
    home.ask("trust", "remove", "bob", "--sign", keys["bob"], status=1)
    path = home.home / "trust" / "trust.yaml"
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b"admin: 2", b"admin: 1"))
    assert "changed past the guard" in home.refused("trust", "list", status=10)["message"]
    assert home.run("trust", "verify").returncode == 10
    home.must("trust", "restore")
    assert path.read_bytes() == kept
    assert "changes of trust: all hold" in home.must("trust", "verify")
    _by_force(home, keys, version)
    home.refused("trust", "drop", status=15)
    assert home.ask("audit", "verify")["valid"]


def _by_force(home: Driver, keys: dict[str, Path], version: int) -> None:
    """Go on by force, and see that it is shown and said until both admins of before have signed."""
    document = home.ask("trust", "threshold", "admin", "1", "--force")
    assert document["without_admins"].startswith("person:")
    assert "without the signatures of admins" in home.must("trust", "list")
    verified = home.ask("trust", "verify")
    assert (verified["valid"], [x["version"] for x in verified["without_admins"]]) == (True, [version + 4])
    assert "came without the signatures of admins" in home.must("trust", "verify")
    rotate = ("trust", "rotate", "bob", "--ssh", keys["eve"].with_suffix(".pub"), "--sign", keys["ann"])
    done = home.run(*rotate)
    assert done.returncode == 0, done.stderr
    assert f"what came after version {version + 3} was not signed by its admins" in done.stderr
    assert "-  admin: 2" in done.stderr, "what came by force is shown too"
    document = home.ask("trust", "restore", "--force")
    assert (document["version"], document["thresholds"]["admin"]) == (version + 6, 2)
    document = home.ask("trust", "threshold", "admin", "1", "--sign", keys["ann"])
    assert document["without_admins"].startswith("person:"), "two had to sign by the document before"
    assert home.ask("trust", "sign", "--key", keys["bob"])["without_admins"] is None


def test_an_old_home_is_told_that_nothing_was_followed() -> None:
    untold = {"changes": 3, "version": 3, "until": "2026-07-01T10:00:00.000Z"}
    found = {"valid": True, "changes": 0, "unfollowed": untold, "without_admins": [], "problems": []}
    since = "the audit chain holds no documents until 2026-07-01T10:00:00.000Z"
    taken = f"versions up to 3 are taken as they are, and were not followed: {since}"
    assert followed(found) == [taken, "no change of trust could be followed"]
    assert followed(found | {"changes": 2}) == [taken, "2 changes of trust: all hold"]
    assert followed(found | {"valid": False, "problems": ["bad"]})[-1] == "0 changes of trust: not all hold"
