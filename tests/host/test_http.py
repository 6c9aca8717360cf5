from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from stateguard.host import http

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """Answer one request with whatever a function writes."""

    def serve() -> None:
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            answer(connection, connection.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/a?b=c"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def says(content: bytes) -> Callable[[socket.socket, bytes], None]:
    return lambda connection, _: connection.sendall(content)


def drips(first: bytes, drop: bytes) -> Callable[[socket.socket, bytes], None]:
    """Say something and then a drop every 50 ms, for ever."""

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(drop)
            time.sleep(0.05)

    return answer


def test_status_and_body_come_back() -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwaitIGNORED")

    with serving(answer) as url:
        assert http.request(url, method="POST", timeout_seconds=5) == http.Answer(503, b"wait")
    assert asked[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")


def test_a_chunked_answer_is_read() -> None:
    with serving(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as url:
        assert http.request(url, timeout_seconds=5).body == b"abcde"


def test_a_redirect_is_not_followed() -> None:
    with serving(says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")) as url:
        assert http.request(url, timeout_seconds=5).status == 302


def test_the_body_is_capped() -> None:
    with serving(says(HEAD + b"\r\n" + b"x" * 1_000_000)) as url:
        assert len(http.request(url, timeout_seconds=5).body) == 64 * 1024


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b"H"),
        (HEAD, b"X: y\r\n"),
        (HEAD + b"X: ", b"y"),
        (HEAD + b"\r\n", b"z"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
    ids=["status", "headers", "one header", "body", "chunk size"],
)
def test_a_server_that_drips_hits_the_deadline(first: bytes, drop: bytes) -> None:
    begun = time.monotonic()
    with serving(drips(first, drop)) as url:
        with pytest.raises((TimeoutError, ValueError)):
            http.request(url, timeout_seconds=0.4)
        assert time.monotonic() - begun < 2.0


def test_silence_hits_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            http.request(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout_seconds=0.2)
        assert time.monotonic() - begun < 2.0


def test_nobody_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        http.request("http://127.0.0.1:1/", timeout_seconds=5)


def test_a_connection_closed_without_a_word() -> None:
    with serving(says(b"")) as url, pytest.raises(ConnectionError):
        http.request(url, timeout_seconds=5)


@pytest.mark.parametrize("content", [b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 abc\r\n\r\n", HEAD + b"X: " + b"y" * 100_000])
def test_what_is_no_http_is_a_value_error(content: bytes) -> None:
    with serving(says(content)) as url, pytest.raises(ValueError, match="no HTTP"):
        http.request(url, timeout_seconds=5)


@pytest.mark.parametrize("url", ["", "x", "ftp://h/", "http://", "http://h:x/", "http://a b/", "http://[/"])
def test_what_is_no_url_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        http.request(url, timeout_seconds=5)
