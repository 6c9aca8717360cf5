"""Files encrypted with age: what this guard's identity opens, and nothing else."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pyrage
import pytest
from pyrage import x25519

from stateguard.admission.secrets.scan import find
from stateguard.errors import NotFoundError, StateguardError, TrustError, UsageProblemError
from stateguard.model.secret import sealed_name, sealed_path
from stateguard.trust.age import MAX_FILE_BYTES, create_identity, is_age, opened, recipient_of, sealed

VALUE = b"quite-private-4711"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path


def binary(value: bytes, *recipients: str) -> bytes:
    return bytes(pyrage.encrypt(value, [x25519.Recipient.from_str(one) for one in recipients]))


def test_what_is_encrypted_for_this_guard_opens(keys: Path, tmp_path: Path) -> None:
    other = str(x25519.Identity.generate().to_public())
    assert recipient_of(keys) is None
    mine = create_identity(keys)
    assert recipient_of(keys) == mine
    assert (keys / "age").stat().st_mode & 0o777 == 0o600
    for content in (sealed(VALUE, [mine]), sealed(VALUE, [other, mine]), binary(VALUE, mine), binary(b"", mine)):
        assert is_age(content)
        assert opened(content, keys) in (VALUE, b"")
        assert VALUE not in content


def test_what_is_not_is_refused_without_a_word_of_it(keys: Path) -> None:
    with pytest.raises(NotFoundError, match="no age identity"):
        opened(b"", keys)
    mine, other = create_identity(keys), str(x25519.Identity.generate().to_public())
    good = binary(VALUE, mine)
    for content in (
        b"", VALUE, sealed(VALUE, [other]), binary(VALUE, other), good[:-1], good[:60], good + b"x",
        bytes(pyrage.passphrase.encrypt(VALUE, "x")), binary(b"x" * MAX_FILE_BYTES, mine),
    ):  # fmt: skip
        with pytest.raises(TrustError) as error:
            opened(content, keys)
        assert VALUE.decode() not in error.value.message
        assert "stateguard secret recipient" in error.value.next_step


def test_any_other_byte_is_refused_and_nothing_else_is_raised(keys: Path) -> None:
    mine = create_identity(keys)
    source, good = random.Random(1), [binary(VALUE, mine), sealed(VALUE, [mine])]
    for number in range(1000):
        content = bytearray(good[number % 2])
        content[source.randrange(len(content))] ^= 1 << source.randrange(8)
        cut = source.randrange(len(content)) if number % 3 == 0 else len(content)
        try:
            assert opened(bytes(content[:cut]), keys) == VALUE  # white space around armor may be other
        except StateguardError:
            continue
        assert number % 2 == 1


def test_an_identity_that_others_can_read_or_that_is_damaged_is_not_used(keys: Path) -> None:
    create_identity(keys)
    (keys / "age").chmod(0o640)
    with pytest.raises(TrustError, match="can be read by others"):
        recipient_of(keys)
    (keys / "age").chmod(0o600)
    (keys / "age").write_text("AGE-SECRET-KEY-" + "1NONE\n")
    with pytest.raises(TrustError, match="is damaged") as error:
        recipient_of(keys)
    assert "1NONE" not in error.value.message
    (keys / "age").write_bytes(b"\xff")
    with pytest.raises(TrustError, match="is damaged"):
        recipient_of(keys)


def test_a_recipient_that_is_none_is_refused(keys: Path) -> None:
    for wrong in ("", "age1", "ssh-ed25519 AAAA", create_identity(keys)[:-1]):
        with pytest.raises(UsageProblemError, match="no recipient"):
            sealed(VALUE, [wrong])


def test_the_rules_for_secrets_are_silent_about_encrypted_files(keys: Path) -> None:
    mine = create_identity(keys)
    for content in [make(bytes([n]) * 60, mine) for n in range(60) for make in (binary, lambda v, r: sealed(v, [r]))]:
        assert find(content) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("secrets/a.age", "a"), ("secrets/a.age.age", "a.age"), ("secrets/.age", None), ("secrets/a b.age", None),
        ("secrets/a/b.age", None), ("secrets/a", None), ("a.age", None), ("x/secrets/a.age", None),
    ],
)  # fmt: skip
def test_the_place_of_a_secret_in_the_state(path: str, name: str | None) -> None:
    assert sealed_name(path) == name
    assert name is None or sealed_path(name) == path


@pytest.mark.parametrize("stanza", [b"-> a\n\n", b"-> a " + b"b" * 60 + b"\n" + b"A" * 64 + b"\n\n"])
@pytest.mark.parametrize("armored", [False, True])
def test_a_header_without_end_is_not_read(keys: Path, stanza: bytes, armored: bool) -> None:
    """Reading one takes a time that grows with the square of it: minutes for as much as a file may have."""
    create_identity(keys)
    header = b"age-encryption.org/v1\n" + stanza * (90_000 // len(stanza)) + b"--- " + b"A" * 43 + b"\n"
    if armored:
        lines = base64.encodebytes(header).replace(b"\n", b"")
        rows = b"\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
        header = b"-----BEGIN AGE ENCRYPTED FILE-----\n" + rows + b"\n-----END AGE ENCRYPTED FILE-----\n"
    assert is_age(header)
    with pytest.raises(TrustError, match="too many recipients"):
        opened(header, keys)


def test_as_many_recipients_as_anybody_has_are_fine(keys: Path) -> None:
    mine = recipient_of(keys) or create_identity(keys)
    others = [str(x25519.Identity.generate().to_public()) for _ in range(40)]
    assert opened(sealed(b"value", [*others, mine]), keys) == b"value"
