"""Bodies of any length pass both ways at the pace of the slower end, in bounded memory."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from crossfade.gateway.options import GatewayOptions
from tests.integration.gateway.raw_service import (
    OK,
    ask,
    gateway,
    read_request,
    service,
)

MEGABYTE = 1024 * 1024
PIECE = os.urandom(64 * 1024)
GET = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"


def resident_bytes() -> int:
    """Memory of this process: the gateway runs in it."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


async def test_a_large_answer_streams_in_flat_memory() -> None:
    """50 MB pass unchanged while the process grows by no more than a few of them."""
    pieces = 50 * MEGABYTE // len(PIECE)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (pieces * len(PIECE)))
        for _ in range(pieces):
            writer.write(PIECE)
            await writer.drain()

    async with service(script=script) as behind, gateway(behind.port) as server:
        before = resident_bytes()
        digest, size, growth = hashlib.sha256(), 0, 0
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        while piece := await reader.read(MEGABYTE):
            digest.update(piece)
            size += len(piece)
            growth = max(growth, resident_bytes() - before)
        writer.close()

    assert size == pieces * len(PIECE)
    assert digest.digest() == hashlib.sha256(PIECE * pieces).digest()
    assert growth < 12 * MEGABYTE


async def test_a_caller_that_does_not_read_holds_the_service_back() -> None:
    """The service can send only what the buffers on the way hold, not the whole answer."""
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MEGABYTE))
        while True:
            writer.write(PIECE)
            await writer.drain()
            sent += len(PIECE)

    async with service(script=script) as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        await _settled(lambda: sent)
        writer.transport.abort()

    assert sent < 40 * MEGABYTE


async def test_a_service_that_does_not_read_holds_the_caller_back() -> None:
    """The caller can send only what the buffers on the way hold, then the call is given up."""
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(60)

    async def upload(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % 10**9)
        while True:
            writer.write(PIECE)
            await writer.drain()
            sent += len(PIECE)

    async with (
        service(script=script) as behind,
        gateway(behind.port, answer_idle_seconds_max=0.5) as server,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        task = asyncio.create_task(upload(writer))
        head = await reader.readuntil(b"\r\n\r\n")
        task.cancel()
        writer.transport.abort()

    assert head.startswith(b"HTTP/1.1 504 ")
    assert sent < 40 * MEGABYTE


async def test_a_chunked_upload_arrives_as_it_comes() -> None:
    """Each piece reaches the service before the caller has sent the next one."""
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while line := await reader.readuntil(b"\r\n"):
            size = int(line, 16)
            arrived.put_nowait(await reader.readexactly(size))
            await reader.readexactly(2)
            if size == 0:
                break
        writer.write(OK)

    async with service(script=script) as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n")
        got = []
        for piece in (b"one", b"two", b""):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            got.append(await asyncio.wait_for(arrived.get(), 5))
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert got == [b"one", b"two", b""]
    assert head.startswith(b"HTTP/1.1 200 OK")


async def test_an_answer_streams_while_the_request_does() -> None:
    """A service may answer piece by piece while it still reads."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            writer.write(b"3\r\n%b\r\n" % (await reader.readexactly(3)))
        writer.write(b"0\r\n\r\n")

    async with service(script=script) as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        echoed = []
        for piece in (b"abc", b"def", b"ghi"):
            writer.write(piece)
            echoed.append((await asyncio.wait_for(reader.readexactly(8), 5))[3:6])
        writer.close()

    assert echoed == [b"abc", b"def", b"ghi"]


async def test_an_early_answer_ends_the_upload() -> None:
    """The service refuses a large upload at once; the caller sees the refusal."""
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await reader.read()

    async with service(script=script) as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\nabc" % 10**6)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()

    assert head.startswith(b"HTTP/1.1 403 Forbidden")


async def test_an_answer_that_ends_with_its_connection_passes() -> None:
    """A service without length and chunks is understood; the caller gets chunks."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")

    async with service(script=script) as behind, gateway(behind.port) as server:
        got = await ask(server.port, GET)

    assert got.endswith(b"\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n")


async def test_a_slow_answer_passes_piece_by_piece() -> None:
    """The head and each piece reach the caller before the service sends the next (SSE)."""
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for piece in (b"abc", b"def"):
            await go_on.wait()
            go_on.clear()
            writer.write(piece)

    async with service(script=script) as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        got = []
        for _ in range(2):
            go_on.set()
            got.append(await asyncio.wait_for(reader.readexactly(3), 5))
        writer.close()

    assert got == [b"abc", b"def"]


async def test_a_body_that_nobody_reads_is_bounded() -> None:
    """After an early refusal so much of the body is read and dropped, then it is enough."""
    options = GatewayOptions()
    async with service() as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n" % 10**9)
        writer.write(b"Expect: nothing\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        sent = 0
        try:
            while sent < 100 * options.discarded_body_bytes_max:
                writer.write(PIECE)
                await writer.drain()
                sent += len(PIECE)
        except ConnectionError:
            pass
        writer.transport.abort()

    assert head.startswith(b"HTTP/1.1 417 ")
    assert sent < 20 * MEGABYTE
    assert behind.requests == []


async def _settled(value: Callable[[], int]) -> None:
    """Wait until it no longer grows."""
    last = -1
    while last != value():
        last = value()
        await asyncio.sleep(0.25)
