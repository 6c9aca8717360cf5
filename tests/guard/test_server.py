"""The server of the control socket, alone."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from helpers import eventually
from stateguard.guard.api import Server

DEADLINE_SECONDS = 60.0


def well(_request: Request) -> Response:
    return PlainTextResponse("well")


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "control api"]


def said(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_it_answers_until_it_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = Server(path, Starlette(routes=[Route("/", well)]), refused=lambda _pid: False)
    server.start()
    for _ in range(3):
        assert said(path).endswith(b"well")
    server.stop()
    assert threads() == []
    assert not path.exists()


def test_one_that_is_stopped_at_once_ends_too(tmp_path: Path) -> None:
    for number in range(5):
        server = Server(tmp_path / str(number), Starlette(), refused=lambda _pid: False)
        server.start()
        server.stop()
    eventually(lambda: threads() == [], DEADLINE_SECONDS)


def test_who_is_refused_hears_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = Server(path, Starlette(routes=[Route("/", well)]), refused=lambda _pid: True)
    server.start()
    try:
        heard = said(path)
    except ConnectionError:
        heard = b""
    finally:
        server.stop()
    assert heard == b""
