from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from stateguard.errors import StaleBaselineError, TrustError
from stateguard.model.baseline import Grade, Statement
from stateguard.model.moment import rfc3339
from stateguard.trust.statement import canonical, check_acceptance, parse

STATEMENT = Statement(
    repository="r1",
    tag="baseline/3",
    number=3,
    grade=Grade.CONFIRMED,
    revision="a" * 40,
    snapshot="b" * 40,
    desired_fingerprint="sha256:" + "c" * 64,
    fingerprint="sha256:" + "d" * 64,
    issued_at="2026-07-01T10:00:00.000Z",
    expires_at="2027-07-01T10:00:00.000Z",
    previous_fingerprint="sha256:" + "e" * 64,
    evidence={"health": "HEALTHY"},
    threshold=2,
)
NOW = 1_782_900_000.0
FIELDS = sorted(asdict(STATEMENT))

_hex = st.text("0123456789abcdef", min_size=64, max_size=64)
_times = st.integers(0, 4_000_000_000_000).map(lambda ms: rfc3339(ms / 1000))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
statements = st.builds(
    Statement,
    repository=st.text(max_size=10),
    tag=st.text(max_size=10),
    number=st.integers(1, 10**30),
    grade=st.sampled_from(Grade),
    revision=_hex.map(lambda text: text[:40]),
    snapshot=_hex.map(lambda text: text[:40]),
    desired_fingerprint=_hex.map("sha256:{}".format),
    fingerprint=_hex.map("sha256:{}".format),
    issued_at=_times,
    expires_at=st.none() | _times,
    previous_fingerprint=st.none() | _hex.map("sha256:{}".format),
    evidence=st.dictionaries(st.text(max_size=5), _json, max_size=3),
    threshold=st.integers(1, 10**30),
)


def written(document: object) -> str:
    return json.dumps(document, sort_keys=True, indent=1) + "\n"


class TestParse:
    @given(statements)
    def test_what_is_written_is_read(self, statement: Statement) -> None:
        text = canonical(statement)
        assert parse(text) == statement
        assert text.isascii()
        assert json.loads(text)["number"] == statement.number

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda text: text + "\n",
            lambda text: text.rstrip("\n"),
            lambda text: " " + text,
            lambda text: text.replace("\n", "\r\n"),
            lambda text: text.replace('"number": 3', '"number": 3,\n "number": 3'),
            lambda text: text.replace('"number": 3', '"number": 03'),
            lambda text: text.replace('"number": 3', '"number": 3.0'),
            lambda text: text.replace("HEALTHY", "\\u0048EALTHY"),
            lambda text: text.replace("r1", "é"),
            lambda text: json.dumps(json.loads(text), sort_keys=True) + "\n",
            lambda text: json.dumps(dict(reversed(json.loads(text).items())), indent=1) + "\n",
        ],
    )
    def test_any_other_way_to_write_it_is_refused(self, spoil: Any) -> None:  # noqa: ANN401 - a lambda
        text = canonical(STATEMENT)
        assert spoil(text) != text
        with pytest.raises(TrustError):
            parse(spoil(text))

    @pytest.mark.parametrize("field", FIELDS)
    @pytest.mark.parametrize(
        "value", [True, 1.5, -1, 0, [], {}, ["x"], "", "no such thing", "\0", "sha256:" + "C" * 64]
    )
    def test_every_field_refuses_values_that_are_not_its_own(self, field: str, value: object) -> None:
        own: dict[str, tuple[type, ...]] = {
            "repository": (str,), "tag": (str,), "previous_fingerprint": (str,), "evidence": (dict,),
        }  # fmt: skip
        text = written(asdict(STATEMENT) | {field: value})
        if isinstance(value, own.get(field, ())):
            assert getattr(parse(text), field) == value
        else:
            with pytest.raises(TrustError, match="no baseline statement"):
                parse(text)

    @pytest.mark.parametrize("field", FIELDS)
    def test_null_stands_only_where_it_may(self, field: str) -> None:
        text = written(asdict(STATEMENT) | {field: None})
        if field in ("expires_at", "previous_fingerprint"):
            assert getattr(parse(text), field) is None
        else:
            with pytest.raises(TrustError):
                parse(text)

    def test_a_threshold_of_one_is_left_out_and_nowhere_else(self) -> None:
        one = canonical(replace(STATEMENT, threshold=1))
        assert "threshold" not in one
        assert parse(one) == replace(STATEMENT, threshold=1)
        for value in (1, 0, -1, True, None, "2", 2.0):
            with pytest.raises(TrustError):
                parse(written(json.loads(one) | {"threshold": value}))

    @pytest.mark.parametrize("field", [field for field in FIELDS if field != "threshold"])
    def test_no_field_may_be_missing(self, field: str) -> None:
        document = asdict(STATEMENT)
        del document[field]
        with pytest.raises(TrustError, match="keys"):
            parse(written(document))

    def test_no_field_may_be_added(self) -> None:
        with pytest.raises(TrustError, match="keys"):
            parse(written(asdict(STATEMENT) | {"more": 1}))

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_numbers_that_are_none_are_refused(self, number: str) -> None:
        with pytest.raises(TrustError):
            parse(canonical(STATEMENT).replace('"HEALTHY"', number))

    @pytest.mark.parametrize("depth", [100, 400, 950, 100_000])
    def test_evidence_nested_deep_is_read_or_refused(self, depth: int) -> None:
        text = canonical(STATEMENT).replace('"HEALTHY"', "[" * depth + "]" * depth)
        with pytest.raises(TrustError):
            parse(text)

    def test_a_huge_number_is_refused(self) -> None:
        with pytest.raises(TrustError):
            parse(canonical(STATEMENT).replace('"number": 3', '"number": ' + "9" * 5000))

    @given(st.text(max_size=40), st.sampled_from(["issued_at", "expires_at"]))
    @settings(max_examples=200)
    def test_no_text_breaks_a_time(self, text: str, field: str) -> None:
        try:
            assert getattr(parse(written(asdict(STATEMENT) | {field: text})), field) == text
        except TrustError:
            return

    @given(st.text() | _json.map(written))
    @settings(max_examples=200)
    def test_nothing_but_a_trust_error_comes_of_junk(self, text: str) -> None:
        with pytest.raises(TrustError):
            parse(text)


def accept(statement: Statement, **given_: Any) -> None:  # noqa: ANN401 - arguments of several types
    usual = {"repository": "r1", "tag": "baseline/3", "highest": 2, "known": None, "now_seconds": NOW}
    check_acceptance(statement, **(usual | given_))


class TestAcceptance:
    def test_a_new_one_is_accepted(self) -> None:
        accept(STATEMENT)
        accept(replace(STATEMENT, expires_at=None), now_seconds=NOW * 10)

    @pytest.mark.parametrize("highest", [3, 4, 1000])
    def test_a_stale_one_is_a_rollback_attack(self, highest: int) -> None:
        with pytest.raises(StaleBaselineError, match=f"{highest} was already accepted") as refused:
            accept(STATEMENT, highest=highest)
        assert (refused.value.exit, refused.value.code) == (10, "stale-baseline")
        accept(STATEMENT, highest=highest, known="f" * 40)

    def test_another_repository(self) -> None:
        with pytest.raises(TrustError, match="for repository r1, this is r2"):
            accept(STATEMENT, repository="r2")

    @pytest.mark.parametrize("tag", ["baseline/4", "baseline/03", "release", ""])
    def test_renamed(self, tag: str) -> None:
        with pytest.raises(TrustError, match="lies under the name"):
            accept(STATEMENT, tag=tag)
        with pytest.raises(TrustError, match="lies under the name"):
            accept(replace(STATEMENT, tag=tag), tag=tag)

    def test_expired(self) -> None:
        statement = replace(STATEMENT, expires_at=rfc3339(NOW))
        with pytest.raises(TrustError, match="expired at"):
            accept(statement)
        accept(statement, now_seconds=NOW - 0.001)

    @given(st.integers(1, 9), st.integers(0, 9), st.booleans(), st.booleans(), st.booleans(), st.booleans())
    def test_it_is_accepted_exactly_when_nothing_speaks_against_it(
        self, number: int, highest: int, known: bool, ours: bool, named: bool, expired: bool
    ) -> None:
        statement = replace(
            STATEMENT,
            number=number,
            tag=f"baseline/{number}",
            expires_at=rfc3339(NOW - 1 if expired else NOW + 1),
            repository="r1" if ours else "r2",
        )
        fine = ours and named and not expired and (number > highest or known)
        tag = statement.tag if named else "baseline/77"
        try:
            accept(statement, tag=tag, highest=highest, known="f" * 40 if known else None)
            assert fine
        except TrustError:
            assert not fine
