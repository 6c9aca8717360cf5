"""Sign with a person's own key, on that person's side: ssh-keygen, ssh-agent or gpg, which ask for what they need.

The guard never sees a private key: it is given the public one, and signatures.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stateguard.errors import NotFoundError, TrustError, UsageProblemError
from stateguard.host import command
from stateguard.trust import ssh
from stateguard.trust.gpg import opened
from stateguard.trust.public import PublicKey, parse_public, read_key, take
from stateguard.trust.ssh import GIT_NAMESPACE

_FINGERPRINT = re.compile(r"(?:0x)?[0-9A-Fa-f]{40}")
_AGENT = "ssh:"
_OPENSSH = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END")
_MAGIC = b"openssh-key-v1\0"


@dataclass(frozen=True, slots=True)
class Signing:
    """A key that its owner can sign with. ``ssh`` or ``gpg`` is the public key, as ``trust add`` takes it.

    ``signs`` is given bytes and what the signature is for: the namespace of SSH's, git's own where it is for git.
    """

    fingerprint: str
    signs: Callable[[bytes, str], str]
    ssh: str = ""
    gpg: bytes = b""

    def sign(self, content: bytes, namespace: str = GIT_NAMESPACE) -> str:
        """Return the armored signature of these bytes.

        Raises:
            TrustError: ssh-keygen or gpg did not sign.
        """
        return self.signs(content, namespace)


def signing_key(text: str) -> Signing:
    """Return the key that a KEY names: a file, ``ssh:SHA256:…`` in the running agent, or a GPG fingerprint.

    Raises:
        NotFoundError: there is none of that name.
        TrustError: it is a key that does not count, or its public half cannot be told.
    """
    fingerprint = gpg_fingerprint(text)
    if fingerprint is not None and not Path(text).exists():
        return Signing(fingerprint, partial(_by_gpg, fingerprint), gpg=exported(fingerprint))
    if text.startswith(_AGENT):
        public = _in_agent(text.removeprefix(_AGENT))
        return Signing(public.fingerprint, partial(_by_agent, public), ssh=public.line)
    path = Path(text).expanduser()
    if not path.is_file():
        message = f"{text!r} is no key: neither a file, nor ssh:SHA256:…, nor the 40 hexadecimal digits of a GPG key"
        raise NotFoundError(message, next_step="see: ssh-add -l, gpg --list-secret-keys")
    public = _public_half(path)
    return Signing(public.fingerprint, partial(_by_file, path, public), ssh=public.line)


def gpg_fingerprint(text: str) -> str | None:
    """Return the full fingerprint that a text is, in capitals and without blanks; None if it is none."""
    packed = "".join(text.split())
    return packed.removeprefix("0x").upper() if _FINGERPRINT.fullmatch(packed) else None


def exported(fingerprint: str) -> bytes:
    """Return a public key out of the caller's own GPG keyring, armored.

    Raises:
        NotFoundError: it is not there.
        TrustError: gpg is missing or cannot be used.
    """
    found = str(opened(None).export_keys(fingerprint, minimal=True))
    if not found:
        message = f"your GPG keyring has no key {fingerprint}"
        raise NotFoundError(message, next_step="see: gpg --list-keys")
    return found.encode()


def _public_half(path: Path) -> PublicKey:
    """Return the public key of a private key's file; OpenSSH's own format tells it without the passphrase."""
    beside = path if path.suffix == ".pub" else Path(f"{path}.pub")
    try:
        if beside.is_file():
            return parse_public(beside.read_text(encoding="utf-8", errors="replace"))
        content = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {os.strerror(error.errno or 0)}"
        raise TrustError(message) from error
    match = _OPENSSH.search(content)
    if match:
        try:
            return read_key(_first_public(base64.b64decode(b"".join(match[1].split()), validate=True)))
        except ValueError as error:
            message = f"{path} is no OpenSSH private key: {error}"
            raise TrustError(message) from error
    message = f"the public half of {path} cannot be told"
    raise TrustError(message, next_step=f"write it beside it: ssh-keygen -y -f {path} > {path}.pub")


def _first_public(content: bytes) -> bytes:
    """Return the first public key of the format ``openssh-key-v1`` (PROTOCOL.key of OpenSSH).

    Raises:
        ValueError: it is not that format.
    """
    if not content.startswith(_MAGIC):
        raise ValueError("it does not begin as one")
    rest = content.removeprefix(_MAGIC)
    if len(rest) < 20:  # noqa: PLR2004 - four lengths and a count
        raise ValueError("it is cut short")
    for _ in ("cipher", "key derivation", "its options"):
        _, rest = take(rest)
    return take(rest[4:])[0]


def _in_agent(fingerprint: str) -> PublicKey:
    done = _asked(("ssh-add", "-L"))
    keys = []
    for line in done.output.decode(errors="replace").splitlines():
        try:
            keys.append(parse_public(line))
        except TrustError:
            continue  # a key of a kind that does not count, or the agent's words for having none
    found = next((key for key in keys if key.fingerprint == fingerprint), None)
    if found is None:
        message = f"no ssh-agent that can be reached here holds a key {fingerprint} that counts"
        raise NotFoundError(message, next_step="see: ssh-add -l; ssh-add FILE adds a key")
    return found


def _by_file(path: Path, public: PublicKey, content: bytes, namespace: str) -> str:
    argv = ("ssh-keygen", "-Y", "sign", "-q", "-n", namespace, "-f", str(path.absolute()))
    return _signed(argv, public, content, namespace)


def _by_agent(public: PublicKey, content: bytes, namespace: str) -> str:
    with tempfile.TemporaryDirectory(prefix="stateguard-key-") as scratch:
        path = Path(scratch, "key.pub")
        path.write_text(public.line + "\n", encoding="ascii")
        return _by_file(path, public, content, namespace)


def _signed(argv: Sequence[str], public: PublicKey, content: bytes, namespace: str) -> str:
    done = _asked(argv, content)
    text = done.output.decode(errors="replace")
    if done.status:
        message = f"ssh-keygen did not sign: {_last(done.errors)}"
        raise TrustError(message, next_step="check the key and its passphrase; ssh-add -l shows what the agent holds")
    ssh.verify(content, text, public, namespace)
    return text


def _by_gpg(fingerprint: str, content: bytes, _namespace: str) -> str:
    terminal = {"GPG_TTY": os.ttyname(sys.stdin.fileno())} if sys.stdin.isatty() and "GPG_TTY" not in os.environ else {}
    result = opened(None, extra=terminal).sign(
        content, clearsign=False, detach=True, extra_args=["--local-user", fingerprint, "--digest-algo", "SHA512"]
    )
    if not result.data:
        message = f"gpg did not sign with {fingerprint}: {result.status or _last(str(result.stderr).encode())}"
        raise TrustError(message, next_step="check the key: gpg --list-secret-keys; and its passphrase")
    return bytes(result.data).decode("ascii", "replace")


def _asked(argv: Sequence[str], stdin: bytes = b"") -> command.Done:
    try:
        return command.at_terminal(argv, stdin)
    except OSError as error:
        message = f"{argv[0]} cannot be started: {os.strerror(error.errno or 0)}"
        raise UsageProblemError(
            message, next_step="install it; on Debian and Ubuntu: apt-get install openssh-client"
        ) from error


def _last(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
