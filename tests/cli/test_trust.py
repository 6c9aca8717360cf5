"""People's keys on the command line: trusted, used for baselines and commits, removed."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Driver, git, sh
from gpghome import GpgHome, gpg_home
from tiny import ALPHA, GOOD


@pytest.fixture(scope="module")
def person() -> Iterator[GpgHome]:
    with gpg_home() as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in {
        "ann": ["ed25519"],
        "bob": ["ecdsa"],
        "eve": ["ed25519"],
        "short": ["rsa", "-b", "2048"],
    }.items():
        sh("ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", folder / name)
    return folder


def fingerprint(key: Path) -> str:
    return sh("ssh-keygen", "-l", "-f", f"{key}.pub").stdout.split()[1]


def people(driver: Driver) -> dict[str, list[str]]:
    return {p["name"]: p["roles"] for p in driver.ask("trust", "list")["people"]}


def test_keys_are_added_listed_and_removed(tiny: Driver, keys: Path, person: GpgHome, tmp_path: Path) -> None:
    version = tiny.ask("trust", "list")["version"]
    document = tiny.ask("trust", "add", "ann", "--ssh", keys / "ann.pub", "--role", "baseline", "--role", "push")
    assert document["version"] == version + 1
    line = (keys / "bob.pub").read_text().strip()
    tiny.ask("trust", "add", "bob", "--ssh", line)
    gpg = person.make("cyd")
    (tmp_path / "cyd.asc").write_bytes(person.export(gpg))
    tiny.ask("trust", "add", "cyd", "--gpg", tmp_path / "cyd.asc")
    document = tiny.ask("trust", "list")
    assert people(tiny) == {"ann": ["push", "baseline"], "bob": ["push"], "cyd": ["push"]}
    kinds = [(k["kind"], k["fingerprint"]) for p in document["people"] for k in p["keys"]]
    assert kinds == [
        ("ssh-ed25519", fingerprint(keys / "ann")), ("ecdsa-sha2-nistp256", fingerprint(keys / "bob")), ("gpg", gpg)
    ]  # fmt: skip
    table = tiny.must("trust", "list").splitlines()
    assert re.split(r"\s{2,}", table[0].strip()) == ["WHO", "KEY", "FINGERPRINT", "ROLES", "ADDED"]
    assert any(gpg in row and row.startswith("cyd ") for row in table)
    assert tiny.ask("trust", "add", "ann", "--role", "push")["version"] == version + 4
    assert tiny.ask("trust", "add", "ann", "--role", "push")["version"] == version + 4, "no change, no version"
    tiny.must("trust", "remove", "bob", "--key", fingerprint(keys / "bob"))
    tiny.must("trust", "remove", "cyd", "--key", gpg.lower())
    tiny.must("trust", "remove", "ann")
    document = tiny.ask("trust", "list")
    assert (document["people"], document["version"]) == ([], version + 7)
    assert {f["name"] for f in document["former"]} >= {"ann", "bob", "cyd"}
    kinds = [e["body"]["action"] for e in tiny.ask("audit", "log", "--limit", "30")["entries"] if e["kind"] == "trust"]
    assert kinds[:7] == ["remove", "remove", "remove", "add", "add", "add", "add"]
    assert tiny.ask("audit", "verify")["valid"]


def test_bad_input_changes_nothing(tiny: Driver, keys: Path, person: GpgHome, tmp_path: Path) -> None:
    tiny.ask("trust", "add", "ann", "--ssh", keys / "ann.pub")
    before, refs = tiny.ask("trust", "list"), tiny.refs()
    gpg = person.make("dan")
    (tmp_path / "secret.gpg").write_bytes(person.run("--export-secret-keys", gpg).stdout)
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(b"x" * 1_100_000)
    for words, status, says in (
        (["eve", "--ssh", keys / "eve"], 10, "private key"),
        (["eve", "--gpg", tmp_path / "secret.gpg"], 10, "private key"),
        (["eve", "--ssh", keys / "short.pub"], 10, "2048 bits"),
        (["eve", "--ssh", tmp_path / "empty"], 10, "exactly one"),
        (["eve", "--ssh", tmp_path / "large"], 10, "that is no key"),
        (["eve", "--ssh", tmp_path / "nowhere"], 2, "neither a .pub file"),
        (["eve", "--gpg", "cyd@example.org"], 2, "neither an exported key"),
        (["eve", "--gpg", "A" * 40], 15, "your GPG keyring"),
        (["eve", "--ssh", keys / "ann.pub"], 1, "is ann's"),
        (["eve", "--ssh", tiny.home / "keys" / "guard.pub"], 1, "the guard's own key"),
        (["guard", "--ssh", keys / "eve.pub"], 2, "cannot name a person"),
        (["eve"], 15, "nobody is trusted"),
        (["eve", "--ssh", keys / "eve.pub", "--gpg", gpg], 2, "two keys"),
    ):
        done = tiny.run("--json", "trust", "add", *words, GNUPGHOME=str(person.path))
        assert done.returncode == status, (words, done.stdout)
        assert says in done.stdout, (words, done.stdout)
        assert "Traceback" not in done.stderr
    tiny.refused("trust", "remove", "nobody", status=15)
    tiny.refused("trust", "remove", "ann", "--key", "SHA256:other", status=15)
    assert tiny.ask("trust", "list") == before
    assert tiny.refs() == refs
    tiny.must("trust", "remove", "ann")


def test_a_baseline_is_approved_by_a_person_and_survives_the_key(tiny: Driver, keys: Path, person: GpgHome) -> None:
    gpg, own = person.make("gil"), {"GNUPGHOME": str(person.path)}
    tiny.must("trust", "add", "ann", "--ssh", keys / "ann.pub", "--role", "baseline")
    assert tiny.run("trust", "add", "gil", "--gpg", gpg, "--role", "baseline", **own).returncode == 0
    one = tiny.ask("baseline", "create", "--sign", keys / "ann")
    assert (one["grade"], one["signer"], one["key"]) == ("approved", "ann", fingerprint(keys / "ann"))
    done = tiny.run("baseline", "create", "--sign", gpg, **own)
    assert done.returncode == 0, done.stderr
    assert f"signing baseline/{one['number'] + 1} with {gpg}" in done.stderr
    two = tiny.ask("baseline", "list")["baselines"][0]
    assert (two["grade"], two["signer"], two["key"], two["valid"]) == ("approved", "gil", gpg, True)
    assert re.search(rf"^{two['number']} +approved +gil ", tiny.must("baseline", "list"), re.MULTILINE)
    assert tiny.status()["baseline"]["grade"] == "approved"
    signers = f"gpg.ssh.allowedSignersFile={tiny.home / 'trust/allowed_signers'}"
    git(tiny.repository, "-c", "gpg.format=ssh", "-c", signers, "verify-tag", f"baseline/{one['number']}")
    sh("git", "-C", tiny.repository, "verify-tag", f"baseline/{two['number']}", **own)
    tiny.must("trust", "remove", "ann")
    tiny.must("trust", "remove", "gil")
    document = tiny.ask("baseline", "verify")
    assert document["valid"]
    assert {b["number"] for b in document["baselines"] if b["warnings"]} == {one["number"], two["number"]}
    assert "warning: the key" in tiny.must("baseline", "verify", str(one["number"]))
    assert "not trusted any more" in tiny.must("baseline", "show", str(two["number"]))
    error = tiny.refused("baseline", "create", "--sign", keys / "ann", status=10)
    assert "trust add" in error["next"]
    assert tiny.ask("baseline", "list")["baselines"][0]["number"] == two["number"]


def test_keys_that_cannot_sign_a_baseline(tiny: Driver, keys: Path) -> None:
    before = tiny.refs()
    tiny.must("trust", "add", "bob", "--ssh", keys / "bob.pub")
    error = tiny.refused("baseline", "create", "--sign", keys / "bob", status=10)
    assert error["next"] == "stateguard trust add bob --role push --role baseline"
    tiny.refused("baseline", "create", "--sign", keys / "nowhere", status=15)
    tiny.refused("baseline", "create", "--sign", keys / "short", status=10)
    tiny.refused("baseline", "create", "--sign", "ssh:SHA256:other", status=15)
    assert tiny.refs() == before
    tiny.must("trust", "remove", "bob")


def test_an_earlier_trust_document_is_refused(tiny: Driver, keys: Path) -> None:
    tiny.must("trust", "add", "ann", "--ssh", keys / "ann.pub")
    document = tiny.home / "trust/trust.yaml"
    kept = document.read_bytes()
    tiny.must("trust", "remove", "ann")
    newest = document.read_bytes()
    document.write_bytes(kept)
    assert "was in force" in tiny.refused("trust", "add", "ann", "--role", "admin", status=10)["message"]
    document.write_text("people: 3\n")
    assert "trust.yaml:" in tiny.refused("trust", "list", status=1)["message"]
    document.write_bytes(newest)


# what a push says of its signature


def signed_push(driver: Driver, text: str, *options: str, **extra: str) -> tuple[int, str]:
    driver.edit(ALPHA, f"{GOOD}# {text}\n")
    sh("git", "add", "-A", cwd=driver.work)
    sh("git", *options, "commit", "-q", "-S", "-m", text, cwd=driver.work, **extra)
    done = driver.push()
    return done.returncode, done.stderr


def by_ssh(key: Path) -> list[str]:
    return ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"]


def test_a_push_says_whose_signature_it_carries(tiny: Driver, keys: Path, person: GpgHome) -> None:
    gpg = person.make("hal")
    own = {"GNUPGHOME": str(person.path)}
    tiny.must("trust", "add", "ann", "--ssh", keys / "ann.pub")
    assert tiny.run("trust", "add", "hal", "--gpg", gpg, **own).returncode == 0
    for words, extra, expected in (
        (by_ssh(keys / "ann"), {}, "valid, signed by ann (admitted"),
        (by_ssh(keys / "eve"), {}, f"valid, signed by an unknown key ({fingerprint(keys / 'eve')}) (admitted"),
        (["-c", f"user.signingkey={gpg}"], own, "valid, signed by hal (admitted"),
    ):
        status, said = signed_push(tiny, expected, *words, **extra)
        assert status == 0, said
        assert expected in said
    tiny.must("trust", "remove", "ann")
    status, said = signed_push(tiny, "again", *by_ssh(keys / "ann"))
    assert (status, "signed by a key of ann's that was removed" in said) == (0, True)
    tiny.must("trust", "remove", "hal")


def test_a_signature_that_does_not_hold_is_refused(tiny: Driver, keys: Path) -> None:
    tiny.must("trust", "add", "ann", "--ssh", keys / "ann.pub")
    before = tiny.main
    tiny.edit(ALPHA, GOOD + "# forged\n")
    sh("git", "add", "-A", cwd=tiny.work)
    sh("git", *by_ssh(keys / "ann"), "commit", "-q", "-S", "-m", "What ann signed", cwd=tiny.work)
    content = sh("git", "cat-file", "commit", "HEAD", cwd=tiny.work).stdout
    forged = content.replace("What ann signed", "What ann never saw")
    made = sh("git", "hash-object", "-w", "-t", "commit", "--stdin", cwd=tiny.work, stdin=forged).stdout.strip()
    done = tiny.push(ref=f"{made}:main")
    assert done.returncode == 1
    assert "its signature does not hold: the signature does not fit what it should sign" in done.stderr
    assert "git commit --amend" in done.stderr
    assert tiny.main == before
    refusal = next(e for e in tiny.ask("audit", "log")["entries"] if e["kind"] == "refusal")
    assert refusal["body"]["problems"][0]["code"] == "signature"
    tiny.must("trust", "remove", "ann")


# init with a key


def plain(root: Path) -> Driver:
    """Return a driver of a home that is still to be made, of a state without agents."""
    (root / "source").mkdir()
    (root / "source" / "settings.txt").write_text("one\n")
    return Driver(root, root / "source")


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
def test_whoever_makes_the_home_may_sign_its_first_baseline(
    tmp_path: Path, keys: Path, person: GpgHome, kind: str
) -> None:
    driver, own = plain(tmp_path), {"GNUPGHOME": str(person.path)}
    key = str(keys / "eve") if kind == "ssh" else person.make("ida")
    words = ["init", "--from", driver.source or "", "--live", driver.live, "--probe-runs", "0", "--signing-key", key]
    done = driver.run(*words, **own)
    assert done.returncode == 0, done.stderr
    (verified,) = driver.ask("baseline", "verify")["baselines"]
    assert (verified["grade"], verified["signer"], verified["valid"]) == ("approved", getpass.getuser(), True)
    assert people(driver) == {getpass.getuser(): ["push", "baseline", "approve", "admin"]}
    # and without a daemon the next one too
    if kind == "ssh":
        assert "UNKNOWN" in driver.refused("baseline", "create", "--sign", key, status=1)["message"]
        made = driver.ask("baseline", "create", "--force", "--sign", key)
        assert (made["number"], made["grade"], made["valid"]) == (2, "approved", True)


def test_a_key_that_does_not_count_leaves_no_home(tmp_path: Path, keys: Path) -> None:
    driver = plain(tmp_path)
    words = ["init", "--from", driver.source or "", "--live", driver.live, "--probe-runs", "0", "--signing-key"]
    driver.refused(*words, keys / "short", status=10)
    driver.refused(*words, keys / "nowhere", status=15)
    assert not driver.home.exists()
    assert not driver.live.exists()
