"""Whose keys there are, and until when they count."""

from __future__ import annotations

from hypothesis import given, strategies as st

from stateguard.model.moment import rfc3339
from stateguard.model.trust import Key, Person, Role, Trust

NOW = 1_800_000_000.0

keys = st.builds(
    Key,
    st.just("ssh-ed25519"),
    st.integers(0, 10**9).map(lambda number: f"SHA256:{number}"),
    st.just("AAAA"),
    st.just(rfc3339(NOW)),
    st.just("") | st.floats(-1e6, 1e6).map(lambda seconds: rfc3339(NOW + seconds)),
)
documents = st.lists(keys, max_size=6, unique_by=lambda key: key.fingerprint).map(
    lambda found: Trust(1, tuple(Person(f"p{n}", (Role.PUSH,), (key,)) for n, key in enumerate(found)))
)


@given(documents)
def test_each_key_is_found_with_whose_it_is(trust: Trust) -> None:
    assert [trust.key(key.fingerprint) for key in trust.current_keys()] == list(trust.current_keys())
    assert [trust.owner(key.fingerprint) for key in trust.current_keys()] == list(trust.people)
    assert trust.key("SHA256:nobody's") is None


@given(documents, st.floats(-1e6, 1e6))
def test_what_expires_by_a_moment_is_named_the_first_ones_first(trust: Trust, seconds: float) -> None:
    found = [key for _, key in trust.expiring(NOW + seconds)]
    assert {key.fingerprint for key in found} == {
        key.fingerprint for key in trust.current_keys() if key.expired(NOW + seconds)
    }
    ends = [key.expires_at for key in found]
    assert ends == sorted(ends)
    assert all(end and end <= rfc3339(NOW + seconds) for end in ends)


def test_a_key_without_an_end_counts_for_ever() -> None:
    assert not Key("ssh-ed25519", "SHA256:x", "AAAA", rfc3339(NOW)).expired(1e12)
