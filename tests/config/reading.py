"""Reading that may be refused, for tests of every parser."""

from collections.abc import Callable

from stateguard.config.problem import InvalidDocument, Problem


def refused(read: Callable[[], object]) -> tuple[Problem, ...] | None:
    """Return the problems for which something was refused, None if it was read; any other error is a failure."""
    try:
        read()
    except InvalidDocument as error:
        return error.problems
    return None
