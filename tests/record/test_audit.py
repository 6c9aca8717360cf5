from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings, strategies as st

from record.setting import AT, KEY, OTHER, Books
from state import stock
from stateguard import faults
from stateguard.errors import StateguardError, StorageError
from stateguard.model.identity import AUDIT, EMPTY_TREE, MAIN, ZERO
from stateguard.record.audit import ZERO_HASH, Entry
from stateguard.state.commits import raw_commit, split_signature, with_signature
from stateguard.state.forward import Signer, signed_commit
from stateguard.state.repository import RefMove, Repository

_bodies = st.dictionaries(
    st.text(max_size=6),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20) | st.lists(st.text(max_size=5)),
    max_size=4,
)
_entries = st.builds(Entry, st.text(max_size=8), st.text(max_size=8), _bodies)


def messages(books: Books) -> list[str]:
    """Return the message of every commit of the chain, oldest first."""
    log = stock.git(books.repository.path, "log", "--reverse", "-z", "--format=%B", AUDIT).decode()
    return [message.removesuffix("\n") for message in log.rstrip("\0").split("\0")]


def rewrite(books: Books, wanted: Sequence[str], signer: Signer = KEY.sign) -> None:
    """Replace the chain by one of these messages, signed anew, as somebody who stole a key would."""
    head: list[str] = []
    for message in wanted:
        head = [signed_commit(books.repository, EMPTY_TREE, head, message, AT, signer)]
    books.ref(AUDIT, head[0])


def forget(books: Books) -> None:
    """Lose the memory of the head, so that the chain alone must show what was done to it."""
    books.database.execute("DELETE FROM audit_head")
    assert not books.database.rows("SELECT * FROM audit_lost")


class TestAppend:
    def test_entries_are_read_newest_first(self, books: Books) -> None:
        books.note("one", "two")
        books.audit.append([Entry("three", "guard", {}), Entry("four", "guard", {"x": [1, None]})])
        found = list(books.audit.newest_first())
        assert [entry["kind"] for entry in found] == ["four", "three", "two", "one"]
        assert [entry["sequence"] for entry in found] == [4, 3, 2, 1]
        assert found[0]["body"] == {"x": [1, None]}
        assert found[0]["commit"] == found[1]["commit"] == books.repository.ref(AUDIT)
        assert found[2]["actor"] == "person:ada"

    def test_an_empty_chain_is_sound(self, books: Books) -> None:
        assert list(books.audit.newest_first()) == []
        assert books.audit.verify(KEY.public).as_json() == {"valid": True, "entries": 0, "head": None, "problems": []}

    @given(st.lists(st.lists(_entries, min_size=1, max_size=3), min_size=1, max_size=4))
    @settings(max_examples=15)
    def test_whatever_is_written_is_read_and_verifies(self, shared: Books, commits: list[list[Entry]]) -> None:
        before = shared.audit.verify(KEY.public).entries
        for entries in commits:
            shared.audit.append(entries)
        flat = [entry for entries in commits for entry in entries]
        found = list(shared.audit.newest_first())[: len(flat)]
        assert [(e["kind"], e["actor"], e["body"]) for e in reversed(found)] == [
            (e.kind, e.actor, e.body) for e in flat
        ]
        verdict = shared.audit.verify(KEY.public)
        assert (verdict.problems, verdict.entries) == ((), before + len(flat))

    def test_refs_move_in_the_same_transaction(self, books: Books) -> None:
        made = books.commit({"f": b"1"})
        books.audit.append([Entry("ref", "guard", {})], [RefMove("refs/stateguard/applied", made, ZERO)])
        assert books.repository.ref("refs/stateguard/applied") == made
        assert books.problems() == ()

    @pytest.mark.parametrize("spoilt", [0, 1])
    def test_a_refused_move_writes_nothing(self, books: Books, spoilt: int) -> None:
        made = books.commit({"f": b"1"})
        books.note("one")
        head = books.repository.ref(AUDIT)
        moves = [RefMove("refs/stateguard/applied", made, ZERO)]
        moves.insert(spoilt, RefMove(MAIN, made, ZERO))
        with pytest.raises(StorageError) as refused:
            books.audit.append([Entry("two", "guard", {})], moves)
        assert refused.value.changed == "nothing was changed"
        assert books.repository.ref(AUDIT) == head
        assert books.repository.ref("refs/stateguard/applied") is None
        assert [e["kind"] for e in books.audit.newest_first()] == ["one"]
        books.note("three")
        assert books.problems() == ()

    @pytest.mark.parametrize(("point", "kinds"), [("audit.append", ["one"]), ("audit.appended", ["two", "one"])])
    def test_cut_anywhere_it_is_there_as_a_whole_or_not_at_all(
        self, books: Books, point: str, kinds: list[str]
    ) -> None:
        books.note("one")
        faults.arm(f"{point}:1:cut")
        with pytest.raises(faults.Cut):
            books.note("two")
        faults.arm(None)
        books.open(books.root / "guard.db")
        assert [e["kind"] for e in books.audit.newest_first()] == kinds
        assert books.problems() == ()
        books.note("next")
        assert books.problems() == ()

    def test_threads_take_turns(self, books: Books) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(books.note, "abcdefgh"))
        assert sorted(e["kind"] for e in books.audit.newest_first()) == list("abcdefgh")
        assert books.problems() == ()


class TestStockTools:
    def test_anyone_can_check_signatures_and_hashes(self, books: Books) -> None:
        books.note("one", "two", "three")
        path = books.repository.path
        (path / "signers").write_text(f"guard {KEY.public.line}\n")
        trusting = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={path / 'signers'}"]
        stock.git(path, *trusting, "verify-commit", *stock.text(path, "rev-list", AUDIT).split())
        previous = ZERO_HASH
        for number, message in enumerate(messages(books), 1):
            line = message.rstrip("\n")
            assert json.loads(line)["previous"] == previous
            assert json.loads(line)["sequence"] == number
            previous = hashlib.sha256(line.encode()).hexdigest()
        assert stock.text(path, "ls-tree", "-r", AUDIT) == ""
        stock.git(path, "fsck", "--strict")


class TestVerify:
    @pytest.fixture(autouse=True)
    def _chain(self, books: Books) -> None:
        books.note("one", "two", "three")
        list(books.audit.newest_first())

    def test_a_sound_chain_has_no_problems(self, books: Books) -> None:
        verdict = books.audit.verify(KEY.public)
        assert (verdict.entries, verdict.problems, verdict.head) == (3, (), books.repository.ref(AUDIT))

    def test_the_rewriting_of_these_tests_itself_is_not_what_is_found(self, books: Books) -> None:
        rewrite(books, messages(books))
        forget(books)
        assert books.problems() == ()

    @pytest.mark.parametrize("age", [0, 1, 2])
    def test_a_flipped_byte_on_the_disk(self, books: Books, age: int) -> None:
        commit = list(books.repository.first_parents(str(books.repository.ref(AUDIT))))[age]
        content = books.repository.raw(commit)[1]
        stock.overwrite(books.repository.path, commit, b"commit", content.replace(b"ada", b"eve"))
        assert books.problems(), "this process had read the commit before; it must look again"

    @pytest.mark.parametrize("age", [0, 1, 2])
    def test_damaged_files_of_any_kind(self, books: Books, age: int) -> None:
        commit = list(books.repository.first_parents(str(books.repository.ref(AUDIT))))[age]
        file = stock.loose(books.repository.path, commit)
        good = file.read_bytes()
        expected = books.repository.raw(commit)
        for position in range(0, len(good), 7):
            file.write_bytes(good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :])
            if not books.problems():
                assert Repository(books.repository.path).raw(commit) == expected, "zlib does not look at every bit"
        file.write_bytes(b"")
        assert books.problems()
        file.unlink()
        assert any("breaks" in problem for problem in books.problems())

    @pytest.mark.parametrize("gone", [0, 1])
    def test_a_removed_entry(self, books: Books, gone: int) -> None:
        kept = messages(books)
        del kept[gone]
        rewrite(books, kept)
        forget(books)
        found = books.problems()
        assert any(f"stands where {gone + 1} belongs" in problem for problem in found)
        assert any("does not follow the one before it" in problem for problem in found)

    def test_reordered_entries(self, books: Books) -> None:
        one, two, three = messages(books)
        rewrite(books, [one, three, two])
        forget(books)
        assert any("entry 3 stands where 2 belongs" in problem for problem in books.problems())

    def test_reordered_entries_of_one_commit(self, books: Books) -> None:
        rewrite(books, ["\n".join(reversed(messages(books)))])
        forget(books)
        assert any("stands where 1 belongs" in problem for problem in books.problems())

    def test_a_replaced_entry(self, books: Books) -> None:
        one, two, three = messages(books)
        rewrite(books, [one, two.replace("ada", "eve"), three])
        forget(books)
        assert [p.partition(": ")[2] for p in books.problems()] == ["entry 3 does not follow the one before it"]

    def test_a_replaced_last_entry_is_no_part_of_what_was_the_head(self, books: Books) -> None:
        one, two, three = messages(books)
        rewrite(books, [one, two, three.replace("ada", "eve")])
        assert any("cut or replaced" in problem for problem in books.problems())

    @pytest.mark.parametrize("cut", [1, 2])
    def test_a_truncated_chain(self, books: Books, cut: int) -> None:
        books.ref(AUDIT, stock.text(books.repository.path, "rev-parse", f"{AUDIT}~{cut}"))
        assert [p for p in books.problems() if "cut or replaced" in p]
        books.note("after the cut", "and on")
        assert [p for p in books.problems() if "cut or replaced" in p], "writing on does not hide it"
        books.open(books.root / "guard.db")
        assert len(books.problems()) == 1

    def test_a_deleted_chain(self, books: Books) -> None:
        stock.git(books.repository.path, "update-ref", "-d", AUDIT)
        assert [p for p in books.problems() if "cut or replaced" in p]
        books.note("anew")
        assert [p for p in books.problems() if "cut or replaced" in p]

    def test_an_unsigned_commit(self, books: Books) -> None:
        head = stock.text(books.repository.path, "rev-parse", AUDIT)
        message = messages(books)[-1]
        books.ref(AUDIT, stock.text(books.repository.path, "commit-tree", "-p", f"{head}~", "-m", message, EMPTY_TREE))
        forget(books)
        assert [p.partition(": ")[2] for p in books.problems()] == ["not signed"]

    def test_another_signer(self, books: Books) -> None:
        rewrite(books, messages(books), OTHER.sign)
        forget(books)
        found = books.problems()
        assert len(found) == 3
        assert all("signed by another key" in problem for problem in found)
        assert books.audit.verify(OTHER.public).problems == ()

    def test_a_signature_taken_from_another_commit(self, books: Books) -> None:
        head = str(books.repository.ref(AUDIT))
        signature = split_signature(books.repository.raw(head)[1])[1]
        unsigned = raw_commit(EMPTY_TREE, [head], messages(books)[-1], AT)
        content = with_signature(unsigned, signature or "")
        books.ref(AUDIT, stock.literally(books.repository.path, "commit", content))
        assert any("does not fit" in problem for problem in books.problems())

    @pytest.mark.parametrize(
        "message", ["", "\n", "junk\n", "[]\n", "1\n", "{}\n", '{"sequence": 4}\n', "[" * 100_000, '{"a":\x0b1}\n']
    )
    def test_a_signed_commit_that_is_no_entry(self, books: Books, message: str) -> None:
        head = str(books.repository.ref(AUDIT))
        made = signed_commit(books.repository, EMPTY_TREE, [head], message, AT, KEY.sign)
        books.ref(AUDIT, made)
        assert any(made in problem for problem in books.problems())
        try:
            assert next(iter(books.audit.newest_first()))["commit"] == made
        except StorageError as error:
            assert error.exit == 12  # noqa: PT017 - some are read, none breaks

    def test_an_entry_that_is_not_written_canonically(self, books: Books) -> None:
        one, two, three = messages(books)
        rewrite(books, [one, two, three.replace('":', '": ')])
        forget(books)
        assert [p.partition(": ")[2] for p in books.problems()] == ["an entry is not in canonical form"]

    @given(st.data())
    @settings(max_examples=15)
    def test_any_change_to_the_messages_is_found(self, shared: Books, data: st.DataObject) -> None:
        if shared.repository.ref(AUDIT) is None:
            shared.note("one", "two", "three")
        head = str(shared.repository.ref(AUDIT))
        before = messages(shared)
        after = list(before)
        for _ in range(data.draw(st.integers(1, 3))):
            position = data.draw(st.integers(0, len(after) - 1))
            other = data.draw(st.integers(0, len(after) - 1))
            kind = data.draw(st.sampled_from(["drop", "swap", "copy", "edit"]))
            if kind == "drop" and len(after) > 1:
                del after[position]
            elif kind == "swap":
                after[position], after[other] = after[other], after[position]
            elif kind == "copy":
                after.insert(position, after[other])
            elif kind == "edit":
                after[position] = after[position].replace('"', "'", 1)
        rewrite(shared, after)
        try:
            assert bool(shared.problems()), "the head that the database remembers is gone"
        finally:
            shared.ref(AUDIT, head)
        assert shared.problems() == ()


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60))
@settings(max_examples=25)
def test_whatever_the_head_says_verifying_only_reports(shared: Books, message: str) -> None:
    if shared.repository.ref(AUDIT) is None:
        shared.note("one")
    head = str(shared.repository.ref(AUDIT))
    shared.ref(AUDIT, signed_commit(shared.repository, EMPTY_TREE, [head], message, AT, KEY.sign))
    try:
        assert shared.problems()
        try:
            list(shared.audit.newest_first())
            shared.audit.append([Entry("x", "guard", {})])
        except StateguardError:
            pass
    finally:
        shared.ref(AUDIT, head)
