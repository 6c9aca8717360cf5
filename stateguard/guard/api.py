"""The control API: ``POST /v1/COMMAND`` with a JSON document; answers JSON lines, the last one the result.

``GET /metrics`` answers as Prometheus scrapes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from stateguard.errors import NotFoundError, StateguardError, StorageError, UsageProblemError
from stateguard.guard.client import socket_address
from stateguard.guard.commands.desk import Desk
from stateguard.guard.commands.table import COMMANDS
from stateguard.guard.worker import Job, Voice, Work, Worker
from stateguard.host import threads
from stateguard.host.peer import admits

_READY_SECONDS = 10.0
_HEARTBEAT_SECONDS = 1.0


def application(desk: Callable[[], Desk], worker: Worker) -> Starlette:
    """Return the application; commands that write wait for the worker, others are answered at once."""

    async def command(request: Request) -> Response:
        name = request.path_params["name"]
        found = COMMANDS.get(name)
        if found is None:
            return _refusal(NotFoundError(f"the guard knows no command {name!r}"))
        try:
            parameters = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError) as error:
            return _refusal(UsageProblemError(f"the request is no JSON: {error}"))
        if not isinstance(parameters, dict):
            return _refusal(UsageProblemError("the request is no JSON object"))

        def work(say: Voice) -> dict[str, Any]:
            return found.answer(replace(desk(), progress=say.progress), parameters, say)

        return StreamingResponse(
            _lines(worker.submit(work) if found.writes else _done(work)), media_type="application/json"
        )

    def metrics(_request: Request) -> Response:
        try:
            return Response(desk().metrics(), media_type=CONTENT_TYPE_LATEST)
        except StateguardError as error:
            return PlainTextResponse(error.message, status_code=503)

    return Starlette(
        routes=[
            Route("/v1/{name}", command, methods=["POST"]),
            Route("/metrics", metrics, methods=["GET"]),  # no coroutine: it runs in a thread, aside of the answers
        ]
    )


def _done(work: Work) -> Job:
    job = Job(work)
    threading.Thread(target=job.run, name="answer", daemon=True).start()
    return job


async def _lines(job: Job) -> AsyncIterator[bytes]:
    """Yield what is said; an empty document now and then shows that somebody is still there."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()

    def heard() -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended: nobody listens, and the work goes on
            loop.call_soon_threadsafe(arrived.set)

    job.listen(heard)
    ended = False
    while not ended:
        said = job.take()
        if said:
            yield b"".join(json.dumps(document).encode() + b"\n" for document in said)
            ended = any(word in document for word in ("result", "error") for document in said)
            continue
        try:
            await asyncio.wait_for(arrived.wait(), _HEARTBEAT_SECONDS)
        except TimeoutError:
            yield b"{}\n"
        arrived.clear()


def _refusal(error: StateguardError) -> JSONResponse:
    return JSONResponse(error.as_json())


def gate(refused: Callable[[int], bool]) -> type[H11Protocol]:
    """Return the protocol that hangs up on processes for which ``refused`` (given a process id) is true."""

    class Gate(H11Protocol):
        """Looks at who connects before it reads a byte."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if not admits(transport.get_extra_info("socket"), refused):
                transport.abort()

    return Gate


class _Waiting(uvicorn.Server):
    """Sleeps until it is told to end; uvicorn's own looks ten times a second whether it was."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()
        self._serving: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._serving = asyncio.get_running_loop()
        if not await self.on_tick(0):
            await self._told.wait()

    def end(self) -> None:
        """Let it end; from any thread."""
        self.should_exit = True
        if self._serving is not None and not self._serving.is_closed():
            self._serving.call_soon_threadsafe(self._told.set)


class Server:
    """Serves the application on a unix socket that only the guard's own user may open."""

    def __init__(self, path: Path, app: Starlette, refused: Callable[[int], bool]) -> None:
        """Serve on a path that only its owner may open; ``refused`` says of a process id that it may not even so."""
        self._path = path
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", access_log=False, http=gate(refused), ws="none",
            date_header=False, timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = _Waiting(config)
        self._thread = threading.Thread(target=self._serve, name="control api", daemon=True)
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Bind and serve.

        Raises:
            StorageError: the socket cannot be bound.
        """
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listening.bind(socket_address(self._path))
        except OSError as error:
            listening.close()
            raise StorageError(f"{self._path} cannot be bound: {error.strerror}") from error
        finally:
            os.umask(before)
        listening.listen(128)
        self._socket = listening
        threads.begin(self._thread)

    def stop(self) -> None:
        """Stop serving and remove the socket."""
        self._path.unlink(missing_ok=True)
        self._server.end()
        self._thread.join(_READY_SECONDS)
        if self._socket is not None:
            self._socket.close()

    def _serve(self) -> None:
        if self._socket is not None:
            self._server.run(sockets=[self._socket])
