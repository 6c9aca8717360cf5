"""Reading every byte of a baseline, numbers that only grow, and how one is judged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from record.setting import KEY, Books, forged, only, statement_in
from state import stock
from stateguard.errors import NotFoundError, RefusedError
from stateguard.model.identity import ZERO
from stateguard.model.tree import blob_id
from stateguard.state.tags import read_tag


class TestFullVerification:
    @pytest.fixture(autouse=True)
    def _made(self, books: Books) -> None:
        books.baseline(b"one")

    def test_a_damaged_blob_on_main(self, books: Books) -> None:
        stock.overwrite(books.repository.path, blob_id(b"one"), b"blob", b"two")
        problems = books.baselines.verify(1)
        assert len(problems) == 1
        assert problems[0].startswith("desired state: object")
        assert books.baselines.get(1).valid, "its signature still holds"

    def test_a_damaged_captured_blob(self, books: Books) -> None:
        stock.overwrite(books.captured.path, blob_id(b"said one"), b"blob", b"said two")
        problems = books.baselines.verify(1)
        assert len(problems) == 1
        assert problems[0].startswith("complete state: object")

    @pytest.mark.parametrize("which", ["revision", "snapshot"])
    @pytest.mark.parametrize("gone", [True, False])
    def test_a_commit_that_is_damaged_or_gone(self, books: Books, which: str, gone: bool) -> None:
        statement = books.baselines.get(1).statement
        repository = books.repository if which == "revision" else books.captured
        commit = getattr(statement, which)
        repository.commit(commit)
        if gone:
            stock.loose(repository.path, commit).unlink()
        else:
            other = repository.raw(commit)[1].replace(b"stateguard", b"somebody")
            stock.overwrite(repository.path, commit, b"commit", other)
        assert len(books.baselines.verify(1)) == 1

    def test_a_statement_that_does_not_say_what_is_there(self, books: Books) -> None:
        lying = "sha256:" + "0" * 64
        books.tag(forged(replace(statement_in(books, 1), desired_fingerprint=lying, fingerprint=lying), KEY), 1)
        problems = books.baselines.verify(1)
        assert sum("the statement says sha256:0000" in one for one in problems) == 2

    def test_a_number_that_is_not_there(self, books: Books) -> None:
        with pytest.raises(NotFoundError):
            books.baselines.verify(2)


class TestNumbers:
    def test_the_highest_survives_the_deletion_of_tags(self, books: Books) -> None:
        for content in (b"one", b"two"):
            books.baseline(content)
        for number in (1, 2):
            stock.git(books.repository.path, "update-ref", "-d", f"refs/tags/baseline/{number}")
        assert books.baselines.all() == []
        books.open(books.root / "guard.db")
        assert books.baselines.highest() == 2
        made = books.baseline(b"three")
        assert made.statement.number == 3
        assert made.statement.previous_fingerprint is None

    def test_a_number_is_not_used_again_though_the_database_is_lost(self, books: Books) -> None:
        books.baseline(b"one")
        books.open(books.root / "other.db")
        assert books.baseline(b"two").statement.number == 2

    def test_a_deleted_tag_that_is_put_back_is_the_same_baseline(self, books: Books) -> None:
        made = books.baseline()
        stock.git(books.repository.path, "update-ref", "-d", "refs/tags/baseline/1")
        books.ref("refs/tags/baseline/1", made.tag_object)
        assert books.baselines.get(1) == made


class TestJudgement:
    @pytest.mark.parametrize("reason", ["it leaked a secret", ""])
    def test_a_revoked_one_stays_for_the_record_only(self, books: Books, reason: str) -> None:
        books.baseline()
        books.baselines.revoke(1, "person:ada", reason)
        books.open(books.root / "guard.db")
        found = only(books.baselines.all())
        assert (found.revoked, found.valid, found.usable) == (True, True, False)
        entry = next(books.audit.newest_first())
        assert (entry["kind"], entry["actor"], entry["body"]) == (
            "revoke",
            "person:ada",
            {"number": 1, "reason": reason},
        )
        with pytest.raises(RefusedError, match="revoked before"):
            books.baselines.revoke(1, "person:ada", "again")
        assert len(list(books.audit.newest_first())) == 2
        assert read_tag(books.repository, found.tag_object).name == "baseline/1"

    def test_one_that_is_not_there_cannot_be_revoked(self, books: Books) -> None:
        with pytest.raises(NotFoundError):
            books.baselines.revoke(1, "person:ada", "x")

    def test_a_suspect_one_can_still_be_used(self, books: Books) -> None:
        books.baseline(b"one")
        books.baseline(b"two")
        books.baselines.suspect(1)
        assert [(b.statement.number, b.suspect, b.usable) for b in books.baselines.all()] == [
            (2, False, True),
            (1, True, True),
        ]

    def test_as_json(self, books: Books) -> None:
        document = books.baseline().as_json()
        assert json.loads(json.dumps(document)) == document
        assert document["snapshot"] != ZERO
