"""The same work on several things at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stateguard.errors import AgentsError
from stateguard.host.logs import failure

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

NO_THREAD = "can't start new thread"
"""What Python says when the host lets it start no thread more."""


def each(work: Callable[[_Item], _Result], items: Sequence[_Item], most: int, name: str) -> list[_Result]:
    """Do the same with every item, so many at once; one after the other where the host allows no more threads.

    ``work`` must be safe to be done twice. The results are in the order of the items.
    """
    if len(items) == 1:
        return [work(items[0])]
    if not items:
        return []
    try:
        with ThreadPoolExecutor(min(len(items), most), thread_name_prefix=name) as pool:
            return list(pool.map(work, items))
    except RuntimeError as error:
        if str(error) != NO_THREAD:
            raise
        failure("no thread could be started; one after the other", work=name)
        return [work(item) for item in items]


def begin(thread: threading.Thread) -> None:
    """Start a thread that the guard cannot do without.

    Raises:
        AgentsError: the host allows no thread more.
    """
    try:
        thread.start()
    except RuntimeError as error:
        if str(error) != NO_THREAD:
            raise
        message = f"the host lets this process start no thread more ({thread.name})"
        hint = "raise its limit (ulimit -u, TasksMax of its unit), or end what uses it up; then try again"
        raise AgentsError(message, next_step=hint) from error
