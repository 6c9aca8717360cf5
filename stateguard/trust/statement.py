"""Statements: canonical bytes, and the checks before one is accepted."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from stateguard.errors import StaleBaselineError, TrustError
from stateguard.model.baseline import Grade, Statement
from stateguard.model.identity import is_fingerprint, is_revision
from stateguard.model.moment import parse_rfc3339


def canonical(statement: Statement) -> str:
    """Return the one text of a statement: JSON, keys sorted, one a line, a line feed at the end.

    A threshold of 1 is left out, as it was before there were any.

    Raises:
        ValueError: the evidence holds a number that JSON cannot write.
    """
    document = asdict(statement)
    if statement.threshold == 1:
        del document["threshold"]
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def parse(text: str) -> Statement:
    """Read a statement, accepting only its canonical text.

    Raises:
        TrustError: it is no statement, or not written canonically.
    """
    try:
        statement = _typed(json.loads(text))
        written = canonical(statement)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        message = f"the tag carries no baseline statement: {error}"
        raise TrustError(message) from error
    if written != text:
        raise TrustError("the baseline statement is not in canonical form")
    return statement


def of_tag(unsigned: bytes) -> Statement:
    """Return the statement in the bytes of a tag object that lacks its signature.

    Raises:
        TrustError: there is none.
    """
    return parse(unsigned.partition(b"\n\n")[2].decode(errors="replace"))


def _typed(document: Any) -> Statement:  # noqa: ANN401 - whatever JSON brings
    if not isinstance(document, dict) or {"threshold", *document} != {f.name for f in fields(Statement)}:
        raise ValueError("its keys are not those of a statement")
    texts = ("repository", "tag", "revision", "snapshot", "desired_fingerprint", "fingerprint", "issued_at")
    optional = ("expires_at", "previous_fingerprint")
    fit = (
        all(isinstance(document[k], str) for k in texts)
        and all(document[k] is None or isinstance(document[k], str) for k in optional)
        and type(document["number"]) is int
        and document["number"] > 0
        and type(document.get("threshold", 1)) is int
        and document.get("threshold", 1) > 0
        and isinstance(document["evidence"], dict)
        and is_revision(document["revision"])
        and is_revision(document["snapshot"])
        and is_fingerprint(document["desired_fingerprint"])
        and is_fingerprint(document["fingerprint"])
    )
    if not fit:
        raise ValueError("a value is not of its type")
    for key in ("issued_at", "expires_at"):
        if document[key] is not None:
            parse_rfc3339(document[key])
    return Statement(**(document | {"grade": Grade(document["grade"])}))


def check_acceptance(
    statement: Statement, *, repository: str, tag: str, highest: int, known: str | None, now_seconds: float
) -> None:
    """Check a statement that is offered for the first time. ``known`` is the tag object accepted under its number.

    Raises:
        StaleBaselineError: its number is not above the highest accepted one.
        TrustError: it is of another repository, renamed, or expired.
    """
    if statement.repository != repository:
        message = f"the statement is for repository {statement.repository}, this is {repository}"
        raise TrustError(message)
    check_name(statement, tag)
    if statement.number <= highest and known is None:
        message = f"baseline {statement.number} is offered, but {highest} was already accepted"
        raise StaleBaselineError(message)
    if statement.expires_at is not None and parse_rfc3339(statement.expires_at) <= now_seconds:
        message = f"baseline {statement.number} expired at {statement.expires_at}"
        raise TrustError(message)


def check_name(statement: Statement, tag: str) -> None:
    """Check that a statement lies under the name it was made for.

    Raises:
        TrustError: it does not.
    """
    if statement.tag != tag or tag != f"baseline/{statement.number}":
        message = f"the statement of {statement.tag} (number {statement.number}) lies under the name {tag}"
        raise TrustError(message)
