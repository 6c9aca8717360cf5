"""Signing on a person's side, with the tools that person has."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from gpghome import GpgHome, gpg_home
from helpers import eventually
from stateguard.errors import NotFoundError, StateguardError, TrustError, UsageProblemError
from stateguard.trust import gpg, ssh
from stateguard.trust.gpgstatus import Finding
from stateguard.trust.public import parse_public
from stateguard.trust.signing import gpg_fingerprint, signing_key

CONTENT = b"object 1\n\nwhat is signed\n"


def made(path: Path, *kind: str, passphrase: str = "") -> Path:
    words = ["ssh-keygen", "-q", "-t", *(kind or ("ed25519",)), "-N", passphrase, "-C", "me@here", "-f", path]
    subprocess.run(words, check=True)
    return path


@pytest.mark.parametrize("kind", [("ed25519",), ("ecdsa",), ("rsa", "-b", "3072")])
@pytest.mark.parametrize("beside", [True, False])
def test_a_file_with_or_without_its_public_half_beside_it(tmp_path: Path, kind: tuple[str, ...], beside: bool) -> None:
    path = made(tmp_path / "key", *kind)
    public = parse_public((tmp_path / "key.pub").read_text())
    if not beside:
        (tmp_path / "key.pub").unlink()
    key = signing_key(str(path))
    assert (key.fingerprint, key.ssh, key.gpg) == (public.fingerprint, public.line, b"")
    ssh.verify(CONTENT, key.sign(CONTENT), public)


def test_a_passphrase_is_asked_for_by_ssh_keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "key", passphrase="open sesame")
    (tmp_path / "key.pub").unlink()
    asker = tmp_path / "ask"
    asker.write_text("#!/bin/sh\necho open sesame\n")
    asker.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(asker))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = signing_key(str(path))
    ssh.verify(CONTENT, key.sign(CONTENT), parse_public(key.ssh))
    asker.write_text("#!/bin/sh\necho wrong\n")
    with pytest.raises(TrustError, match="did not sign") as refused:
        key.sign(CONTENT)
    assert "passphrase" in refused.value.next_step


def test_a_key_in_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "key")
    public = parse_public((tmp_path / "key.pub").read_text())
    place = tmp_path / "s"
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as agent:
        try:
            eventually(place.exists)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
            with pytest.raises(NotFoundError, match="no ssh-agent"):
                signing_key(f"ssh:{public.fingerprint}")
            subprocess.run(["ssh-add", "-q", path], check=True, stderr=subprocess.DEVNULL)
            path.unlink()
            key = signing_key(f"ssh:{public.fingerprint}")
            ssh.verify(CONTENT, key.sign(CONTENT), public)
            by_public_half = signing_key(f"{path}.pub")
            ssh.verify(CONTENT, by_public_half.sign(CONTENT), public)
            with pytest.raises(NotFoundError):
                signing_key("ssh:SHA256:other")
        finally:
            agent.terminate()


def test_a_private_key_that_is_not_the_public_one_beside_it(tmp_path: Path) -> None:
    made(tmp_path / "other")
    path = made(tmp_path / "key")
    (tmp_path / "other.pub").replace(tmp_path / "key.pub")
    with pytest.raises(TrustError):
        signing_key(str(path)).sign(CONTENT)


@pytest.fixture(scope="module")
def person() -> Iterator[GpgHome]:
    with gpg_home() as home:
        yield home


def test_a_gpg_key_of_the_callers_keyring(person: GpgHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint, other = person.make("ann"), person.make("bob")
    monkeypatch.setenv("GNUPGHOME", str(person.path))
    spaced = " ".join(fingerprint[n : n + 4] for n in range(0, 40, 4))
    for text in (fingerprint, fingerprint.lower(), "0x" + fingerprint, spaced):
        key = signing_key(text)
        assert (key.fingerprint, key.ssh) == (fingerprint, "")
        assert gpg.read_key(key.gpg).fingerprint == fingerprint
    found = gpg.verify(tmp_path / "gnupg", [key.gpg.decode()], CONTENT, key.sign(CONTENT))
    assert (found.finding, found.primary) == (Finding.GOOD, fingerprint)
    with pytest.raises(NotFoundError, match="your GPG keyring has no key"):
        signing_key("A" * 40)
    person.run("--yes", "--delete-secret-keys", other)
    with pytest.raises(TrustError, match="gpg did not sign"):
        signing_key(other).sign(CONTENT)


@pytest.mark.parametrize("text", ["", "nowhere", "0123", "A" * 39, "ssh:", "SHA256:abc", "a\0b"])
def test_what_is_no_key(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StateguardError) as refused:
        signing_key(text)
    assert refused.value.exit in (10, 15)
    assert refused.value.next_step


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", b"\xff" * 50, b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
     b"-----BEGIN OPENSSH PRIVATE KEY-----\n!\n-----END OPENSSH PRIVATE KEY-----\n"],
)  # fmt: skip
def test_a_file_that_holds_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(TrustError):
        signing_key(str(tmp_path / "key"))


def test_an_old_private_key_without_its_public_half(tmp_path: Path) -> None:
    path = made(tmp_path / "key", "rsa", "-b", "3072", "-m", "PEM")
    (tmp_path / "key.pub").unlink()
    with pytest.raises(TrustError, match="cannot be told") as refused:
        signing_key(str(path))
    assert refused.value.next_step == f"write it beside it: ssh-keygen -y -f {path} > {path}.pub"


@given(st.binary(max_size=120))
def test_no_bytes_in_a_private_keys_format_break_it(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    import base64

    body = base64.encodebytes(b"openssh-key-v1\0" + tail)
    path = tmp_path_factory.getbasetemp() / "mangled"
    path.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + body + b"-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(TrustError):
        signing_key(str(path))


def test_short_keys_are_told_before_anything_is_signed(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="2048 bits does not count"):
        signing_key(str(made(tmp_path / "key", "rsa", "-b", "2048")))


def test_ssh_keygen_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = signing_key(str(made(tmp_path / "key")))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageProblemError, match="ssh-keygen cannot be started") as refused:
        key.sign(CONTENT)
    assert "openssh-client" in refused.value.next_step


@given(st.text(max_size=50))
def test_a_fingerprint_is_forty_digits(text: str) -> None:
    found = gpg_fingerprint(text)
    assert found is None or (len(found) == 40 and found.upper() == found)
