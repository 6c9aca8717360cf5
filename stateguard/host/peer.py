"""Who is at the other end of a unix socket, judged so that nobody can slip away while it is judged."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Callable

from stateguard.host.process import identify

_SO_PEERPIDFD = 77
"""Since Linux 6.5, asm-generic/socket.h; Python has no name for it."""


def admits(connection: socket.socket, refused: Callable[[int], bool]) -> bool:
    """Say whether a peer may speak.

    ``refused`` is given the id of the process that connected and may read /proc as long as it likes: only what is
    still the same process afterwards was what it read about. One that has ended is never admitted, since somebody
    else holds its connection, and nobody can say who.
    """
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid = struct.unpack("3i", credentials)[0]
    began = identify(pid)
    if began is None:
        return False
    held = _held(connection)
    if held is None:
        return not refused(pid) and identify(pid) == began
    try:
        return not refused(pid) and identify(pid) == began and not _ended(held)
    finally:
        if held >= 0:
            os.close(held)


def _held(connection: socket.socket) -> int | None:
    """Return a descriptor of the process that connected, whatever its number means today; -1 if it ended.

    None on a kernel that has no such thing: there, the number and the moment at which its process began must do.
    """
    try:
        descriptor: int = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        return None if error.errno == errno.ENOPROTOOPT else -1
    return descriptor


def _ended(held: int) -> bool:
    if held < 0:
        return True
    poll = select.poll()
    poll.register(held, select.POLLIN)
    return bool(poll.poll(0))
