"""An address at which agents are asked to finish what they have begun."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable


class Drain:
    """Notes every request, with what ``look`` returned at that moment; answers unless told not to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool]] = []
        self.answers = True
        self.look: Callable[[], bool] = lambda: True
        self._over = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/drain"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop answering; nothing listens there any more."""
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        drain = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                drain.asked.append((self.command, self.path, drain.look()))
                if not drain.answers:
                    drain._over.wait(20)
                    return
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
