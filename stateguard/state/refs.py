"""Move refs in this process: transactions of libgit2's, under the same lock files that git takes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import pygit2

from stateguard.model.identity import ZERO

Move = tuple[str, str, str]
"""Name of a ref, the object id it goes to, and the one it is at; 40 zeros mean that there is none."""


WRITER = ("stateguard", "guard@localhost")
"""Who moved a ref, as the reflogs have it: name and address."""


class _RefusedError(Exception):
    """A ref is somewhere else, or shall name nothing: the locks are given back, and nothing was written."""


def moved_here(handle: pygit2.Repository, moves: Sequence[Move]) -> bool:
    """Move all of these refs; False if a lock is held, or one of them is not where it was thought to be.

    All of them are locked before the first is moved, and they are moved in this order, each flushed before the next.
    What was refused is for git itself, which waits for locks and says what is wrong: it costs a process, the others
    are spared one.
    """
    handle.set_ident(*WRITER)
    try:
        with ExitStack() as stack:
            # One transaction a ref: a single one would move them in the order of its hash table. The stack ends with
            # the first: each is carried out as it is left, and none after one that failed.
            transactions = [handle.transaction() for _ in moves]
            for transaction in reversed(transactions):
                stack.enter_context(transaction)
            for transaction, (name, _, _) in zip(transactions, moves, strict=True):
                transaction.lock_ref(name)
            for move in moves:
                _check(handle, *move)
            for transaction, (name, new, _) in zip(transactions, moves, strict=True):
                if new == ZERO:
                    transaction.remove(name)
                else:
                    transaction.set_target(name, new)
    except (pygit2.GitError, KeyError, ValueError, OSError, _RefusedError):
        return False
    return True


def _check(handle: pygit2.Repository, name: str, new: str, old: str) -> None:
    found = handle.references.get(name)
    now = ZERO if found is None else str(found.target)
    there = now != ZERO if new == ZERO else handle.odb.exists(new)
    if now != old or not there:
        raise _RefusedError
