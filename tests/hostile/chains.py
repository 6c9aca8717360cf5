"""Audit chains in which an entry was flipped, removed, reordered, replaced, doubled or cut off: all must show."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from pygit2.enums import ObjectType

from hostile.kinds import Attempt, Kind
from hostile.mutation import changed
from record.setting import AT, KEY, OTHER, Books
from stateguard.model.identity import AUDIT, EMPTY_TREE
from stateguard.record.audit import Entry
from stateguard.state.commits import raw_commit, split_signature, with_signature
from stateguard.state.forward import signed_commit
from stateguard.state.repository import Repository

_LONG = 8


def _attempts(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    for name in ("repo.git", "captured.git"):
        Repository.create(place / name, served=False)
    books = Books(place)
    for number in range(_LONG):
        books.audit.append(
            [Entry("ref", "person:ada", {"n": number}), Entry("decision", "guard", {"text": "é" * number})]
        )
    head = books.repository.ref(AUDIT)
    assert head is not None
    chain = [books.repository.raw(one)[1] for one in reversed(list(books.repository.first_parents(head)))]
    assert books.audit.verify(KEY.public).problems == ()
    for number in range(trials):
        what, wanted = _spoiled(chance, books.repository, chain, number)
        yield what, lambda wanted=wanted: _shows(books, wanted, chain)  # type: ignore[misc]


def _shows(books: Books, head: str, chain: Sequence[bytes]) -> bool:
    """Put the ref there, and say whether the chain is found to be wrong, without what the database remembers.

    One that says the same, with a signature that is laid out in other lines, is not wrong.
    """
    books.ref(AUDIT, head)
    books.database.execute("DELETE FROM audit_head")
    if books.audit.verify(KEY.public).problems:
        return True
    now = [books.repository.raw(one)[1] for one in reversed(list(books.repository.first_parents(head)))]
    return [split_signature(one)[0] for one in now] == [split_signature(one)[0] for one in chain]


def _spoiled(chance: random.Random, repository: Repository, chain: Sequence[bytes], number: int) -> tuple[str, str]:
    """Return what was done, and the head of the chain that it was done to."""
    messages = [content.partition(b"\n\n")[2].decode() for content in chain]
    at = chance.randrange(len(chain) - 1)
    match number % 6:
        case 0:
            spoiled = changed(chance, chain[-1])
            return f"head {spoiled!r}", _written(repository, spoiled)
        case 1:
            del messages[at]
            return f"without commit {at}", _resigned(repository, messages)
        case 2:
            messages[at], messages[at + 1] = messages[at + 1], messages[at]
            return f"commits {at} and {at + 1} change places", _resigned(repository, messages)
        case 3:
            entry = json.loads(messages[at].splitlines()[0])
            entry["body"] = {"n": chance.randrange(10**6)}
            lines = [json.dumps(entry, sort_keys=True, separators=(",", ":")), *messages[at].splitlines()[1:]]
            messages[at] = "\n".join([*lines, ""])
            return f"another entry in commit {at}", _resigned(repository, messages)
        case 4:
            return f"commit {at} twice", _resigned(repository, [*messages[: at + 1], *messages[at:]])
        case _:
            return "signed by somebody else", _resigned(repository, messages, foreign=chance.randrange(len(messages)))


def _written(repository: Repository, content: bytes) -> str:
    return repository.write(ObjectType.COMMIT, content)


def _resigned(repository: Repository, messages: Sequence[str], foreign: int = -1) -> str:
    """Write the chain anew with a stolen key; ``foreign`` is the commit that another key signs."""
    head: list[str] = []
    for number, message in enumerate(messages):
        if number == foreign:
            unsigned = raw_commit(EMPTY_TREE, head, message, AT)
            head = [_written(repository, with_signature(unsigned, OTHER.sign(unsigned)))]
        else:
            head = [signed_commit(repository, EMPTY_TREE, head, message, AT, KEY.sign)]
    return head[0]


KINDS = (Kind("audit chains", "found, from the chain alone", 10_000, 60, _attempts),)
