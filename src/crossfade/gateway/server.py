"""The gateway's HTTP server: an ASGI app on a socket, inside the running event loop."""

import asyncio
import errno
import socket
from types import TracebackType
from typing import Self, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from crossfade.errors import ConfigurationError, PortInUseError
from crossfade.gateway.caller_exchange import App, reset
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.server_protocol import GatewayProtocol

BACKLOG = 2048
"""Connections that the kernel holds until they are accepted."""
_LOOK_AGAIN_SECONDS = 0.01


class GatewayServer:
    """Serves `app` on `host:port`; port 0 takes any free one.

    Uvicorn's protocol without its server class, which takes over the process's signals. Use as an
    async context manager, or call `start` and `stop`.
    """

    def __init__(
        self, app: App, options: GatewayOptions, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.host = host
        self.port = port
        """The port that was asked for; after `start` the one that is used."""
        self._app = app
        self._options = options
        self._state = ServerState()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens, for people and clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def requests_in_flight(self) -> int:
        """Requests that are being answered."""
        return len(self._state.tasks)

    @property
    def connections(self) -> int:
        """Connections of callers, busy or idle."""
        return len(self._state.connections)

    async def start(self) -> None:
        """Listen. Raises PortInUseError, or ConfigurationError for an address that is not ours."""
        bound = bind(self.host, self.port)
        self.port = bound.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=HttpToolsProtocol,
            interface="asgi3",
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        config.load()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: GatewayProtocol(config, self._state, {}, loop, options=self._options),
            sock=bound,
            backlog=BACKLOG,
        )

    async def stop(self) -> None:
        """Stop listening, let requests in flight finish (bounded), close. May be repeated."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        for connection in self._open():
            connection.shutdown()
        await self._wait_until_idle(self._options.stop_seconds_max)
        for task in list(self._state.tasks):
            task.cancel("the gateway stops")
        for connection in self._open():
            reset(connection.transport)
        await self._wait_until_idle(1.0)

    def _open(self) -> list[GatewayProtocol]:
        return [cast("GatewayProtocol", each) for each in self._state.connections]

    async def _wait_until_idle(self, seconds_max: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds_max
        # Uvicorn's sets tell nobody when they are empty.
        while (self._state.connections or self._state.tasks) and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def __aenter__(self) -> Self:
        """See `start`."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """See `stop`."""
        await self.stop()


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket. Raises PortInUseError or ConfigurationError, each one line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(host, port) from error
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}. Choose another address or port."
        ) from error
    bound.setblocking(False)  # noqa: FBT003 - the socket module's own call
    return bound
