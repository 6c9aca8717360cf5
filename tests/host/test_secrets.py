"""Where secrets of agents lie: read by their owner alone, told by name alone."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from helpers import names
from stateguard.errors import NotFoundError, StorageError, TrustError, UsageProblemError
from stateguard.host.secrets import Secrets
from stateguard.model.secret import MAX_BYTES, is_secret_name, referenced

VALUE = "quite-private-4711"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture
def secrets(folder: Path) -> Secrets:
    return Secrets(folder)


def test_what_was_set_is_there_until_it_is_removed(secrets: Secrets, folder: Path) -> None:
    assert secrets.names() == []
    secrets.keep("b", "two\nlines")
    secrets.keep("a", VALUE)
    assert (secrets.names(), secrets.value("a"), secrets.value("b")) == (["a", "b"], VALUE, "two\nlines")
    assert (folder.stat().st_mode & 0o777, (folder / "a").stat().st_mode & 0o777) == (0o700, 0o600)
    secrets.keep("a", "other")
    assert secrets.value("a") == "other"
    secrets.remove("a")
    assert secrets.names() == names(folder) == ["b"]
    for ask in (secrets.value, secrets.remove):
        with pytest.raises(NotFoundError, match="the secret a is not set") as error:
            ask("a")
        assert error.value.next_step == "set it: stateguard secret set a"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_one_that_others_reach_is_not_used(secrets: Secrets, folder: Path, mode: int) -> None:
    secrets.keep("a", VALUE)
    (folder / "a").chmod(mode)
    with pytest.raises(TrustError, match=f"mode {mode:04o}") as error:
        secrets.value("a")
    assert VALUE not in f"{error.value.message}{error.value.next_step}"
    assert f"chmod 600 {folder / 'a'}" in secrets.trouble("a")
    secrets.keep("a", VALUE)
    assert secrets.trouble("a") == ""


def test_a_link_is_no_secret(secrets: Secrets, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(VALUE)
    elsewhere.chmod(0o600)
    secrets.keep("b", VALUE)
    (folder / "a").symlink_to(elsewhere)
    with pytest.raises(TrustError, match="no file of this user's"):
        secrets.value("a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_one_of_another_user_is_not_used(secrets: Secrets, folder: Path) -> None:
    secrets.keep("a", VALUE)
    os.chown(folder / "a", 65534, 65534)
    with pytest.raises(TrustError, match="no file of this user's"):
        secrets.value("a")


@pytest.mark.parametrize("content", [b"", b"a\0b", b"\xff" + VALUE.encode(), b"x" * (MAX_BYTES + 1)])
def test_what_no_variable_holds_is_not_used(secrets: Secrets, folder: Path, content: bytes) -> None:
    secrets.keep("a", VALUE)
    (folder / "a").write_bytes(content)
    with pytest.raises(StorageError, match="the secret a is empty, no UTF-8") as error:
        secrets.value("a")
    assert VALUE not in repr(error.value.__cause__)


@pytest.mark.parametrize("value", ["", "a\0b", "x" * (MAX_BYTES + 1), "é" * (MAX_BYTES // 2 + 1)])
def test_what_no_variable_holds_is_not_kept(secrets: Secrets, folder: Path, value: str) -> None:
    with pytest.raises(UsageProblemError):
        secrets.keep("a", value)
    assert not folder.exists()


def test_the_longest_value_reaches_a_process(secrets: Secrets) -> None:
    """Linux takes 128 KiB for one variable with its name."""
    secrets.keep("a", "x" * MAX_BYTES)
    given = {"A": secrets.value("a")}
    assert subprocess.run(["/bin/sh", "-c", f"test ${{#A}} = {MAX_BYTES}"], env=given, check=False).returncode == 0


@given(name=st.text(st.characters(codec="utf-8"), max_size=70) | st.sampled_from(["..", ".", "a/b", "/a", "-a", "a\n"]))
def test_no_name_leads_out(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.getbasetemp() / "named"
    root.mkdir(exist_ok=True)
    secrets = Secrets(root / "secrets")
    if is_secret_name(name):
        secrets.keep(name, VALUE)
        assert secrets.names() == [name]
        secrets.remove(name)
    else:
        with pytest.raises(UsageProblemError, match="that is no name of a secret; names are letters"):
            secrets.keep(name, VALUE)
        assert secrets.trouble(name) != ""
    assert set(names(root)) <= {"secrets"}


@pytest.mark.parametrize(
    ("value", "name"),
    [("secret://a", "a"), ("secret://", ""), ("secret://a b", "a b"), ("a secret://a", None), ("Secret://a", None)],
)
def test_a_reference_is_the_whole_value(value: str, name: str | None) -> None:
    assert referenced(value) == name
