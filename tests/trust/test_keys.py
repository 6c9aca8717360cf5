from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from stateguard.errors import TrustError
from stateguard.trust.keys import PRINCIPAL, create_guard_key, load_guard_key, load_pinned
from stateguard.trust.ssh import SigningKey, verify


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """Make a guard's key in ``keys/`` and ``trust/``."""
    for name in ("keys", "trust"):
        (tmp_path / name).mkdir()
    return create_guard_key(tmp_path / "keys", tmp_path / "trust")


class TestCreate:
    def test_both_halves_are_read_back(self, tmp_path: Path, key: SigningKey) -> None:
        assert load_guard_key(tmp_path / "keys").public == key.public == load_pinned(tmp_path / "trust")
        assert stat.S_IMODE((tmp_path / "keys" / "guard").stat().st_mode) == 0o600

    def test_stock_ssh_keygen_takes_the_files_as_they_are(self, tmp_path: Path, key: SigningKey) -> None:
        (tmp_path / "content").write_bytes(b"x")
        private = str(tmp_path / "keys" / "guard")
        for namespace, expected in (("git", 0), ("stateguard", 0), ("file", 255)):
            (tmp_path / "content.sig").unlink(missing_ok=True)
            command = ["ssh-keygen", "-Y", "sign", "-q", "-f", private, "-n", namespace, str(tmp_path / "content")]
            subprocess.run(command, check=True)
            armored = (tmp_path / "content.sig").read_text()
            verify(b"x", armored, key.public, namespace)
            command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "trust" / "allowed_signers")]
            command += ["-I", PRINCIPAL, "-n", namespace, "-s", str(tmp_path / "content.sig")]
            done = subprocess.run(command, input=b"x", capture_output=True, check=False)
            assert done.returncode == expected, "the pinned key is good for its two namespaces only"


class TestPrivate:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(TrustError, match="No such file") as refused:
            load_guard_key(tmp_path)
        assert "backup" in refused.value.next_step

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
    def test_readable_by_others(self, tmp_path: Path, key: SigningKey, mode: int) -> None:
        path = tmp_path / "keys" / "guard"
        path.chmod(mode)
        with pytest.raises(TrustError, match="read by others") as refused:
            load_guard_key(tmp_path / "keys")
        assert "chmod 600" in refused.value.next_step
        path.chmod(0o400)
        assert load_guard_key(tmp_path / "keys").public == key.public

    def test_a_directory_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "guard").mkdir(mode=0o700)
        with pytest.raises(TrustError, match="Is a directory"):
            load_guard_key(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100])
    def test_garbage(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "guard").write_bytes(content)
        (tmp_path / "guard").chmod(0o600)
        with pytest.raises(TrustError, match="cannot be read"):
            load_guard_key(tmp_path)


class TestPinned:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(TrustError, match="cannot be read"):
            load_pinned(tmp_path)

    def test_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "allowed_signers").write_bytes(b"\xff")
        with pytest.raises(TrustError, match="cannot be read"):
            load_pinned(tmp_path)

    @pytest.mark.parametrize("count", [0, 2])
    def test_not_exactly_one_key(self, tmp_path: Path, count: int) -> None:
        (tmp_path / "allowed_signers").write_text(f"{PRINCIPAL} {SigningKey.generate().public.line}\n" * count)
        with pytest.raises(TrustError, match=f"names {count} keys"):
            load_pinned(tmp_path)

    def test_people_beside_the_guard_do_not_count(self, tmp_path: Path, key: SigningKey) -> None:
        path = tmp_path / "trust" / "allowed_signers"
        other = SigningKey.generate().public.line
        path.write_text(f"# people\nada@example.org {other}\n*@x {other}\n{path.read_text()}")
        assert load_pinned(tmp_path / "trust") == key.public

    @pytest.mark.parametrize("form", ["{p} {k}", '{p} namespaces="git" {k} comment', '{p} valid-after="20200101" {k}'])
    def test_every_form_that_ssh_reads(self, tmp_path: Path, form: str) -> None:
        key = SigningKey.generate().public
        (tmp_path / "allowed_signers").write_text(form.format(p=PRINCIPAL, k=key.line) + "\n")
        assert load_pinned(tmp_path) == key

    @given(st.text(max_size=40))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
    def test_nothing_but_a_trust_error_comes_of_junk(self, tmp_path: Path, rest: str) -> None:
        (tmp_path / "allowed_signers").write_bytes(f"{PRINCIPAL} {rest}".encode(errors="surrogatepass"))
        with pytest.raises(TrustError):
            load_pinned(tmp_path)
