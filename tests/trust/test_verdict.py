"""Whose signature is this: the same answers for SSH and GPG."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gpghome import GpgHome, gpg_home
from stateguard.errors import TrustError
from stateguard.model.moment import parse_rfc3339
from stateguard.model.trust import Key, Person, Role, Trust
from stateguard.trust import gpg, people
from stateguard.trust.armor import PGP_SIGNATURE, SSH_SIGNATURE, armored
from stateguard.trust.gpgstatus import Sighting
from stateguard.trust.public import string
from stateguard.trust.ssh import SigningKey
from stateguard.trust.verdict import GpgVerify, Proof, Standing, judge as judge_at, prove

AT = "2026-07-01T10:00:00.000Z"
judge = partial(judge_at, now_seconds=parse_rfc3339(AT))
CONTENT = b"tree 1\n\nmessage\n"
ANN, STRANGER = SigningKey.generate(), SigningKey.generate()


@pytest.fixture(scope="module")
def person() -> Iterator[GpgHome]:
    with gpg_home() as made:
        yield made


@pytest.fixture(scope="module")
def bob(person: GpgHome) -> Key:
    return people.gpg_key(person.export(person.make("bob")), AT)


@pytest.fixture(scope="module")
def trust(bob: Key) -> Trust:
    return Trust(1, (Person("ann", (), (people.ssh_key(ANN.public.line, AT),)), Person("bob", (), (bob,))))


@pytest.fixture
def verify(tmp_path: Path) -> GpgVerify:
    def verified(keys: Sequence[str], content: bytes, text: str) -> Sighting:
        return gpg.verify(tmp_path / "gnupg", keys, content, text)

    return verified


def missing(_keys: Sequence[str], _content: bytes, _text: str) -> Sighting:
    raise gpg.GpgMissingError("gpg cannot be started")


class TestJudge:
    def test_none(self, trust: Trust) -> None:
        assert judge(CONTENT, None, trust, missing).words == "unsigned"

    def test_known_people(self, trust: Trust, verify: GpgVerify, person: GpgHome, bob: Key) -> None:
        found = judge(CONTENT, ANN.sign(CONTENT), trust, missing)
        assert (found.words, found.fingerprint) == ("signed by ann", ANN.public.fingerprint)
        found = judge(CONTENT, person.sign(bob.fingerprint, CONTENT), trust, verify)
        assert (found.words, found.fingerprint) == ("signed by bob", bob.fingerprint)

    def test_strangers(self, trust: Trust, verify: GpgVerify, person: GpgHome) -> None:
        found = judge(CONTENT, STRANGER.sign(CONTENT), trust, missing)
        assert found.words == f"signed by an unknown key ({STRANGER.public.fingerprint})"
        eve = person.make("eve")
        found = judge(CONTENT, person.sign(eve, CONTENT), trust, verify)
        assert (found.standing, found.words) == (Standing.UNKNOWN, f"signed by an unknown key ({eve})")

    def test_somebody_who_is_locked(self, trust: Trust, verify: GpgVerify, person: GpgHome, bob: Key) -> None:
        roles = replace(trust, people=tuple(replace(p, roles=tuple(Role)) for p in trust.people))
        after = people.locked(people.locked(roles, "ann", "stolen", AT), "bob", "", AT)
        found = judge(CONTENT, ANN.sign(CONTENT), after, missing)
        assert (found.standing, found.name, found.roles) == (Standing.KNOWN, "ann", ())
        assert found.words == f"signed by ann, who is locked since {AT}: stolen"
        found = judge(CONTENT, person.sign(bob.fingerprint, CONTENT), after, verify)
        assert (found.words, found.roles) == (f"signed by bob, who is locked since {AT}", ())
        assert judge(CONTENT, ANN.sign(CONTENT), people.unlocked(after, "ann"), missing).roles == tuple(Role)

    def test_a_key_that_has_expired(self, trust: Trust, verify: GpgVerify, person: GpgHome, bob: Key) -> None:
        ended = tuple(
            replace(p, roles=tuple(Role), keys=tuple(replace(k, expires_at=AT) for k in p.keys)) for p in trust.people
        )
        after = replace(trust, people=ended)
        for text, name, check in (
            (ANN.sign(CONTENT), "ann", missing), (person.sign(bob.fingerprint, CONTENT), "bob", verify)
        ):  # fmt: skip
            found = judge(CONTENT, text, after, check)
            assert (found.standing, found.name, found.roles) == (Standing.KNOWN, name, ())
            assert found.words == f"signed by {name}, whose key {found.fingerprint} expired at {AT}"
            before = judge_at(CONTENT, text, after, check, now_seconds=parse_rfc3339(AT) - 1)
            assert before.roles == tuple(Role)
            assert prove(CONTENT, text, found.fingerprint, after, check) == Proof(), "what was accepted stays so"

    def test_a_key_that_was_removed(self, trust: Trust) -> None:
        after = people.removed(trust, "ann", None, AT)
        found = judge(CONTENT, ANN.sign(CONTENT), after, missing)
        assert (found.standing, found.name) == (Standing.UNKNOWN, "")
        assert found.words == f"signed by a key of ann's that was removed ({ANN.public.fingerprint})"

    def test_what_does_not_hold(self, trust: Trust, verify: GpgVerify, person: GpgHome, bob: Key) -> None:
        pgp = person.sign(bob.fingerprint, CONTENT)
        for content, text in (
            (CONTENT + b"x", ANN.sign(CONTENT)),
            (CONTENT + b"x", STRANGER.sign(CONTENT)),
            (CONTENT, ANN.sign(CONTENT, "file")),
            (CONTENT, ANN.sign(CONTENT) * 2),
            (CONTENT, ANN.sign(CONTENT) + pgp),
            (CONTENT + b"x", pgp),
            (CONTENT, pgp * 2),
            (CONTENT, pgp + ANN.sign(CONTENT)),
            (CONTENT, ""),
            (CONTENT, "junk"),
            (CONTENT, armored(b"junk", SSH_SIGNATURE)),
            (CONTENT, armored(b"junk", PGP_SIGNATURE)),
        ):
            found = judge(content, text, trust, verify)
            assert found.standing is Standing.BAD, text
            assert found.words.startswith("its signature does not hold: ")

    def test_an_expired_key_names_its_owner(self, verify: GpgVerify, person: GpgHome) -> None:
        old = "20200101T000000"
        key = person.make("dan", expires="2020-02-01", at=old)
        text = person.sign(key, CONTENT, "--faked-system-time", f"{old}!")
        trust = Trust(1, (Person("dan", (), (Key("gpg", key, person.export(key).decode(), AT),)),))
        found = judge(CONTENT, text, trust, verify)
        assert found.standing is Standing.BAD
        assert found.words == "its signature does not hold: the key has expired (by dan)"
        assert prove(CONTENT, text, key, trust, verify) == Proof((), ("the key has expired",))

    def test_what_cannot_be_checked_is_unknown(self, trust: Trust, person: GpgHome, bob: Key, tmp_path: Path) -> None:
        found = judge(CONTENT, person.sign(bob.fingerprint, CONTENT), trust, missing)
        assert (found.standing, "cannot be checked" in found.words) == (Standing.UNKNOWN, True)
        found = judge(CONTENT, "-----BEGIN SIGNED MESSAGE-----\nx\n-----END SIGNED MESSAGE-----\n", trust, missing)
        assert (found.standing, found.words) == (Standing.UNKNOWN, "signed with X.509, which is not checked")
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "key"], check=True)
        command = ["ssh-keygen", "-Y", "sign", "-q", "-n", "git", "-f", tmp_path / "key"]
        short = subprocess.run(command, input=CONTENT, capture_output=True, check=True).stdout.decode()
        found = judge(CONTENT, short, trust, missing)
        assert (found.standing, "2048 bits does not count" in found.words) == (Standing.UNKNOWN, True)

    def test_a_key_of_a_kind_that_does_not_count_is_unknown_and_not_bad(self, trust: Trust) -> None:
        """A device's key for a web site: whether it made the signature is not looked at."""
        kind = b"sk-ssh-ed25519@openssh.com"
        key = string(kind) + string(b"k" * 32) + string(b"https://example.org")
        wrapped = string(kind) + string(b"s" * 64) + b"\1\0\0\0\1"
        blob = b"SSHSIG\0\0\0\1" + string(key) + string(b"git") + string(b"") + string(b"sha512") + string(wrapped)
        found = judge(CONTENT, armored(blob, SSH_SIGNATURE), trust, missing)
        assert (found.standing, "does not count" in found.words) == (Standing.UNKNOWN, True)

    def test_a_claim_to_be_a_known_key_is_no_proof(
        self, trust: Trust, verify: GpgVerify, person: GpgHome, bob: Key
    ) -> None:
        """Bob's key file was lost, so gpg cannot check; that the signature names his key must not make it his."""
        lost = replace(trust, people=(Person("bob", (), (replace(bob, public=""),)),))
        found = judge(CONTENT, person.sign(bob.fingerprint, b"something else"), lost, verify)
        assert (found.standing, found.name) == (Standing.UNKNOWN, "")

    def test_a_key_file_exchanged_for_anothers_is_not_its_owners(self, trust: Trust, verify: GpgVerify, person: GpgHome,
                                                                bob: Key) -> None:  # fmt: skip
        mallory = person.make("mallory")
        swapped = replace(bob, public=person.export(mallory).decode())
        exchanged = replace(trust, people=(Person("bob", (), (swapped,)),))
        found = judge(CONTENT, person.sign(mallory, CONTENT), exchanged, verify)
        assert (found.standing, found.name) == (Standing.UNKNOWN, "")


class TestProve:
    def test_what_was_accepted_stays_so_when_the_key_is_removed(self, trust: Trust, verify: GpgVerify, person: GpgHome,
                                                               bob: Key) -> None:  # fmt: skip
        for name, fingerprint, text in (
            ("ann", ANN.public.fingerprint, ANN.sign(CONTENT)),
            ("bob", bob.fingerprint, person.sign(bob.fingerprint, CONTENT)),
        ):
            assert prove(CONTENT, text, fingerprint, trust, verify) == Proof()
            after = people.removed(trust, name, None, AT)
            proof = prove(CONTENT, text, fingerprint, after, verify)
            assert (proof.problems, len(proof.warnings)) == ((), 1)
            assert "not trusted any more" in proof.warnings[0]
            assert prove(CONTENT + b"x", text, fingerprint, after, verify).problems

    def test_another_key_than_the_accepted_one(
        self, trust: Trust, verify: GpgVerify, person: GpgHome, bob: Key
    ) -> None:
        other = STRANGER.sign(CONTENT)
        assert prove(CONTENT, other, ANN.public.fingerprint, trust, verify).problems
        mallory = person.make("mallory2")
        swapped = replace(trust, people=(Person("bob", (), (replace(bob, public=person.export(mallory).decode()),)),))
        assert prove(CONTENT, person.sign(mallory, CONTENT), bob.fingerprint, swapped, verify).problems

    def test_without_gpg_or_the_key_there_is_a_warning(
        self, trust: Trust, verify: GpgVerify, person: GpgHome, bob: Key
    ) -> None:
        text = person.sign(bob.fingerprint, CONTENT)
        for found in (
            prove(CONTENT, text, bob.fingerprint, trust, missing),
            prove(CONTENT, text, bob.fingerprint, Trust(), verify),
        ):
            assert found.problems == ()
            assert "not looked at again" in found.warnings[-1]

    @pytest.mark.parametrize("text", [None, "", "junk"])
    def test_no_signature(self, trust: Trust, verify: GpgVerify, text: str | None) -> None:
        assert prove(CONTENT, text, "A" * 40, trust, verify).problems


def test_missing_gpg_is_a_trust_error() -> None:
    assert issubclass(gpg.GpgMissingError, TrustError)
