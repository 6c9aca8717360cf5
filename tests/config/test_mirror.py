import re

import pytest
from hypothesis import given, strategies as st

from stateguard.config.host import host_document, load_host
from stateguard.config.mirror import mirror_url
from stateguard.config.problem import InvalidDocument
from stateguard.model.mirror import MirrorSpec
from stateguard.model.policy import SHIPPED_ARMING, HostSettings


def read(text: str) -> tuple[MirrorSpec, ...]:
    return load_host(text.encode()).mirrors


def test_no_mirror_is_the_default() -> None:
    assert read("live: live\n") == read("mirrors:\n") == read("mirrors: []\n") == ()


def test_mirrors_are_read() -> None:
    text = """\
mirrors:
  - {name: near, url: /srv/copy.git}
  - name: far
    url: ssh://git@example.org:2222/copy.git
    trusted: true
    deadline: 2m
    check: 1h
    tell_after: 5m
    breaker: {failures: 3, pause: 30s}
"""
    far = MirrorSpec("far", "ssh://git@example.org:2222/copy.git", True, 120.0, 3600.0, 300.0, 3, 30.0)
    assert read(text) == (MirrorSpec("near", "/srv/copy.git"), far)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{url: /srv/x}", "name is missing"),
        ("{name: a}", "url is missing"),
        ("{name: A b, url: /x}", "is no name"),
        ("{name: a, url: /x, trused: true}", "did you mean trusted?"),
        ("{name: a, url: /x, deadline: 0}", "deadline must be more than 0"),
        ("{name: a, url: /x, breaker: {failures: 0}}", "failures must be at least 1"),
        ("{name: a, url: /x, encrypt_to: age1abc}", "encrypt_to is not available in this version"),
        ("{name: a, url: /x, encrypt_to: [age1abc]}", "encrypt_to is not available in this version"),
        ("{name: a, url: 'git://example.org/x', trusted: true}", "would travel unencrypted over git"),
        ("{name: a, url: 'http://example.org/x', trusted: true}", "would travel unencrypted over http"),
        ("{name: a, url: 'git://someone:secret@example.org/x'}", "git:// knows no user"),
        ("{name: a, url: /x}, {name: a, url: /y}", "two mirrors are called a"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read(f"mirrors: [{text}]\n")
    assert any(message in problem.message for problem in caught.value.problems)


@pytest.mark.parametrize(
    "url",
    [
        "/srv/copy.git",
        "file:///srv/copy.git",
        "ssh://git@example.org/copy.git",
        "ssh://example.org:2222/~/copy.git",
        "https://example.org/a/copy.git",
        "https://someone:secret@example.org/copy.git",
        "git://127.0.0.1:9418/copy.git",
        "git@example.org:a/copy.git",
        "backup:copy.git",
        "[::1]:copy.git",
    ],
)
def test_addresses_that_git_takes(url: str) -> None:
    assert mirror_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "copy.git",
        "./copy.git",
        "--upload-pack=touch /tmp/x",
        "-x:y",
        "ext::sh -c id",
        "fd::7",
        "ssh://-oProxyCommand=id/x",
        "ssh://git@-oProxyCommand=id/x",
        "ftp://example.org/x",
        "https://example.org",
        "https:///x",
        "https://example.org:0/x",
        "https://example.org:70000/x",
        "file://example.org/x",
        "https://example.org/a b",
        "/srv/copy.git\n",
        " /srv/copy.git",
        "host:a b",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a git repository"):
        mirror_url(url)


def test_a_refused_address_does_not_show_its_password() -> None:
    with pytest.raises(InvalidDocument) as caught:
        read("mirrors: [{name: a, url: 'https://someone:sec@ret@example.org/x'}]\n")
    assert "***@example.org" in str(caught.value.problems)
    assert "sec" not in str(caught.value.problems)


@given(st.text(max_size=40))
def test_no_address_is_taken_for_an_option_or_a_helper(url: str) -> None:
    try:
        taken = mirror_url(url)
    except ValueError:
        return
    assert not taken.startswith("-")
    assert not re.match(r"[A-Za-z0-9+.-]*::", taken)


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.booleans()), max_size=4, unique_by=lambda pair: pair[0]))
def test_what_is_written_is_read_back(pairs: list[tuple[str, bool]]) -> None:
    mirrors = tuple(MirrorSpec(name, f"ssh://example.org/{name}.git", trusted) for name, trusted in pairs)
    text = host_document(HostSettings("live", SHIPPED_ARMING, mirrors=mirrors))
    assert read(text) == mirrors
