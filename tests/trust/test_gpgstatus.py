from __future__ import annotations

import pytest
from hypothesis import example, given, settings, strategies as st

from stateguard.trust.gpgstatus import Finding, Sighting, read_status

PRIMARY, SUBKEY = "A" * 40, "0123456789ABCDEF" * 2 + "01234567"
NEW, ID = "NEWSIG", "SIG_ID abc 2026-07-01 1782900000"
GOOD = f"GOODSIG {SUBKEY[-16:]} Ann <ann@example.org>"
VALID = f"VALIDSIG {SUBKEY} 2026-07-01 1782900000 0 4 0 22 10 00 {PRIMARY}"
UNKNOWN = f"ERRSIG {SUBKEY[-16:]} 22 10 00 1782900000 9 {SUBKEY}"
VERDICTS = ("GOODSIG", "BADSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "ERRSIG")


def status(*lines: str) -> bytes:
    return "".join(f"[GNUPG:] {line}\n" for line in lines).encode()


def finding(*lines: str) -> Finding:
    return read_status(status(*lines)).finding


def test_a_good_one_counts_under_its_primary_key() -> None:
    assert read_status(status(NEW, ID, GOOD, VALID)) == Sighting(Finding.GOOD, PRIMARY, SUBKEY)


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [("EXPSIG", "expired-signature"), ("EXPKEYSIG", "expired-key"), ("REVKEYSIG", "revoked-key")],
)
def test_what_expired_or_was_revoked_is_not_good_though_valid(keyword: str, expected: str) -> None:
    found = read_status(status(NEW, GOOD.replace("GOODSIG", keyword), VALID, "FAILURE gpg-exit 33554433"))
    assert (found.finding, found.primary) == (expected, PRIMARY)
    assert found.detail


def test_one_that_does_not_fit() -> None:
    assert finding(NEW, GOOD.replace("GOODSIG", "BADSIG")) is Finding.BAD


def test_an_unknown_key_is_named_as_fully_as_gpg_does() -> None:
    assert read_status(status(NEW, UNKNOWN, "NO_PUBKEY x")) == Sighting(Finding.UNKNOWN_KEY, key=SUBKEY)
    short = UNKNOWN.rsplit(" ", 1)[0]
    assert read_status(status(NEW, short)).key == SUBKEY[-16:]
    assert finding(NEW, UNKNOWN.replace(" 9 ", " 4 ")) is Finding.UNREADABLE


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (NEW,),
        (NEW, VALID),
        (NEW, GOOD),
        (NEW, GOOD, VALID, NEW, GOOD, VALID),
        (NEW, GOOD, VALID, VALID),
        (NEW, GOOD, GOOD, VALID),
        (NEW, NEW, GOOD, VALID),
        (NEW, GOOD, VALID, NEW, UNKNOWN),
        (NEW, UNKNOWN, VALID),
        (NEW, GOOD.replace("GOODSIG", "BADSIG"), GOOD, VALID),
        (NEW, GOOD, VALID.rsplit(" ", 1)[0]),
        (NEW, GOOD, VALID + " more"),
        (NEW, GOOD, VALID.replace(PRIMARY, PRIMARY[:-1])),
        (NEW, GOOD, VALID.replace(PRIMARY, PRIMARY.lower())),
        (NEW, GOOD, VALID.replace(SUBKEY, "B" * 40)),
        (NEW, GOOD, VALID.replace(" 10 00 ", " 2 00 ")),
        (NEW, GOOD, VALID.replace(" 10 00 ", " 1 00 ")),
        (NEW, GOOD, VALID.replace(" 10 00 ", " 10 01 ")),
        (NEW, "GOODSIG", VALID),
        (NEW, GOOD, VALID, "PLAINTEXT 62 0 x"),
        (NEW, GOOD, VALID, "DECRYPTION_OKAY"),
        (NEW, GOOD, VALID, "FAILURE gpg-exit 33554433"),
        (NEW, GOOD, VALID, "NODATA 4"),
        (NEW, GOOD, VALID, "UNEXPECTED 0"),
    ],
)
def test_whatever_is_not_exactly_one_signature_is_unreadable(lines: tuple[str, ...]) -> None:
    assert finding(*lines) is Finding.UNREADABLE


@pytest.mark.parametrize(
    "output",
    [b"gpg: Good signature\n", b"\n", b"[GNUPG:]\n", b"[GNUPG:] GOODSIG", status(NEW, GOOD, VALID)[:-1]],
)
def test_anything_else_on_the_pipe_is_unreadable(output: bytes) -> None:
    assert read_status(output).finding is Finding.UNREADABLE
    assert read_status(status(NEW, GOOD, VALID) + output).finding is Finding.UNREADABLE


# What a signer may choose: gpg escapes line feeds, so they cannot be in it.
_chosen = st.text(st.characters(blacklist_characters="\n", blacklist_categories=("Cs",)), max_size=60)
_forged = st.sampled_from([GOOD, VALID, UNKNOWN, NEW, "PLAINTEXT 62 0 x"])
_texts = _chosen | st.builds("{}[GNUPG:] {}".format, st.sampled_from(["\r", "\x0b", "\x85", "\u2028", " "]), _forged)
_harmless = st.builds(
    "{} {}".format,
    st.sampled_from(["NOTATION_NAME", "NOTATION_DATA", "POLICY_URL", "KEY_CONSIDERED", "KEYEXPIRED", "TRUST_FULLY",
                     "PROGRESS", "X_NEVER_HEARD_OF"]),
    _texts,
)  # fmt: skip


@given(st.lists(_harmless, max_size=4), st.lists(_harmless, max_size=4), _texts)
@example(["NOTATION_DATA \r[GNUPG:] " + GOOD], ["NOTATION_DATA \u2028[GNUPG:] " + VALID], "x")
def test_texts_that_a_signer_chooses_change_nothing(before: list[str], after: list[str], name: str) -> None:
    good = f"GOODSIG {SUBKEY[-16:]} {name}"
    assert read_status(status(NEW, *before, good, VALID, *after)) == Sighting(Finding.GOOD, PRIMARY, SUBKEY)
    bad = f"BADSIG {SUBKEY[-16:]} {name}"
    assert finding(NEW, *before, bad, *after) is Finding.BAD
    assert finding(NEW, *before, UNKNOWN, *after) is Finding.UNKNOWN_KEY


@given(st.lists(st.sampled_from([NEW, GOOD, VALID, UNKNOWN, *(f"{v} {SUBKEY[-16:]} x" for v in VERDICTS)]), max_size=6))
@settings(max_examples=300)
def test_good_is_one_verdict_and_one_key(lines: list[str]) -> None:
    verdicts = [line for line in lines if line.split()[0] in VERDICTS]
    one = len(verdicts) == 1 and verdicts[0].startswith("GOODSIG") and lines.count(VALID) == 1 and lines.count(NEW) < 2
    assert (finding(*lines) is Finding.GOOD) == one


@given(
    st.binary(max_size=300)
    | st.lists(st.binary(max_size=30)).map(lambda ls: b"".join(b"[GNUPG:] %s\n" % x for x in ls))
)
def test_no_bytes_break_it(output: bytes) -> None:
    assert read_status(output).finding in Finding
