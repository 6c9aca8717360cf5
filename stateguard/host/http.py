"""A bounded HTTP client for probes: one request, one deadline for all of it, a capped body, no redirects."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from stateguard.host.reach import ORDINARY, Reach

_CAP_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and the first 64 KiB of the body."""

    status: int
    body: bytes


def request(url: str, *, method: str = "GET", timeout_seconds: float, reach: Reach = ORDINARY) -> Answer:
    """Make one request of a host within reach.

    Raises:
        OutOfReachError: the host has an address that may not be asked; a ValueError.
        OSError: no connection, or no answer within the timeout.
        ValueError: the URL is none, or the answer is no HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = f"{url!r} is no http or https URL"
        raise ValueError(message)
    give_up_at = time.monotonic() + timeout_seconds
    try:
        with contextlib.closing(_connected(parts, parts.hostname, give_up_at, reach)) as connection:
            connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            source = cast("socket.socket", _Bounded(connection.sock, give_up_at))
            with http.client.HTTPResponse(source, method=method) as response:
                response.begin()
                return Answer(response.status, _body(response))
    except http.client.HTTPException as error:
        if isinstance(error, ConnectionError):  # closed without a word
            raise
        message = f"{url} answered something that is no HTTP: {type(error).__name__} {error}".strip()
        if isinstance(error, http.client.InvalidURL):
            message = f"{url!r} is no URL: {error}"
        raise ValueError(message) from error


def _connected(parts: SplitResult, host: str, give_up_at: float, reach: Reach) -> http.client.HTTPConnection:
    """Return a connection to an address that was judged; for the server, and its certificate, it is the host's name."""
    secure = parts.scheme == "https"
    context = ssl.create_default_context() if secure else None
    connection = (
        http.client.HTTPSConnection(host, parts.port, context=context)
        if secure
        else http.client.HTTPConnection(host, parts.port)
    )
    plain = reach.connect(host, connection.port, give_up_at)
    try:
        plain.settimeout(max(0.001, give_up_at - time.monotonic()))
        connection.sock = context.wrap_socket(plain, server_hostname=host) if context else plain
    except BaseException:
        plain.close()
        raise
    return connection


def _body(response: http.client.HTTPResponse) -> bytes:
    body = bytearray()
    while len(body) < _CAP_BYTES and (chunk := response.read1(_CAP_BYTES - len(body))):
        body += chunk
    return bytes(body)


class _Bounded(io.RawIOBase):
    """The little that HTTPResponse asks of a socket; no read waits longer than what is left of one deadline."""

    def __init__(self, connected: socket.socket, give_up_at: float) -> None:
        self._connected, self._give_up_at = connected, give_up_at

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as RawIOBase declares it
        left = self._give_up_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._connected.settimeout(left)
        return self._connected.recv_into(buffer)
