"""The processes of the gateway benchmark: `python -m bench.gateway_servers NAME [PORT]`.

Each prints the port it listens on as its first line, then serves until it is ended.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import uvicorn
from yarl import URL

from bench.event_loop import fastest_loop
from bench.gateway_load import ANSWER_BODY
from crossfade.gateway.caller_exchange import App
from crossfade.gateway.forwarding import Forwarder, PassThrough
from crossfade.gateway.http_upstream import HttpUpstream
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.server import GatewayServer, bind
from crossfade.seams.tasks import TaskOwner

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n"
    b"Server: responder\r\nContent-Length: %d\r\n\r\n" % len(ANSWER_BODY)
) + ANSWER_BODY
HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"transfer-encoding", b"upgrade"})


class Responder(asyncio.Protocol):
    """Answers each request head at once with the same small document."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            self._buffer = self._buffer[end + 4 :]
            self._transport.write(ANSWER)


async def responder() -> None:
    """The service behind everything that is measured."""
    bound = bind("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(Responder, sock=bound)
    _say_port(bound.getsockname()[1])
    await server.serve_forever()


async def gateway(port: int) -> None:
    """What is measured: our gateway in pass-through."""
    options, tasks = GatewayOptions(), TaskOwner()
    upstream = HttpUpstream(f"http://127.0.0.1:{port}", options, tasks)
    app = PassThrough(Forwarder(upstream, "bench", options))
    async with GatewayServer(app, options) as server:
        _say_port(server.port)
        await asyncio.Event().wait()


async def bare(port: int) -> None:
    """What it is measured against: the shortest ASGI app that forwards with aiohttp."""
    async with aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        connector=aiohttp.TCPConnector(limit=256),
    ) as session:
        bound = bind("127.0.0.1", 0)
        config = uvicorn.Config(
            bare_app(session, f"http://127.0.0.1:{port}"),
            http="httptools",
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
        _say_port(bound.getsockname()[1])
        await uvicorn.Server(config).serve(sockets=[bound])


def bare_app(session: aiohttp.ClientSession, base: str) -> App:
    """Forwards method, target, end-to-end headers and body; streams the answer."""

    async def app(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        path = scope["raw_path"].decode("ascii")
        query = scope["query_string"].decode("ascii")
        address = URL(base + path + ("?" + query if query else ""), encoded=True)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name not in HOP_BY_HOP
        ]
        async with session.request(
            scope["method"], address, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            passed = [line for line in answer.raw_headers if line[0].lower() not in HOP_BY_HOP]
            await send({"type": "http.response.start", "status": answer.status, "headers": passed})
            async for piece in answer.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def _say_port(port: int) -> None:
    print(port, flush=True)


def main() -> None:
    """Run one of the servers in an event loop of the fastest kind there is."""
    name, ports = sys.argv[1], [int(text) for text in sys.argv[2:]]
    servers: dict[str, Callable[..., Any]] = {
        "responder": responder,
        "gateway": gateway,
        "bare": bare,
    }
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(servers[name](*ports))


if __name__ == "__main__":
    main()
