"""Against real gpg, in both directions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from gpghome import ED25519, NIST_P256, RSA2048, RSA3072, SUBKEY, GpgHome, gpg_home
from stateguard.errors import TrustError
from stateguard.trust import gpg
from stateguard.trust.armor import PGP_SIGNATURE, armored, unarmored
from stateguard.trust.gpgstatus import Finding

CONTENT = b"object 1\ntype commit\n\nwhat is signed\r\n"


@pytest.fixture(scope="module")
def person() -> Iterator[GpgHome]:
    with gpg_home() as made:
        yield made


@pytest.fixture(scope="module")
def keys(person: GpgHome) -> dict[str, str]:
    """Make a key of each kind that counts."""
    return {
        "ed25519": person.make("ann", ED25519),
        "rsa": person.make("bob", RSA3072),
        "nistp256": person.make("cyd", NIST_P256),
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "gnupg"


def pinned(person: GpgHome, *fingerprints: str) -> list[str]:
    return [gpg.read_key(person.export(one)).armored for one in fingerprints]


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "nistp256"])
class TestEveryKind:
    def test_what_gpg_signs_is_good_and_nothing_else(
        self, person: GpgHome, keys: dict[str, str], home: Path, kind: str
    ) -> None:
        signature = person.sign(keys[kind], CONTENT)
        ring = pinned(person, *keys.values())
        found = gpg.verify(home, ring, CONTENT, signature)
        assert (found.finding, found.primary) == (Finding.GOOD, keys[kind])
        assert person.verifies(CONTENT, signature)
        assert gpg.verify(home, ring, CONTENT + b"x", signature).finding is Finding.BAD
        assert not person.verifies(CONTENT + b"x", signature)
        others = pinned(person, *(f for k, f in keys.items() if k != kind))
        unknown = gpg.verify(home, others, CONTENT, signature)
        assert (unknown.finding, unknown.key) == (Finding.UNKNOWN_KEY, keys[kind])
        assert gpg.verify(home, [], CONTENT, signature).finding is Finding.UNKNOWN_KEY
        assert list(home.iterdir()) == [], "nothing is kept between verifications"

    def test_the_key_is_read_as_gpg_has_it(self, person: GpgHome, keys: dict[str, str], kind: str) -> None:
        exported = person.export(keys[kind])
        key = gpg.read_key(exported)
        assert key.fingerprint == keys[kind]
        assert key.user_id.endswith("@example.org>")
        binary = person.run("--export", keys[kind]).stdout
        assert gpg.read_key(binary).fingerprint == keys[kind]
        assert gpg.read_key(key.armored.encode()) == key


class TestRefusals:
    def test_a_bit_flipped_anywhere_in_the_signature(self, person: GpgHome, keys: dict[str, str], home: Path) -> None:
        signature = unarmored(person.sign(keys["ed25519"], CONTENT), PGP_SIGNATURE)
        ring = pinned(person, keys["ed25519"])

        @given(st.integers(0, len(signature) - 1), st.integers(0, 7))
        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        def flipped(position: int, bit: int) -> None:
            changed = bytearray(signature)
            changed[position] ^= 1 << bit
            text = armored(bytes(changed), PGP_SIGNATURE)
            found = gpg.verify(home, ring, CONTENT, text)
            # The part that is not hashed may name another key id; what is signed and by whom stays the same.
            assert found.finding is not Finding.GOOD or (found.primary == keys["ed25519"] and stock(text))

        def stock(text: str) -> bool:
            return person.verifies(CONTENT, text)

        flipped()

    def test_two_signatures_in_one_block_or_in_two(self, person: GpgHome, keys: dict[str, str], home: Path) -> None:
        one, other = person.sign(keys["ed25519"], CONTENT), person.sign(keys["rsa"], CONTENT)
        ring = pinned(person, *keys.values())
        together = armored(unarmored(one, PGP_SIGNATURE) + unarmored(other, PGP_SIGNATURE), PGP_SIGNATURE)
        for text in (one + other, one + one, together, armored(unarmored(one, PGP_SIGNATURE) * 2, PGP_SIGNATURE)):
            found = gpg.verify(home, ring, CONTENT, text)
            assert found.finding is Finding.UNREADABLE
            assert "exactly one" in found.detail
        assert gpg.verify(home, pinned(person, keys["rsa"]), CONTENT, together).finding is Finding.UNREADABLE

    @pytest.mark.parametrize("form", ["--clearsign", "--sign"])
    def test_what_is_not_detached(self, person: GpgHome, keys: dict[str, str], home: Path, form: str) -> None:
        text = person.run("--armor", form, "--local-user", keys["ed25519"], stdin=CONTENT).stdout.decode()
        ring = pinned(person, keys["ed25519"])
        assert gpg.verify(home, ring, CONTENT, text).finding is Finding.UNREADABLE
        if form == "--sign":
            relabelled = armored(unarmored(text.replace("PGP MESSAGE", PGP_SIGNATURE), PGP_SIGNATURE), PGP_SIGNATURE)
            assert gpg.verify(home, ring, CONTENT, relabelled).finding is Finding.UNREADABLE

    def test_text_mode_and_weak_hashes(self, person: GpgHome, keys: dict[str, str], home: Path) -> None:
        ring = pinned(person, keys["ed25519"], keys["rsa"])
        text = person.sign(keys["ed25519"], CONTENT, "--textmode")
        assert person.verifies(CONTENT, text)
        assert gpg.verify(home, ring, CONTENT.replace(b"\r\n", b"\n"), text).finding is Finding.UNREADABLE
        weak = person.sign(keys["rsa"], CONTENT, "--digest-algo", "SHA1")
        assert gpg.verify(home, ring, CONTENT, weak).finding is Finding.UNREADABLE

    def test_a_signature_or_key_that_expired(self, person: GpgHome, home: Path) -> None:
        old = "20200101T000000"
        key = person.make("eve", expires="2020-02-01", at=old)
        signature = person.sign(key, CONTENT, "--faked-system-time", f"{old}!")
        ring = [person.export(key).decode()]
        found = gpg.verify(home, ring, CONTENT, signature)
        assert (found.finding, found.primary) == (Finding.EXPIRED_KEY, key)
        with pytest.raises(TrustError, match="has expired"):
            gpg.read_key(person.export(key))
        lasting = person.make("fay", at=old)
        short = person.sign(lasting, CONTENT, "--faked-system-time", f"{old}!", "--default-sig-expire", "5d")
        assert gpg.verify(home, pinned(person, lasting), CONTENT, short).finding is Finding.EXPIRED_SIGNATURE

    def test_a_key_that_its_owner_revoked(self, person: GpgHome, home: Path) -> None:
        key = person.make("gus")
        signature = person.sign(key, CONTENT)
        assert gpg.verify(home, pinned(person, key), CONTENT, signature).finding is Finding.GOOD
        person.revoke(key)
        found = gpg.verify(home, [person.export(key).decode()], CONTENT, signature)
        assert (found.finding, found.primary) == (Finding.REVOKED_KEY, key)
        with pytest.raises(TrustError, match="revoked"):
            gpg.read_key(person.export(key))

    @pytest.mark.parametrize("junk", ["", "x", "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n"])
    def test_junk(self, home: Path, junk: str) -> None:
        assert gpg.verify(home, [], CONTENT, junk).finding is Finding.UNREADABLE
        assert gpg.verify(home, [], CONTENT, armored(b"junk", PGP_SIGNATURE)).finding is Finding.UNREADABLE


def test_a_subkeys_signature_counts_under_its_primary(person: GpgHome, home: Path) -> None:
    key = person.make("dan", more=SUBKEY)
    (subkey,) = person.subkeys(key)
    signature = person.sign(f"{subkey}!", CONTENT)
    found = gpg.verify(home, pinned(person, key), CONTENT, signature)
    assert (found.finding, found.primary, found.key) == (Finding.GOOD, key, subkey)


class TestReadKey:
    def test_a_private_key_is_refused(self, person: GpgHome, keys: dict[str, str]) -> None:
        for form in (["--armor"], []):
            secret = person.run(*form, "--export-secret-keys", keys["ed25519"]).stdout
            with pytest.raises(TrustError, match="private key"):
                gpg.read_key(secret)

    def test_more_than_one(self, person: GpgHome, keys: dict[str, str]) -> None:
        both = person.run("--armor", "--export", keys["ed25519"], keys["rsa"]).stdout
        for offered in (both, person.export(keys["ed25519"]) + person.export(keys["rsa"])):
            with pytest.raises(TrustError, match="exactly one"):
                gpg.read_key(offered)

    def test_one_that_is_too_short(self, person: GpgHome) -> None:
        with pytest.raises(TrustError, match="2048 bits"):
            gpg.read_key(person.export(person.make("hal", RSA2048)))

    def test_a_short_subkey_that_signs(self, person: GpgHome) -> None:
        key = person.make("ida", more="Subkey-Type: RSA\nSubkey-Length: 2048\nSubkey-Usage: sign")
        with pytest.raises(TrustError, match="2048 bits"):
            gpg.read_key(person.export(key))

    def test_one_that_cannot_sign(self, person: GpgHome) -> None:
        key = person.make("jim", usage="cert")
        with pytest.raises(TrustError, match="no part that can sign"):
            gpg.read_key(person.export(key))

    @given(st.binary(max_size=200))
    @settings(max_examples=15, deadline=None)
    def test_junk_is_a_trust_error(self, junk: bytes) -> None:
        with pytest.raises(TrustError):
            gpg.read_key(junk)


def test_a_gpg_that_says_good_and_fails_is_not_believed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, place = tmp_path / "gpg", "A" * 40
    lines = f"[GNUPG:] GOODSIG {place} x\n[GNUPG:] VALIDSIG {place} 2026-07-01 1 0 4 0 22 10 00 {place}\n"
    text = armored(b"x", PGP_SIGNATURE)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for status, expected in ((0, Finding.GOOD), (2, Finding.UNREADABLE)):
        other.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}END\nexit {status}\n")
        other.chmod(0o755)
        assert gpg.verify(home, [], CONTENT, text).finding is expected


def test_without_gpg_the_package_is_named(
    person: GpgHome, keys: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature, exported = person.sign(keys["ed25519"], CONTENT), person.export(keys["ed25519"])
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(gpg.GpgMissingError, match="gpg cannot be started") as refused:
        gpg.verify(home, [], CONTENT, signature)
    assert "apt-get install gpg" in refused.value.next_step
    with pytest.raises(gpg.GpgMissingError):
        gpg.read_key(exported)
