"""A person's own GNUPGHOME, with keys made unattended; its agent is ended when the test is over."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_PARAMETERS = """\
%no-protection
Key-Type: {kind}
Key-Usage: {usage}
Name-Real: {name}
Name-Email: {name}@example.org
Expire-Date: {expires}
{more}
%commit
"""
ED25519, RSA3072, RSA2048 = "EDDSA\nKey-Curve: ed25519", "RSA\nKey-Length: 3072", "RSA\nKey-Length: 2048"
NIST_P256 = "ECDSA\nKey-Curve: NIST P-256"
SUBKEY = "Subkey-Type: EDDSA\nSubkey-Curve: ed25519\nSubkey-Usage: sign"


class GpgHome:
    """One GNUPGHOME; its path is short, because the agent's socket lies in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "GNUPGHOME": str(self.path), "LC_ALL": "C"}

    def run(self, *words: str, stdin: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            ["gpg", "--batch", "--no-tty", *words],
            input=stdin, env=self.environment, capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr.decode(errors="replace")
        return done

    def make(self, name: str, kind: str = ED25519, *, expires: str = "0", more: str = "", at: str = "",
             usage: str = "sign,cert") -> str:  # fmt: skip
        """Make a key without a passphrase; returns its primary fingerprint. ``at`` is when, YYYYMMDDTHHMMSS."""
        faked = ["--faked-system-time", f"{at}!"] if at else []
        text = _PARAMETERS.format(kind=kind, name=name, expires=expires, more=more, usage=usage)
        done = self.run(*faked, "--status-fd", "1", "--gen-key", stdin=text.encode())
        return done.stdout.decode().split("KEY_CREATED ")[1].split()[1]

    def export(self, fingerprint: str) -> bytes:
        return self.run("--armor", "--export", fingerprint).stdout

    def sign(self, fingerprint: str, content: bytes, *options: str) -> str:
        """Return an armored detached signature."""
        words = ["--armor", "--detach-sign", "--local-user", fingerprint]
        return self.run(*options, *words, stdin=content).stdout.decode()

    def revoke(self, fingerprint: str) -> None:
        """Revoke a key with the certificate that was made with it."""
        certificate = (self.path / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
        self.run("--import", stdin=certificate.replace(":-----BEGIN", "-----BEGIN").encode())

    def verifies(self, content: bytes, signature: str, options: Sequence[str] = ()) -> bool:
        """Say whether stock gpg accepts a signature."""
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_text(signature)
            return self.run(*options, "--verify", file.name, "-", stdin=content, check=False).returncode == 0

    def subkeys(self, fingerprint: str) -> list[str]:
        listed = self.run("--with-colons", "--list-keys", fingerprint).stdout.decode()
        return re.findall(r"^fpr:+([0-9A-F]{40}):$", listed, re.MULTILINE)[1:]


@contextlib.contextmanager
def gpg_home() -> Iterator[GpgHome]:
    """Yield a new GNUPGHOME at a short path."""
    path = Path(tempfile.mkdtemp(prefix="g", dir="/tmp"))  # the agent's socket takes 107 bytes at most
    path.chmod(0o700)
    home = GpgHome(path)
    try:
        yield home
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=home.environment, check=False, capture_output=True)
        shutil.rmtree(path, ignore_errors=True)
