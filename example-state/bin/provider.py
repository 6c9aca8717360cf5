"""A shop outside of the system that tells prices: a stand-in for any provider's API.

It is no agent: nobody guards it, nobody starts it again. ``python3 bin/provider.py`` serves the endpoint that
``protocols/prices.yaml`` names, until it is interrupted.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from mealplan.flat import read_flat

_PRICE_OF_A_GRAM = 0.005


class Handler(BaseHTTPRequestHandler):
    """Answers /status, and /price with what a shopping list costs."""

    def do_GET(self) -> None:
        """Say that the shop is open."""
        self._send({"status": "open"})

    def do_POST(self) -> None:
        """Price the items of a list, in grams."""
        items = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["items"]
        self._send({"price": round(sum(items.values()) * _PRICE_OF_A_GRAM, 2)})

    def _send(self, answer: dict[str, object]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


def main() -> int:
    """Serve until interrupted."""
    address = urlsplit(read_flat(Path("protocols/prices.yaml"))["endpoint"])
    server = HTTPServer((address.hostname or "", address.port or 0), Handler)
    print(f"open on {address.netloc}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
