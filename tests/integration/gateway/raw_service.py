"""A service made of raw sockets, and a caller of the same kind: every byte is seen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from crossfade.gateway.forwarding import Forwarder, PassThrough
from crossfade.gateway.http_upstream import HttpUpstream
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.server import GatewayServer
from crossfade.seams.tasks import TaskOwner

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
IDENTITY = "shop-1"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawService:
    """Records the bytes of each request and answers with given bytes."""

    def __init__(self, answer: bytes = OK, script: Script | None = None) -> None:
        self.answer = answer
        self.script = script
        """Takes over a whole connection."""
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            if self.script is not None:
                await self.script(reader, writer)
            else:
                await self._answer_all(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer_all(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            self.requests.append(await read_request(reader))
            writer.write(self.answer)
            await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The bytes of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return head + await reader.readuntil(b"0\r\n\r\n")
    if b"content-length:" in lower:
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return head + await reader.readexactly(length)
    return head


@contextlib.asynccontextmanager
async def service(answer: bytes = OK, script: Script | None = None) -> AsyncIterator[RawService]:
    """A running service."""
    made = RawService(answer, script)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@contextlib.asynccontextmanager
async def gateway(port: int, **limits: float) -> AsyncIterator[GatewayServer]:
    """A running gateway in front of the service on `port`."""
    options = replace(GatewayOptions(stop_linger_seconds=0.0), **limits)  # type: ignore[arg-type] # limits are numbers
    tasks = TaskOwner()
    upstream = HttpUpstream(f"http://127.0.0.1:{port}", options, tasks)
    server = GatewayServer(PassThrough(Forwarder(upstream, IDENTITY, options)), options)
    async with server:
        yield server
    await upstream.aclose()


async def ask(port: int, request: bytes) -> bytes:
    """Send bytes, return everything until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(8):
            return await reader.read()
    finally:
        writer.close()


async def ask_once(port: int, request: bytes) -> bytes:
    """Like `ask`, for a request that does not end its connection: adds `Connection: close`."""
    head, _, body = request.partition(b"\r\n\r\n")
    return await ask(port, head + b"\r\nConnection: close\r\n\r\n" + body)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what brings it about is the code under test
            await asyncio.sleep(0.005)
