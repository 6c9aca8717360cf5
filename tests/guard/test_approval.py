"""What happens between the bytes a guard prepares and the signature that comes back."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

import pytest

from driving import Driver, git, sh
from helpers import eventually
from stateguard.errors import StateguardError
from stateguard.guard.client import stream
from stateguard.model.moment import rfc3339
from stateguard.trust.ssh import SigningKey
from tiny import ALPHA, GOOD

KEY, OTHER = SigningKey.generate(), SigningKey.generate()


@pytest.fixture(autouse=True)
def _ann(tiny: Driver) -> None:
    ask(tiny, "trust-add", person="ann", ssh=KEY.public.line, roles=["baseline"])
    ask(tiny, "trust-add", person="bob", ssh=OTHER.public.line, roles=["push"])


def ask(driver: Driver, name: str, **parameters: object) -> dict[str, Any]:
    documents = list(stream(driver.home / "run" / "control.sock", name, {"user": "ann", **parameters}))
    found: dict[str, Any] = next(d["result"] for d in documents if "result" in d)
    return found


def prepared(driver: Driver) -> tuple[str, bytes]:
    unsigned = ask(driver, "baseline-prepare", key=KEY.public.fingerprint)["unsigned"]
    return unsigned, base64.b64decode(unsigned)


def refused(driver: Driver, status: int, says: str, **parameters: object) -> None:
    before = driver.refs()
    with pytest.raises(StateguardError) as error:
        ask(driver, "baseline-submit", **parameters)
    assert error.value.exit == status, error.value.message
    assert says in error.value.message
    assert driver.refs() == before


def test_what_comes_back_must_be_what_was_prepared(tiny: Driver) -> None:
    unsigned, content = prepared(tiny)
    refused(tiny, 1, "not the bytes", unsigned=base64.b64encode(content + b"x").decode(), signature=KEY.sign(content))
    refused(tiny, 2, "base64", unsigned="!", signature=KEY.sign(content))
    refused(tiny, 1, "not the bytes", signature=KEY.sign(content))
    refused(tiny, 10, "does not fit", unsigned=unsigned, signature=KEY.sign(content + b"x"))
    refused(tiny, 10, "not the role baseline", unsigned=unsigned, signature=OTHER.sign(content))
    refused(tiny, 10, "unknown key", unsigned=unsigned, signature=SigningKey.generate().sign(content))
    refused(tiny, 10, "does not hold", unsigned=unsigned)
    made = ask(tiny, "baseline-submit", unsigned=unsigned, signature=KEY.sign(content))
    assert (made["grade"], made["signer"]) == ("approved", "ann")
    refused(tiny, 1, "not the bytes", unsigned=unsigned, signature=KEY.sign(content))


def test_a_change_meanwhile_is_not_approved_unseen(tiny: Driver) -> None:
    unsigned, content = prepared(tiny)
    assert tiny.offer(ALPHA, GOOD + "# meanwhile\n").returncode == 0
    refused(tiny, 1, "the live state is another by now", unsigned=unsigned, signature=KEY.sign(content))


def test_a_baseline_meanwhile_takes_the_number(tiny: Driver) -> None:
    unsigned, content = prepared(tiny)
    number = tiny.ask("baseline", "create")["number"]
    refused(tiny, 10, f"by now baseline {number} was signed", unsigned=unsigned, signature=KEY.sign(content))


def test_a_key_that_is_removed_meanwhile_does_not_count(tiny: Driver) -> None:
    unsigned, content = prepared(tiny)
    tiny.must("trust", "remove", "ann")
    refused(tiny, 10, "was removed", unsigned=unsigned, signature=KEY.sign(content))


def test_nothing_is_prepared_for_a_key_that_may_not(tiny: Driver) -> None:
    for key in ("", "SHA256:x", None, OTHER.public.fingerprint):
        with pytest.raises(StateguardError) as error:
            ask(tiny, "baseline-prepare", key=key)
        assert error.value.exit == 10


def test_two_persons_approve_what_takes_two(tiny: Driver, tmp_path: Path) -> None:
    paths = {"ann": tmp_path / "ann", "bob": tmp_path / "bob"}
    for name, key in (("ann", KEY), ("bob", OTHER)):
        paths[name].write_bytes(key.dump())
        paths[name].chmod(0o600)
    ask(tiny, "trust-add", person="bob", roles=["push", "baseline"])
    assert tiny.ask("trust", "threshold", "baseline", "2")["thresholds"]["baseline"] == 2
    try:
        assert "approving a baseline takes the signatures of 2 persons" in tiny.must("trust", "list")
        first = tiny.ask("baseline", "create", "--sign", paths["ann"])
        number = str(first["number"])
        assert first["pending"]
        waiting = {"what": f"baseline/{number}", "signers": ["ann"], "threshold": 2}
        assert tiny.status()["pending"] == [waiting]
        assert f"pending      baseline/{number}: 1 of 2 signatures (ann)" in tiny.must("status")
        assert tiny.ask("baseline", "show", str(number))["fingerprint"] == first["fingerprint"]
        assert "pending, 1 of 2 signatures" in tiny.must("baseline", "show", f"baseline/{number}")
        error = tiny.refused("baseline", "verify", str(number), status=15)
        assert (error["next"], "1 of 2" in error["message"]) == (f"look at it: stateguard baseline show {number}", True)
        refused_again = tiny.refused("baseline", "create", "--sign", paths["bob"], status=1)
        assert f"baseline sign {number} --key KEY" in refused_again["next"]
        assert re.search(
            rf"^{number} +approved +ann .* 1 of 2 signatures$", tiny.must("baseline", "list"), re.MULTILINE
        )
        tiny.refused("baseline", "sign", number, "--key", paths["ann"], status=1)
        tiny.refused("baseline", "sign", str(int(number) + 1), "--key", paths["bob"], status=15)
        tiny.must("baseline", "revoke", number, "--reason", "looked again")
        assert tiny.ask("baseline", "list")["pending"] == []
        assert tiny.ask("baseline", "create", "--sign", paths["bob"])["number"] == first["number"]
        done = tiny.run("baseline", "sign", f"baseline/{number}", "--key", paths["ann"])
        assert done.returncode == 0, done.stderr
        assert f"baseline/{number} is signed by bob and waits for ann's signature" in done.stderr
        assert "signer               bob, ann" in done.stdout
        (verified,) = tiny.ask("baseline", "verify", number)["baselines"]
        assert (verified["valid"], verified["threshold"]) == (True, 2)
        status = tiny.status()
        assert (status["baseline"]["number"], status["pending"]) == (first["number"], [])
    finally:
        ask(tiny, "trust-threshold", role="baseline", persons=1)
    tiny.refused("trust", "threshold", "baseline", "9", status=1)
    tiny.refused("trust", "threshold", "push", "1", status=2)


def test_a_key_counts_until_it_expires_and_may_be_replaced(tiny: Driver, signing: list[str]) -> None:
    """Its time is a moment from now, so that nothing has to be dated back."""
    soon = rfc3339(time.time() + 1.5)
    document = tiny.ask("trust", "add", "bob", "--ssh", OTHER.public.line, "--expires", soon, "--role", "push",
                        "--role", "baseline")  # fmt: skip
    (first,) = document["expiring"]
    assert (first["name"], first["expires_at"]) == ("bob", soon)
    eventually(lambda: ask(tiny, "trust-list")["expiring"][0]["expired"], 10)
    assert f"bob's key {OTHER.public.fingerprint} expired at {soon}" in tiny.must("trust", "list")
    with pytest.raises(StateguardError, match=r"bob's key .* expired at"):
        ask(tiny, "baseline-prepare", key=OTHER.public.fingerprint)
    settings = tiny.home / "guard.yaml"
    text = settings.read_text()
    try:
        settings.write_text(text.replace("require_signed_commits: none", "require_signed_commits: head"))
        commit(tiny, "expired", *signing)
        done = tiny.push()
        assert done.returncode == 1
        assert f"signed by bob, whose key {OTHER.public.fingerprint} expired at {soon}; this guard takes" in done.stderr
    finally:
        settings.write_text(text)
    new, version = SigningKey.generate().public, ask(tiny, "trust-list")["version"]
    tiny.refused("trust", "rotate", "bob", status=2)
    tiny.refused("trust", "rotate", "bob", "--ssh", KEY.public.line, status=1)
    tiny.refused("trust", "rotate", "eve", "--ssh", new.line, status=15)
    document = tiny.ask("trust", "rotate", "bob", "--ssh", new.line, "--expires", "never")
    assert (document["version"], document["expiring"]) == (version + 1, [])
    (bob,) = [p for p in document["people"] if p["name"] == "bob"]
    assert [(k["fingerprint"], k["expires_at"]) for k in bob["keys"]] == [(new.fingerprint, None)]
    assert document["former"][-1]["fingerprint"] == OTHER.public.fingerprint
    entry = tiny.ask("audit", "log")["entries"][0]["body"]
    assert (entry["action"], entry["key"], entry["former"]) == ("rotate", new.fingerprint, OTHER.public.fingerprint)
    ask(tiny, "trust-remove", person="bob")


def test_odd_requests_to_trust_somebody(tiny: Driver) -> None:
    before = ask(tiny, "trust-list")
    odd: list[dict[str, object]] = [{"ssh": 3}, {"ssh": ""}, {"gpg": "!"}, {"gpg": ""}, {"ssh": [], "gpg": []}]
    odd += [{"roles": "push"}, {"roles": ["king"]}]
    for parameters in odd:
        with pytest.raises(StateguardError) as error:
            ask(tiny, "trust-add", person="cyd", **parameters)
        assert error.value.exit in (2, 10), parameters
    assert ask(tiny, "trust-list") == before


# commits that must be signed


@pytest.fixture
def signing(tiny: Driver, tmp_path: Path) -> list[str]:
    """Write the key of bob, who may push, where git finds it."""
    path = tmp_path / "bob"
    path.write_bytes(OTHER.dump())
    path.chmod(0o600)
    return ["-c", "gpg.format=ssh", "-c", f"user.signingkey={path}"]


def commit(driver: Driver, text: str, *options: str) -> str:
    driver.edit(ALPHA, f"{GOOD}# {text}\n")
    sh("git", "add", "-A", cwd=driver.work)
    sh("git", *options, "commit", "-q", *(["-S"] if options else []), "-m", text, cwd=driver.work)
    return driver.head


@pytest.mark.parametrize("level", ["head", "all"])
def test_commits_must_be_signed_where_the_host_says_so(tiny: Driver, signing: list[str], level: str) -> None:
    settings = tiny.home / "guard.yaml"
    text = settings.read_text()
    try:
        settings.write_text(text.replace("require_signed_commits: none", f"require_signed_commits: {level}"))
        before = tiny.main
        first = commit(tiny, f"first {level}")
        done = tiny.push()
        assert done.returncode == 1
        assert f"commit {first[:10]}: unsigned; this guard takes commits signed by" in done.stderr
        commit(tiny, f"second {level}", *signing)
        done = tiny.push()
        assert (done.returncode == 0) == (level == "head"), done.stderr
        if level == "head":
            assert "signed by bob" in done.stderr
            return
        assert f"commit {first[:10]}: unsigned" in done.stderr
        assert tiny.main == before
        sh("git", "reset", "-q", "--hard", before, cwd=tiny.work)
        commit(tiny, "third", *signing)
        commit(tiny, "fourth", *signing)
        assert tiny.push().returncode == 0
        tiny.must("trust", "add", "bob", "--role", "approve")
        commit(tiny, "fifth", *signing)
        assert "signed by bob, who has not the role push" in tiny.push().stderr
        assert tiny.push(ref="HEAD:refs/heads/aside").returncode == 0
        assert git(tiny.repository, "rev-parse", "aside") == tiny.head
    finally:
        settings.write_text(text)
