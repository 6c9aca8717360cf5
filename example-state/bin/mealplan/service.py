"""Serve one agent over HTTP: /message, /health and /metrics."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from mealplan.channels import AgentError
from mealplan.process import resident_mb
from mealplan.roles import answer, understands

if TYPE_CHECKING:
    from mealplan.roles import Agent

_LARGEST_MESSAGE = 4 * 1024 * 1024


@dataclass
class Counters:
    """What /metrics reports; guarded by a lock."""

    requests: int = 0
    failures: int = 0
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, quota: int) -> bool:
        """Count a request in, unless the quota is used up."""
        with self.lock:
            if self.requests >= quota:
                self.failures += 1
                return False
            self.requests += 1
            return True

    def finish(self, seconds: float, *, failed: bool) -> None:
        """Record how a request ended."""
        with self.lock:
            self.seconds += seconds
            self.failures += failed


class AgentServer(ThreadingHTTPServer):
    """The HTTP server of one agent."""

    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, port: int, agent: Agent) -> None:
        """Listen on the loopback interface."""
        self.agent = agent
        self.counters = Counters()
        self.gave_up = ""
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def not_ready(self) -> str | None:
        """Return why the agent cannot work, or None when it can."""
        if self.counters.requests >= self.agent.settings.quota:
            return f"request quota of {self.agent.settings.quota} used up"
        return None

    def metrics(self) -> str:
        """Return the counters in Prometheus' text format."""
        label = f'{{agent="{self.agent.name}"}}'
        counters = self.counters
        ready = int(self.not_ready() is None)
        rows = (
            ("agent_requests_total", "counter", counters.requests),
            ("agent_failures_total", "counter", counters.failures),
            ("agent_ready", "gauge", ready),
        )
        lines = [f"# TYPE {name} {kind}\n{name}{label} {value}" for name, kind, value in rows]
        lines.append(
            "# TYPE agent_request_seconds summary\n"
            f"agent_request_seconds_sum{label} {counters.seconds:.6f}\n"
            f"agent_request_seconds_count{label} {counters.requests}"
        )
        return "\n".join(lines) + "\n"

    def serve_message(self, message: dict[str, Any]) -> dict[str, Any]:
        """Answer one message within the quota, and count it."""
        name = self.agent.name
        if not self.counters.admit(self.agent.settings.quota):
            raise AgentError(429, f"{name}: {self.not_ready()}")
        started, failed = time.monotonic(), True
        try:
            result = answer(self.agent, message)
            failed = False
        except OSError as error:
            raise AgentError(500, f"{name}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise AgentError(400, f"{name}: malformed: {error!r}") from error
        finally:
            self.counters.finish(time.monotonic() - started, failed=failed)
        self._watch_memory()
        return result

    def _watch_memory(self) -> None:
        """End this process when it has grown too large, as a container's limit would."""
        limit, used = self.agent.settings.memory_limit_mb, resident_mb()
        if used > limit and not self.gave_up:
            self.gave_up = f"{used:.0f} MB of memory, the limit is {limit:g} MB"
            os.kill(os.getpid(), signal.SIGTERM)


class Handler(BaseHTTPRequestHandler):
    """Handles the three paths."""

    server: AgentServer
    timeout = 3

    def do_GET(self) -> None:
        """Answer /health and /metrics; ``/health?format=2`` asks whether messages of a format are understood."""
        path, _, query = self.path.partition("?")
        if path == "/health":
            asked = query.removeprefix("format=")
            reason = self.server.not_ready()
            if reason is None and not understands(asked):
                reason = f"message format {asked!r} is not understood"
            if reason is None:
                self._send_json(HTTPStatus.OK, {"status": "ready"})
            else:
                body = {"status": "not ready", "reason": reason}
                self._send_json(HTTPStatus.SERVICE_UNAVAILABLE, body)
        elif self.path == "/metrics":
            kind = "text/plain; version=0.0.4; charset=utf-8"
            self._send(HTTPStatus.OK, self.server.metrics(), kind)
        else:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "no such path"})

    def do_POST(self) -> None:
        """Answer /message."""
        if self.path != "/message":
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "no such path"})
            return
        try:
            result = self.server.serve_message(self._read_message())
        except AgentError as error:
            self._send_json(error.status, {"error": str(error)})
        else:
            self._send_json(HTTPStatus.OK, result)

    def _read_message(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_MESSAGE:
            raise AgentError(411, "a Content-Length of at most 4 MiB is needed")
        try:
            message = json.loads(self.rfile.read(int(length)))
        except (ValueError, OSError) as error:
            raise AgentError(400, f"not JSON: {error}") from error
        if not isinstance(message, dict):
            raise AgentError(400, "a JSON object is needed")
        return message

    def _send_json(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body) + "\n", "application/json")

    def _send(self, status: int, body: str, kind: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the log free of single requests."""
