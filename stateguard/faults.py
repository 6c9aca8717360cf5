"""Named fault points, off unless STATEGUARD_FAULT is set.

``STATEGUARD_FAULT=name:n:action`` makes the n-th passage through the point act: ``kill`` (SIGKILL to this
process), ``eio``, ``enospc``, ``pause`` (SIGSTOP) or ``cut`` (raise :class:`Cut`, for tests inside one process).
"""

from __future__ import annotations

import errno
import os
import signal

_ACTIONS = ("kill", "eio", "enospc", "pause", "cut")


class Cut(BaseException):
    """The process ends here, as far as the code under test can tell."""


class _Armed:
    def __init__(self, spec: str) -> None:
        name, _, rest = spec.partition(":")
        count, _, action = rest.partition(":")
        if not name or not count.isdigit() or action not in _ACTIONS:
            msg = f"STATEGUARD_FAULT must read name:n:{'|'.join(_ACTIONS)}, not {spec!r}"
            raise ValueError(msg)
        self.name, self.left, self.action = name, int(count), action


_armed: _Armed | None = _Armed(os.environ["STATEGUARD_FAULT"]) if os.environ.get("STATEGUARD_FAULT") else None
_passed: list[str] | None = None


def arm(spec: str | None) -> None:
    """Arm one fault (``name:n:action``) or none.

    Raises:
        ValueError: the text is not of that form.
    """
    global _armed  # noqa: PLW0603 - one process, one fault: that is what a fault point is
    _armed = _Armed(spec) if spec else None


def record(into: list[str] | None) -> None:
    """Write the name of every point passed into a list, so that a test can visit each of them."""
    global _passed  # noqa: PLW0603 - as above
    _passed = into


def point(name: str) -> None:
    """Pass a named point; does nothing unless that point is armed.

    Raises:
        OSError: the armed action is ``eio`` or ``enospc``.
        Cut: the armed action is ``cut``.
    """
    if _passed is not None:
        _passed.append(name)
    if _armed is None or _armed.name not in (name, "*"):
        return
    _armed.left -= 1
    if _armed.left == 0:
        _act(_armed.action, name)


def _act(action: str, name: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "pause":
        os.kill(os.getpid(), signal.SIGSTOP)
    if action == "cut":
        raise Cut(name)
    if action in ("eio", "enospc"):
        number = errno.EIO if action == "eio" else errno.ENOSPC
        raise OSError(number, f"{os.strerror(number)} (fault {name})")
