"""The control API on its own loopback port, inside the node's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import cast

import uvicorn
from uvicorn._types import ASGIApplication

from crossfade.control.api.app import control_app
from crossfade.control.api.guard import App, Guard
from crossfade.control.service import Service
from crossfade.gateway.server import bind
from crossfade.seams.tasks import Tasks

STOP_SECONDS_MAX = 5
"""Seconds that commands under way get when the node stops."""


class _Uvicorn(uvicorn.Server):
    """Uvicorn that leaves signals to the process and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()


class ControlServer:
    """Serves one node's use cases; `start` and `stop` it."""

    def __init__(self, service: Service, token: str, tasks: Tasks, host: str, port: int) -> None:
        self.host = host
        self.port = port
        """The port that was asked for; after `start` the one that is used."""
        self._app = Guard(cast("App", control_app(service)), token, lambda: self.port)
        self._tasks = tasks
        self._server: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises PortInUseError or ConfigurationError."""
        bound = bind(self.host, self.port)
        self.port = bound.getsockname()[1]
        config = uvicorn.Config(
            cast("ASGIApplication", self._app),
            interface="asgi3", loop="none", ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS_MAX,
        )  # fmt: skip
        server = self._server = _Uvicorn(config)
        self._serving = self._tasks.spawn(server.serve(sockets=[bound]), name="control API")
        await server.ready.wait()
        if self._serving.done():
            self._serving.result()

    async def stop(self) -> None:
        """Stop listening, let commands under way finish (bounded). May be repeated."""
        server, serving = self._server, self._serving
        if server is None or serving is None:
            return
        self._server = self._serving = None
        server.should_exit = True
        await asyncio.wait([serving], timeout=STOP_SECONDS_MAX + 1)
