"""Ask a running guard over its unix socket: HTTP/1.0, JSON lines back. Imports nothing heavy."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stateguard.errors import GuardDownError, NetworkError, StateguardError

_ANSWER_SECONDS = 3600.0
_CONNECT_SECONDS = 5.0


def ask(path: Path, command: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run one command in the guard and return its document.

    Raises:
        GuardDownError: no guard listens.
        NetworkError: the guard went away before it answered.
        StateguardError: what the guard raised.
    """
    answer: dict[str, Any] | None = None
    for document in stream(path, command, parameters):
        if "result" in document:
            answer = document["result"]
    if answer is None:
        message = f"the guard ended before it answered {command!r}"
        raise NetworkError(message, changed="unknown", next_step="see: stateguard status, stateguard history")
    return answer


def stream(
    path: Path, command: str, parameters: dict[str, Any], silence_seconds: float = _ANSWER_SECONDS
) -> Iterator[dict[str, Any]]:
    """Run one command in the guard and yield what it says on the way, then ``{"result": …}``.

    Raises:
        GuardDownError: no guard listens.
        NetworkError: it said nothing for so many seconds, or something that is no answer.
        StateguardError: what the guard raised.
    """
    body = json.dumps(parameters).encode()
    head = f"POST /v1/{command} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with _connect(path) as connection:
        connection.settimeout(silence_seconds)
        try:
            yield from _conversation(connection, head.encode() + body)
        except TimeoutError as error:
            message = f"the guard was silent for {silence_seconds:.0f} s"
            raise NetworkError(message, changed="unknown", next_step="see: stateguard doctor") from error
        except (ConnectionResetError, BrokenPipeError) as error:
            message = "the guard hung up: it ends, or takes this process for one of an agent's"
            hint = "agents may not command it, nor programs under no-new-privileges; else try again"
            raise NetworkError(message, changed="unknown", next_step=hint) from error


def _conversation(connection: socket.socket, request: bytes) -> Iterator[dict[str, Any]]:
    connection.sendall(request)
    with connection.makefile("rb") as answer:
        status = answer.readline().split()
        while answer.readline().strip():
            continue
        if len(status) < 2 or status[1] != b"200":  # noqa: PLR2004 - protocol, status
            message = f"the guard answered {b' '.join(status).decode(errors='replace') or 'nothing'}"
            raise NetworkError(message, changed="unknown", next_step="see: stateguard status")
        for line in answer:
            document = json.loads(line)
            if "error" in document:
                raise StateguardError.from_json(document)
            if document:
                yield document


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_CONNECT_SECONDS)
    try:
        connection.connect(socket_address(path))
    except OSError as error:
        connection.close()
        message = f"no guard listens on {path}"
        raise GuardDownError(message, next_step="start it: stateguard run") from error
    return connection


def socket_address(path: Path) -> str:
    """Return the address to bind or connect to for a socket file; long paths go through a directory descriptor.

    The descriptor stays open for the life of the process: there is one socket.
    """
    text = str(path)
    if len(text.encode()) < 100:  # noqa: PLR2004 - sun_path has 108 bytes
        return text
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{descriptor}/{path.name}"
