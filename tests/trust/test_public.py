"""Keys of every kind that counts, against real ssh-keygen in both directions."""

from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from stateguard.errors import TrustError
from stateguard.trust.armor import SSH_SIGNATURE, armored, unarmored
from stateguard.trust.public import PublicKey, kind_of, parse_public, read_key, string, take
from stateguard.trust.ssh import SigningKey, parse_signature, verify

CONTENT = b"what is signed\n"
KEY = SigningKey.generate()
KINDS = {
    "ssh-ed25519": ("ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa", "-b", "256"),
    "ecdsa-sha2-nistp384": ("ecdsa", "-b", "384"),
    "ecdsa-sha2-nistp521": ("ecdsa", "-b", "521"),
    "ssh-rsa": ("rsa", "-b", "3072"),
}


def keygen(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *arguments], input=stdin, capture_output=True, check=False)


def made(path: Path, *kind: str) -> Path:
    assert keygen("-q", "-t", *kind, "-N", "", "-C", "me@here", "-f", str(path)).returncode == 0
    return path


def signed(key: Path, content: bytes = CONTENT, namespace: str = "git", *options: str) -> str:
    done = keygen("-Y", "sign", "-q", "-f", str(key), "-n", namespace, *options, stdin=content)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def public(key: Path) -> PublicKey:
    return parse_public(key.with_suffix(".pub").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key of each kind, named by it."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in KINDS.items():
        made(folder / name, *kind)
    return folder


def stock_accepts(folder: Path, key: Path, content: bytes, text: str, namespace: str = "git") -> bool:
    (folder / "sig").write_text(text)
    (folder / "signers").write_text(f"ann {key.with_suffix('.pub').read_text()}")
    where = ["-f", str(folder / "signers"), "-I", "ann", "-n", namespace, "-s", str(folder / "sig")]
    return keygen("-Y", "verify", *where, stdin=content).returncode == 0


def accepts(key: PublicKey, content: bytes, text: str, namespace: str = "git") -> bool:
    try:
        verify(content, text, key, namespace)
    except TrustError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_ssh_keygen_and_we_agree(self, folder: Path, kind: str) -> None:
        key = folder / kind
        for options in ((), ("-O", "hashalg=sha256")):
            text = signed(key, CONTENT, "git", *options)
            for content, namespace in ((CONTENT, "git"), (CONTENT + b"x", "git"), (CONTENT, "file")):
                right = (content, namespace) == (CONTENT, "git")
                assert accepts(public(key), content, text, namespace) == right
                assert stock_accepts(folder, key, content, text, namespace) == right
        assert not accepts(KEY.public, CONTENT, text)

    def test_a_key_is_named_and_written_as_ssh_keygen_does(self, folder: Path, kind: str) -> None:
        key = public(folder / kind)
        assert key.kind == kind
        assert key.fingerprint in keygen("-l", "-f", str(folder / f"{kind}.pub")).stdout.decode().split()
        assert (folder / f"{kind}.pub").read_text().startswith(key.line + " ")
        assert read_key(key.blob) == key

    def test_a_flipped_bit_anywhere(self, folder: Path, kind: str) -> None:
        text, key = signed(folder / kind), public(folder / kind)
        blob = unarmored(text, SSH_SIGNATURE)

        @given(st.integers(0, len(blob) - 1), st.integers(0, 7))
        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        def flipped(position: int, bit: int) -> None:
            changed = bytearray(blob)
            changed[position] ^= 1 << bit
            assert not accepts(key, CONTENT, armored(bytes(changed), SSH_SIGNATURE))

        flipped()

    def test_cut_anywhere(self, folder: Path, kind: str) -> None:
        blob, key = unarmored(signed(folder / kind), SSH_SIGNATURE), public(folder / kind)
        cuts = [n for n in range(1, len(blob)) if accepts(key, CONTENT, armored(blob[:n], SSH_SIGNATURE))]
        assert cuts == []
        assert not accepts(key, CONTENT, armored(blob + b"x", SSH_SIGNATURE))

    def test_every_change_of_the_key_is_no_key_or_another(self, folder: Path, kind: str) -> None:
        key = public(folder / kind)
        text = signed(folder / kind)
        for position in range(0, len(key.blob), 7):
            changed = key.blob[:position] + bytes([key.blob[position] ^ 1]) + key.blob[position + 1 :]
            try:
                assert not accepts(read_key(changed), CONTENT, text)
            except TrustError:
                continue


class TestKeysThatDoNotCount:
    def test_a_short_rsa_key(self, tmp_path: Path) -> None:
        key = made(tmp_path / "key", "rsa", "-b", "2048")
        with pytest.raises(TrustError, match="2048 bits does not count") as refused:
            public(key)
        assert "ssh-keygen -t ed25519" in refused.value.next_step
        assert parse_signature(signed(key)).kind == "ssh-rsa"

    def test_rsa_with_sha_1(self, folder: Path) -> None:
        """Nobody signs so any more; the name of the algorithm in a good signature is exchanged."""
        blob = unarmored(signed(folder / "ssh-rsa"), SSH_SIGNATURE)
        for name in (b"ssh-rsa", b"ssh-ed25519", b"ecdsa-sha2-nistp256", b""):
            wrapped = string(b"rsa-sha2-512") + blob[-(4 + 384) :]
            assert blob.endswith(string(wrapped))
            other = string(string(name) + blob[-(4 + 384) :])
            text = armored(blob.removesuffix(string(wrapped)) + other, SSH_SIGNATURE)
            with pytest.raises(TrustError, match="does not count"):
                verify(CONTENT, text, public(folder / "ssh-rsa"))

    def test_a_huge_rsa_key(self) -> None:
        number = b"\x7f" + b"\xff" * 4096
        blob = string(b"ssh-rsa") + string(b"\1\0\1") + string(number)
        with pytest.raises(TrustError, match="does not count"):
            read_key(blob)

    @pytest.mark.parametrize(
        "kind", ["sk-ssh-ed25519-cert-v01@openssh.com", "ssh-dss", "ssh-ed25519-cert-v01@openssh.com", ""]
    )
    def test_kinds_that_are_not_checked(self, kind: str) -> None:
        with pytest.raises(TrustError, match="does not count"):
            read_key(string(kind.encode()) + string(b"x" * 32))

    def test_a_number_that_is_written_in_another_way(self, folder: Path) -> None:
        """The same RSA key with a zero before its exponent would have another fingerprint."""
        blob = public(folder / "ssh-rsa").blob
        padded = blob.replace(string(b"\1\0\1"), string(b"\0\1\0\1"), 1)
        assert padded != blob
        with pytest.raises(TrustError):
            read_key(padded)


class TestLines:
    @pytest.mark.parametrize("comment", ["", " me@here", "\tme", " a b c\n"])
    def test_with_or_without_comment(self, comment: str) -> None:
        assert parse_public(KEY.public.line + comment) == KEY.public

    @given(st.text(max_size=80) | st.text(max_size=80).map(lambda rest: "ssh-ed25519 " + rest))
    @example("ssh-ed25519 AAAA")
    @example("ssh-ed25519 é")
    @example("ssh-rsa " + KEY.public.line.split()[1])
    @example(KEY.public.line.replace(" ", " \x00"))
    @settings(max_examples=200)
    def test_nothing_but_a_trust_error_comes_of_junk(self, line: str) -> None:
        with pytest.raises(TrustError):
            parse_public(line)

    @given(st.binary(max_size=80))
    def test_only_the_exact_bytes_of_a_key_are_read(self, raw: bytes) -> None:
        blob = string(b"ssh-ed25519") + string(raw)
        line = f"ssh-ed25519 {base64.b64encode(blob).decode()}"
        if len(raw) == 32:
            assert parse_public(line).blob == blob
        else:
            with pytest.raises(TrustError):
                parse_public(line)
        with pytest.raises(TrustError):
            parse_public(f"ssh-ed25519 {base64.b64encode(blob + b'x').decode()}")

    @given(st.binary(max_size=60))
    @example(struct.pack(">I", 2**31) + b"ssh")
    def test_whatever_a_wire_form_claims(self, blob: bytes) -> None:
        assert isinstance(kind_of(blob), str)
        with pytest.raises(TrustError):
            read_key(blob)


def test_ecdsa_numbers_in_another_form(folder: Path) -> None:
    key = public(folder / "ecdsa-sha2-nistp256")
    found = parse_signature(signed(folder / "ecdsa-sha2-nistp256"))
    first, rest = take(found.signature)
    blob = b"SSHSIG\0\0\0\1" + string(found.key) + string(b"git") + string(b"") + string(found.hash_name)
    for number, right in ((first, True), (b"\0" + first, False)):
        wrapped = string(found.algorithm.encode()) + string(string(number) + rest)
        assert accepts(key, CONTENT, armored(blob + string(wrapped), SSH_SIGNATURE)) == right
    for bad in (b"", string(b"\1"), string(b"") * 2, string(b"\xff") * 2, string(b"\0\1") * 2, string(b"\1") * 3):
        with pytest.raises(TrustError, match="does not fit"):
            key.check("ecdsa-sha2-nistp256", bad, CONTENT)
