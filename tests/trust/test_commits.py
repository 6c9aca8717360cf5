"""Commits that stock git signs: git's verify-commit and our verdict agree, key by key and byte by byte."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from gpghome import ED25519, RSA3072, GpgHome, gpg_home
from state import stock
from stateguard.model.identity import EMPTY_TREE
from stateguard.model.trust import Key, Person, Trust
from stateguard.state.commits import split_signature
from stateguard.state.repository import Repository
from stateguard.trust import gpg, people
from stateguard.trust.gpgstatus import Sighting
from stateguard.trust.verdict import Standing, Verdict, judge

AT = "2026-07-01T10:00:00.000Z"
SSH = {"ssh-ed25519": ["ed25519"], "ssh-ecdsa": ["ecdsa", "-b", "384"], "ssh-rsa": ["rsa", "-b", "3072"]}
GPG = {"gpg-ed25519": ED25519, "gpg-rsa": RSA3072}


class Signers:
    """A repository, and keys of every kind with what git needs to sign and to verify with them."""

    def __init__(self, root: Path, home: GpgHome) -> None:
        self.root, self.home = root, home
        self.repository = Repository.create(root / "repo.git", served=False)
        self.repository.write(ObjectType.TREE, b"")
        self.keys: dict[str, Key] = {}
        for name, kind in SSH.items():
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", root / name, "-t", *kind], check=True)
            self.keys[name] = people.ssh_key((root / f"{name}.pub").read_text(), AT)
        for name, form in GPG.items():
            self.keys[name] = people.gpg_key(home.export(home.make(name, form)), AT)
        lines = [f"{name} {self.keys[name].public}\n" for name in SSH]
        (root / "signers").write_text("".join(lines))
        self.trust = Trust(1, tuple(Person(name, (), (key,)) for name, key in self.keys.items()))

    def options(self, name: str) -> list[str]:
        if name in GPG:
            return ["-c", f"user.signingkey={self.keys[name].fingerprint}"]
        signers = f"gpg.ssh.allowedSignersFile={self.root / 'signers'}"
        return ["-c", "gpg.format=ssh", "-c", signers, "-c", f"user.signingkey={self.root / name}"]

    def commit(self, name: str) -> bytes:
        words = [*self.options(name), "commit-tree", "-S", "-m", "What is signed", EMPTY_TREE]
        made = stock.git(self.repository.path, *words, extra=self.home.environment).decode().strip()
        return self.repository.raw(made)[1]

    def stock_accepts(self, name: str, content: bytes) -> bool:
        made = stock.literally(self.repository.path, "commit", content)
        command = ["git", "--git-dir", str(self.repository.path), *self.options(name), "verify-commit", made]
        done = subprocess.run(command, env=self.home.environment, capture_output=True, check=False)
        return done.returncode == 0

    def verdict(self, content: bytes) -> Verdict:
        signed, armored = split_signature(content)
        return judge(signed, armored, self.trust, self._gpg, now_seconds=0.0)

    def _gpg(self, keys: Sequence[str], content: bytes, text: str) -> Sighting:
        return gpg.verify(self.root / "gnupg", keys, content, text)


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signers]:
    with gpg_home() as home:
        yield Signers(tmp_path_factory.mktemp("signers"), home)


@pytest.mark.parametrize("name", [*SSH, *GPG])
def test_both_accept_it_and_refuse_every_change(signers: Signers, name: str) -> None:
    content = signers.commit(name)
    found = signers.verdict(content)
    assert (found.standing, found.name) == (Standing.KNOWN, name)
    assert found.fingerprint == signers.keys[name].fingerprint
    assert signers.stock_accepts(name, content)
    head, _, signature = content.partition(b"\ngpgsig ")
    for changed in (
        content.replace(b"What is signed", b"What is forged"),
        content.replace(b"committer p@x", b"committer q@x"),
        content + b"x",
        head + b"\ngpgsig-sha256 " + signature,
    ):
        assert signers.verdict(changed).standing is not Standing.KNOWN
        assert not signers.stock_accepts(name, changed)


@pytest.mark.parametrize("name", ["ssh-ed25519", "gpg-ed25519"])
def test_a_second_signature_is_refused_though_git_may_not_care(signers: Signers, name: str) -> None:
    content = signers.commit(name)
    header = content[content.index(b"gpgsig ") : content.index(b"\n\n", content.index(b"-----END"))]
    twice = content.replace(header, header + b"\n" + header)
    assert twice.count(b"-----BEGIN") == 2
    assert signers.verdict(twice).standing is Standing.BAD
