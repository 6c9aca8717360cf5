"""The trust document in force: every change in the chain first, and no way back to an earlier version."""

from __future__ import annotations

import hashlib
import json

import pytest

from record.setting import KEY, OTHER, Books
from stateguard import faults
from stateguard.errors import StateguardError, TrustError
from stateguard.model.trust import Role, Trust
from stateguard.trust.people import added, removed, ssh_key
from stateguard.trust.verdict import Standing

AT = "2026-07-01T10:00:00.000Z"
ANN = ssh_key(OTHER.public.line, AT)


def trusting(books: Books, name: str = "ann", roles: tuple[Role, ...] = (Role.BASELINE,)) -> Trust:
    before = books.people.trust()
    after = added(before, books.root / "trust", name, ANN, roles)
    return books.people.change(before, after, "person:ann", {"action": "add", "name": name})


def test_nobody_is_trusted_at_first(books: Books) -> None:
    assert books.people.trust() == Trust()
    assert books.people.judge(b"x", None).standing is Standing.UNSIGNED
    assert books.people.judge(b"x", OTHER.sign(b"x")).standing is Standing.UNKNOWN


def test_a_change_is_in_force_at_once_and_in_the_chain(books: Books) -> None:
    after = trusting(books)
    assert books.people.trust() == after
    assert books.people.judge(b"x", OTHER.sign(b"x")).name == "ann"
    entry = next(books.audit.newest_first())
    assert (entry["kind"], entry["actor"], entry["body"]["name"]) == ("trust", "person:ann", "ann")
    document = (books.root / "trust" / "trust.yaml").read_bytes()
    assert entry["body"]["version"] == after.version == 1
    assert entry["body"]["document"] == hashlib.sha256(document).hexdigest()
    assert books.problems() == ()


def test_no_change_is_no_entry(books: Books) -> None:
    before = trusting(books)
    count = len(list(books.audit.newest_first()))
    assert trusting(books) == before
    assert len(list(books.audit.newest_first())) == count


def test_an_earlier_document_is_not_read(books: Books) -> None:
    path = books.root / "trust" / "trust.yaml"
    trusting(books)
    first = path.read_bytes()
    before = books.people.trust()
    books.people.change(before, removed(before, "ann", None, AT), "guard", {})
    second = path.read_bytes()
    for content in (first, None):
        path.write_bytes(content) if content else path.unlink()
        with pytest.raises(TrustError, match="2 was in force"):
            books.people.trust()
        with pytest.raises(TrustError):
            books.people.judge(b"x", OTHER.sign(b"x"))
        assert books.people.judge(b"x", None).standing is Standing.UNSIGNED
    path.write_bytes(second)
    assert books.people.judge(b"x", OTHER.sign(b"x")).standing is Standing.UNKNOWN


@pytest.mark.parametrize("point", ["audit.append", "files.write", "files.rename"])
def test_cut_anywhere_the_old_document_or_the_new_one_is_in_force(books: Books, point: str) -> None:
    trusting(books)
    before = books.people.trust()
    after = added(before, books.root / "trust", "ann", None, [Role.PUSH])
    for passage in (1, 2):
        faults.arm(f"{point}:{passage}:cut")
        try:
            books.people.change(before, after, "guard", {})
        except faults.Cut:
            assert books.people.trust() in (before, after)
        finally:
            faults.arm(None)
    again = books.people.trust()
    books.people.change(again, added(again, books.root / "trust", "ann", None, [Role.ADMIN]), "guard", {})
    assert books.people.trust().find("ann").roles == (Role.ADMIN,)  # type: ignore[union-attr]
    assert books.problems() == ()


def test_a_disk_that_refuses_is_told(books: Books) -> None:
    before = trusting(books)
    after = added(before, books.root / "trust", "ann", None, [Role.PUSH])
    faults.arm("files.write:1:enospc")
    try:
        with pytest.raises(StateguardError, match="cannot be written") as refused:
            books.people.change(before, after, "guard", {})
    finally:
        faults.arm(None)
    assert "audit chain" in refused.value.changed
    assert books.people.trust() == before


def test_a_proof_without_a_document_warns(books: Books) -> None:
    trusting(books)
    (books.root / "trust" / "trust.yaml").write_text("nonsense: [\n")
    proof = books.people.prove(b"x", OTHER.sign(b"x"), ANN.fingerprint)
    assert proof.problems == ()
    assert "trust.yaml" in proof.warnings[0]
    assert books.people.prove(b"y", OTHER.sign(b"x"), ANN.fingerprint).problems
    with pytest.raises(StateguardError):
        books.people.trust()


def test_the_guards_key_stays_pinned(books: Books) -> None:
    trusting(books)
    lines = (books.root / "trust" / "allowed_signers").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["guard@stateguard", "ann"]
    assert KEY.public.line in lines[0]
    assert json.dumps(ANN.public) in (books.root / "trust" / "trust.yaml").read_text()
