import pytest
from hypothesis import given, strategies as st

from stateguard.model.identity import fingerprint_prefix, is_actor, is_fingerprint, is_revision, person, short


def test_revisions_and_fingerprints_are_told_apart() -> None:
    assert is_revision("a" * 40)
    assert not is_revision("a" * 39)
    assert not is_revision("A" * 40)
    assert not is_revision("a" * 40 + "\n")
    assert is_fingerprint("sha256:" + "0" * 64)
    assert not is_fingerprint("0" * 64)
    assert not is_fingerprint("sha256:" + "0" * 64 + "\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("guard", True),
        ("person:alice", True),
        ("detector:anomaly", True),
        ("person:", False),
        ("person:a\nb", False),
        ("alice", False),
        ("guards", False),
    ],
)
def test_actors(text: str, expected: bool) -> None:
    assert is_actor(text) is expected


@given(st.text())
def test_a_person_is_always_an_actor(name: str) -> None:
    assert is_actor(person(name))


def test_people_without_a_name_are_unknown() -> None:
    assert person(" \n") == "person:unknown"
    assert person("alice\x1b") == "person:alice"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sha256:deadbeef", "deadbeef"),
        ("deadbeef", "deadbeef"),
        ("deadbee", None),
        ("notahexd", None),
        ("a" * 65, None),
        ("DEADBEEF", None),
    ],
)
def test_prefixes_of_fingerprints(text: str, expected: str | None) -> None:
    assert fingerprint_prefix(text) == expected


def test_short_names() -> None:
    assert short("sha256:" + "ab" * 32) == "ababababab"
    assert short("c" * 40) == "c" * 10
