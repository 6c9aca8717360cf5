"""People with SSH keys, and commits that they sign with git itself."""

from __future__ import annotations

from pathlib import Path

from driving import Driver, sh
from stateguard.trust.ssh import SigningKey


class Signer:
    """Somebody with a key of their own in a file."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make the key."""
        self.name, self.key, self.path = name, SigningKey.generate(), folder / name
        self.path.write_bytes(self.key.dump())
        self.path.chmod(0o600)

    def trusted(self, driver: Driver, *roles: str) -> None:
        """Let a guard trust the key with these roles, whether admins would have to sign that or not."""
        words = ["--force", *(word for role in roles for word in ("--role", role))]
        driver.must("trust", "add", self.name, "--ssh", self.key.public.line, *words)

    def commit(self, driver: Driver, message: str, *words: str) -> str:
        """Commit everything in the clone, signed; returns the commit."""
        sh("git", "add", "-A", cwd=driver.work)
        key = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.path}"]
        sh("git", *key, "commit", "-q", "-S", "-m", message, *words, cwd=driver.work)
        return driver.head
