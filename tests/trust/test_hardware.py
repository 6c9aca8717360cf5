"""Keys in hardware: signatures of a device made in software, against stock ssh-keygen."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from authenticator import ECDSA_P256, ED25519, PRESENT, VERIFIED, Device
from stateguard.errors import TrustError
from stateguard.model.trust import Person, Role, Trust
from stateguard.trust.armor import SSH_SIGNATURE, armored, unarmored
from stateguard.trust.people import ssh_key
from stateguard.trust.public import PublicKey, parse_public, read_key, string, take
from stateguard.trust.ssh import SigningKey, verify
from stateguard.trust.verdict import Standing, judge

KINDS = (ED25519, ECDSA_P256)
CONTENT = b"what is signed\n"
AT = "2026-07-01T10:00:00.000Z"


def accepts(key: PublicKey, text: str, content: bytes = CONTENT, namespace: str = "git") -> bool:
    try:
        verify(content, text, key, namespace)
    except TrustError:
        return False
    return True


def stock_accepts(folder: Path, line: str, text: str, content: bytes = CONTENT, namespace: str = "git") -> bool:
    (folder / "signers").write_text(f"ada {line}\n")
    (folder / "sig").write_text(text)
    where = ["-f", folder / "signers", "-I", "ada", "-n", namespace, "-s", folder / "sig"]
    done = subprocess.run(["ssh-keygen", "-Y", "verify", *where], input=content, capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("kind", KINDS)
class TestBothAgree:
    @given(content=st.binary(max_size=200), namespace=st.sampled_from(["git", "file"]), flags=st.sampled_from([1, 5]))
    @example(content=b"", namespace="git", flags=PRESENT | VERIFIED)
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    def test_on_what_holds(self, tmp_path: Path, kind: str, content: bytes, namespace: str, flags: int) -> None:
        device = Device(kind)
        key, text = parse_public(device.line), device.sign(content, namespace, flags)
        for other, where, right in (
            (content, namespace, True), (content + b"x", namespace, False), (content, namespace + "x", False)
        ):  # fmt: skip
            assert accepts(key, text, other, where) == right
            assert stock_accepts(tmp_path, device.line, text, other, where) == right

    def test_on_the_name_of_a_key(self, tmp_path: Path, kind: str) -> None:
        device = Device(kind, b"ssh:work")
        key = parse_public(device.line)
        (tmp_path / "key.pub").write_text(device.line + "\n")
        done = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "key.pub"], capture_output=True, check=True)
        assert key.fingerprint in done.stdout.decode().split()
        assert f"{key.line} ada@laptop" == device.line

    def test_on_a_change_of_any_byte(self, tmp_path: Path, kind: str) -> None:
        """Every byte of ours; every eleventh byte of stock's, which takes a process each."""
        device = Device(kind)
        key, blob = parse_public(device.line), device.signature(CONTENT)
        taken = [n for n in range(len(blob)) if accepts(key, armored(_changed(blob, n), SSH_SIGNATURE))]
        assert taken == []
        for n in range(0, len(blob), 11):
            assert not stock_accepts(tmp_path, device.line, armored(_changed(blob, n), SSH_SIGNATURE)), n

    def test_on_a_cut_anywhere(self, kind: str) -> None:
        device = Device(kind)
        key, blob = parse_public(device.line), device.signature(CONTENT)
        assert not [n for n in range(1, len(blob)) if accepts(key, armored(blob[:n], SSH_SIGNATURE))]
        assert not accepts(key, armored(blob + b"x", SSH_SIGNATURE))


def _changed(blob: bytes, position: int) -> bytes:
    return blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :]


@pytest.mark.parametrize("kind", KINDS)
class TestTheDevice:
    def test_somebody_must_have_touched_it(self, kind: str) -> None:
        """A device can be told not to ask; then whatever runs on that machine signs."""
        device = Device(kind)
        for flags in (0, VERIFIED, 0xFE):
            with pytest.raises(TrustError, match="nobody touched the device"):
                verify(CONTENT, device.sign(CONTENT, flags=flags), parse_public(device.line))

    def test_flags_and_counter_are_part_of_what_is_signed(self, kind: str) -> None:
        device = Device(kind)
        blob = device.signature(CONTENT, flags=0)
        assert blob[-5:] == b"\0\0\0\0\1"
        forged = blob[:-5] + bytes([PRESENT]) + blob[-4:]
        with pytest.raises(TrustError, match="does not fit"):
            verify(CONTENT, armored(forged, SSH_SIGNATURE), parse_public(device.line))

    def test_another_application_is_another_key(self, kind: str) -> None:
        device = Device(kind)
        text, own = device.sign(CONTENT), parse_public(device.line)
        device.application = b"ssh:other"
        other = parse_public(device.line)
        assert other != own
        assert accepts(own, text)
        assert not accepts(other, text)
        swapped = unarmored(text, SSH_SIGNATURE).replace(string(own.blob), string(other.blob))
        assert not accepts(other, armored(swapped, SSH_SIGNATURE))

    @pytest.mark.parametrize("application", [b"", b"https://example.org", b"SSH:", b"webauthn"])
    def test_a_key_of_a_web_site_does_not_count(self, kind: str, application: bytes) -> None:
        with pytest.raises(TrustError, match="application"):
            parse_public(Device(kind, application).line)

    def test_the_same_key_without_a_device_is_another(self, kind: str) -> None:
        device = Device(kind)
        fields, rest = [], device.blob
        while rest:
            field, rest = take(rest)
            fields.append(field)
        plain_kind = "ssh-ed25519" if kind == ED25519 else "ecdsa-sha2-nistp256"
        plain = read_key(string(plain_kind.encode()) + b"".join(string(f) for f in fields[1:-1]))
        text = device.sign(CONTENT)
        swapped = unarmored(text, SSH_SIGNATURE).replace(string(device.blob), string(plain.blob))
        assert not accepts(plain, text)
        assert not accepts(plain, armored(swapped, SSH_SIGNATURE))

    @given(tail=st.binary(min_size=1, max_size=12))
    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    def test_a_key_is_written_in_one_way(self, kind: str, tail: bytes) -> None:
        blob = Device(kind).blob
        for other in (blob + tail, blob[: -len(tail)]):
            with pytest.raises(TrustError):
                read_key(other)


@given(st.sampled_from(KINDS), st.binary(max_size=80))
def test_nothing_but_a_trust_error_comes_of_junk(kind: str, junk: bytes) -> None:
    with pytest.raises(TrustError):
        read_key(string(kind.encode()) + junk)
    line = f"{kind} {base64.b64encode(string(kind.encode()) + junk).decode()}"
    with pytest.raises(TrustError):
        parse_public(line)


def test_an_ordinary_key_says_nothing_beside_its_signature() -> None:
    key = SigningKey.generate()
    blob = unarmored(key.sign(CONTENT), SSH_SIGNATURE)
    rest = blob[10:]
    fields = []
    while rest:
        field, rest = take(rest)
        fields.append(field)
    head = blob[:10] + b"".join(string(f) for f in fields[:-1])
    assert accepts(key.public, armored(head + string(fields[-1]), SSH_SIGNATURE))
    assert not accepts(key.public, armored(head + string(fields[-1] + b"\1\0\0\0\1"), SSH_SIGNATURE))


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_with_one_is_known(kind: str) -> None:
    device = Device(kind)
    trust = Trust(1, (Person("ada", (Role.BASELINE,), (ssh_key(device.line, AT),)),))

    def gpg(*_: object) -> None:
        raise AssertionError

    found = judge(CONTENT, device.sign(CONTENT), trust, gpg, now_seconds=0.0)  # type: ignore[arg-type]
    assert (found.standing, found.name, found.roles) == (Standing.KNOWN, "ada", (Role.BASELINE,))
    untouched = judge(CONTENT, device.sign(CONTENT, flags=0), trust, gpg, now_seconds=0.0)  # type: ignore[arg-type]
    assert (untouched.standing, untouched.roles) == (Standing.BAD, ())
