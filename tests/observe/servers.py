"""Real servers on free ports."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator


class Web:
    """A web server whose answer can be changed: a status and a body, or a function that writes to the socket."""

    def __init__(self) -> None:
        """Answer 200."""
        self.status = 200
        self.body = b"ok"
        self.asked = 0
        self.url = ""
        self.hold: threading.Event | None = None
        self.raw: Callable[[socket.socket], None] | None = None

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.asked += 1
        status, body = self.status, self.body
        if self.raw:
            self.raw(handler.connection)
            handler.close_connection = True
            return
        if self.hold:
            self.hold.wait(10)
        with contextlib.suppress(OSError):
            handler.send_response(status)
            handler.end_headers()
            handler.wfile.write(body)


@contextlib.contextmanager
def web() -> Iterator[Web]:
    """Run a web server."""
    state = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/health"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        if state.hold:
            state.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """Listen on a port and yield it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
