from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings, strategies as st

from stateguard.errors import TrustError
from stateguard.trust.public import PublicKey, parse_public
from stateguard.trust.ssh import GIT_NAMESPACE, SigningKey, verify

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
CONTENT = b"what is signed\n"
ARMORED = KEY.sign(CONTENT)
NAMESPACES = ("git", "stateguard", "file", "a@b")


def keygen(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *arguments], input=stdin, capture_output=True, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with the key as ssh-keygen wants it, and an allowed_signers file for it."""
    made = tmp_path_factory.mktemp("ssh")
    (made / "key").write_bytes(KEY.dump())
    (made / "key").chmod(0o600)
    (made / "signers").write_text(f"guard {KEY.public.line}\nother {OTHER.public.line}\n")
    return made


def signed_by_stock(place: Path, content: bytes, namespace: str, *options: str) -> str:
    (place / "content").write_bytes(content)
    (place / "content.sig").unlink(missing_ok=True)
    done = keygen("-Y", "sign", "-q", "-f", str(place / "key"), "-n", namespace, *options, str(place / "content"))
    assert done.returncode == 0, done.stderr
    return (place / "content.sig").read_text()


def stock_accepts(place: Path, content: bytes, armored: str, namespace: str, who: str = "guard") -> bool:
    (place / "sig").write_text(armored)
    arguments = ["-I", who, "-n", namespace, "-s", str(place / "sig")]
    return keygen("-Y", "verify", "-f", str(place / "signers"), *arguments, stdin=content).returncode == 0


def armor(blob: bytes) -> str:
    return f"{BEGIN}\n{base64.encodebytes(blob).decode()}{END}\n"


def blob_of(armored: str) -> bytes:
    return base64.b64decode("".join(armored.split("\n")[1:-2]))


def accepted(content: bytes, armored: str, key: PublicKey = KEY.public, namespace: str = GIT_NAMESPACE) -> bool:
    try:
        verify(content, armored, key, namespace)
    except TrustError:
        return False
    return True


class TestStockSshKeygen:
    @given(st.binary(max_size=300), st.sampled_from(NAMESPACES))
    @example(b"", "git")
    @settings(max_examples=15)
    def test_it_accepts_what_we_sign(self, place: Path, content: bytes, namespace: str) -> None:
        armored = KEY.sign(content, namespace)
        assert stock_accepts(place, content, armored, namespace)
        assert not stock_accepts(place, content + b"x", armored, namespace)
        assert not stock_accepts(place, content, armored, namespace + "x")
        assert not stock_accepts(place, content, armored, namespace, "other")

    @given(st.binary(max_size=300), st.sampled_from(NAMESPACES), st.sampled_from(["sha256", "sha512"]))
    @settings(max_examples=15)
    def test_we_accept_what_it_signs(self, place: Path, content: bytes, namespace: str, algorithm: str) -> None:
        armored = signed_by_stock(place, content, namespace, "-O", f"hashalg={algorithm}")
        verify(content, armored, KEY.public, namespace)
        assert not accepted(content + b"x", armored, namespace=namespace)
        assert not accepted(content, armored, namespace=namespace + "x")

    def test_both_write_the_same_signature(self, place: Path) -> None:
        assert signed_by_stock(place, CONTENT, "git") == ARMORED

    def test_it_names_the_key_as_we_do(self, place: Path) -> None:
        (place / "key.pub").write_text(KEY.public.line + " a comment\n")
        assert KEY.public.fingerprint in keygen("-l", "-f", str(place / "key.pub")).stdout.decode().split()
        assert keygen("-y", "-f", str(place / "key")).stdout.decode().split()[:2] == KEY.public.line.split()

    def test_its_keys_are_read(self, tmp_path: Path) -> None:
        keygen("-q", "-t", "ed25519", "-N", "", "-C", "me@here", "-f", str(tmp_path / "key"))
        key = SigningKey.load((tmp_path / "key").read_bytes())
        assert parse_public((tmp_path / "key.pub").read_text()) == key.public


class TestRefusals:
    def test_another_key(self) -> None:
        with pytest.raises(TrustError, match="another key") as refused:
            verify(CONTENT, ARMORED, OTHER.public)
        assert refused.value.exit == 10

    def test_another_namespace(self) -> None:
        with pytest.raises(TrustError, match="namespace"):
            verify(CONTENT, ARMORED, KEY.public, "stateguard")

    @given(st.data())
    @settings(max_examples=300)
    def test_a_flipped_bit_anywhere_in_the_signature(self, data: st.DataObject) -> None:
        blob = blob_of(ARMORED)
        position = data.draw(st.integers(0, len(blob) - 1))
        changed = blob[:position] + bytes([blob[position] ^ 1 << data.draw(st.integers(0, 7))]) + blob[position + 1 :]
        assert not accepted(CONTENT, armor(changed))

    @given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
    def test_a_flipped_byte_anywhere_in_what_is_signed(self, position: int, mask: int) -> None:
        changed = CONTENT[:position] + bytes([CONTENT[position] ^ mask]) + CONTENT[position + 1 :]
        assert not accepted(changed, ARMORED)

    def test_every_truncation(self) -> None:
        body = ARMORED.index(END) - 1
        cuts = [ARMORED[:length] for length in range(len(ARMORED) - 1)]
        cuts += [f"{ARMORED[:length]}\n{END}\n" for length in range(body)]
        assert [cut for cut in cuts if accepted(CONTENT, cut)] == []

    @given(st.integers(0, len(blob_of(ARMORED)) - 1), st.binary(max_size=4))
    def test_every_truncation_of_the_bytes(self, length: int, tail: bytes) -> None:
        blob = blob_of(ARMORED)
        if blob[:length] + tail != blob:
            assert not accepted(CONTENT, armor(blob[:length] + tail))

    @pytest.mark.parametrize("junk", ["", BEGIN, END, BEGIN + END, f"{BEGIN}\n{END}", f"{BEGIN}END SSH SIGNATURE-----"])
    def test_armor_around_nothing(self, junk: str) -> None:
        assert not accepted(CONTENT, junk)

    @pytest.mark.parametrize("pair", [ARMORED + ARMORED, ARMORED + OTHER.sign(CONTENT), OTHER.sign(CONTENT) + ARMORED])
    def test_two_signatures(self, pair: str) -> None:
        with pytest.raises(TrustError, match="exactly one"):
            verify(CONTENT, pair, KEY.public)

    @given(st.text() | st.text().map(lambda body: f"{BEGIN}\n{body}\n{END}\n") | st.binary().map(armor))
    @settings(max_examples=200)
    def test_nothing_but_a_trust_error_comes_of_junk(self, junk: str) -> None:
        assert not accepted(CONTENT, junk)

    @given(st.binary(max_size=100))
    def test_junk_behind_the_magic(self, tail: bytes) -> None:
        assert not accepted(CONTENT, armor(b"SSHSIG\0\0\0\1" + tail))

    def test_text_around_the_armor(self) -> None:
        assert not accepted(CONTENT, "x" + ARMORED)
        assert not accepted(CONTENT, ARMORED + "x")
        assert accepted(CONTENT, "\n" + ARMORED.replace("\n", "\r\n"))

    def test_a_signature_of_another_type_of_key(self, tmp_path: Path) -> None:
        keygen("-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "key"))
        armored = signed_by_stock(tmp_path, CONTENT, "git")
        with pytest.raises(TrustError, match="another key"):
            verify(CONTENT, armored, KEY.public)

    def test_base64_that_is_not_the_one_of_its_bytes(self) -> None:
        """Bits behind the last byte may be anything to a lax reader: then one signature has many texts."""
        body = ARMORED.split(BEGIN)[1].split(END)[0].strip()
        last = body.rstrip("=")[-1]
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        other = alphabet[alphabet.index(last) ^ 1]
        changed = body.rstrip("=")[:-1] + other + "=" * body.count("=")
        assert body.count("="), "the length of this signature leaves such bits"
        assert base64.b64decode(changed) == base64.b64decode(body)
        assert not accepted(CONTENT, f"{BEGIN}\n{changed}\n{END}\n")


class TestPrivateKeys:
    def test_it_round_trips(self) -> None:
        assert SigningKey.load(KEY.dump()).public == KEY.public

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (["-t", "rsa", "-b", "2048", "-N", ""], "no ed25519 key"),
            (["-t", "ecdsa", "-N", ""], "no ed25519 key"),
            (["-t", "ed25519", "-N", "secret"], "cannot be read"),
            (["-t", "ed25519", "-N", "secret", "-Z", "aes256-gcm@openssh.com"], "cannot be read"),
            (["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""], "cannot be read"),
        ],
        ids=["rsa", "ecdsa", "encrypted", "encrypted-gcm", "pem"],
    )
    def test_other_keys_are_refused(self, tmp_path: Path, options: list[str], problem: str) -> None:
        keygen("-q", *options, "-f", str(tmp_path / "key"))
        with pytest.raises(TrustError, match=problem):
            SigningKey.load((tmp_path / "key").read_bytes())

    def test_another_format_is_refused(self) -> None:
        pkcs8 = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with pytest.raises(TrustError, match="cannot be read"):
            SigningKey.load(pkcs8)

    @given(st.data())
    @settings(max_examples=200)
    def test_nothing_but_a_trust_error_comes_of_damage(self, data: st.DataObject) -> None:
        lines = KEY.dump().decode().splitlines()
        blob = bytearray(base64.b64decode("".join(lines[1:-1])))
        start = data.draw(st.integers(0, len(blob) - 1))
        blob[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        body = base64.b64encode(bytes(blob)).decode()
        try:
            SigningKey.load(f"{lines[0]}\n{body}\n{lines[-1]}\n".encode())
        except TrustError:
            return

    @given(st.binary(max_size=100))
    @example(b"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n")
    def test_nothing_but_a_trust_error_comes_of_junk(self, junk: bytes) -> None:
        with pytest.raises(TrustError, match="cannot be read"):
            SigningKey.load(junk)
