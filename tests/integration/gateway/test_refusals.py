"""Ambiguous, looping or oversized requests are refused and never reach the service."""

import asyncio
import json
from typing import Any

import pytest

from tests.integration.gateway.raw_service import ask, ask_once, gateway, service

HEAD = b"POST /x HTTP/1.1\r\nHost: shop\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (HEAD + b"Content-Length: 3, 3\r\n\r\nabc", 400),
        (HEAD + b"Content-Length: +3\r\n\r\nabc", 400),
        (HEAD + b"Content-Length: 99999999999999999999\r\n\r\nabc", 400),
        (HEAD + b"Transfer-Encoding: identity\r\n\r\nabc", 400),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHo(st: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX_Crossfade-Via: 1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (HEAD + b"Content-Length: 3\r\nExpect: 200-ok\r\n\r\nabc", 417),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            501,
        ),
    ],
)
async def test_bad_requests_are_refused_and_the_connection_closes(
    request_bytes: bytes, status: int
) -> None:
    """Refused with problem+json, nothing forwarded, what follows is not read as a request."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: shop\r\n\r\n"
    async with service() as behind, gateway(behind.port) as server:
        got = await ask(server.port, request_bytes + smuggled)

    assert got.count(b"\r\n\r\n") == 1
    assert _problem(got)["status"] == status
    assert int(got[9:12]) == status
    assert [request for request in behind.requests if b"smuggled" in request] == []
    assert [request for request in behind.requests if b"0\r\n\r\n" in request] == []


async def test_loops_are_refused() -> None:
    """A request that a gateway of this migration has passed on before ends here."""
    request = b"GET / HTTP/1.1\r\nHost: shop\r\nX-Crossfade-Via: %b\r\n\r\n"
    async with service() as behind, gateway(behind.port) as server:
        refused = await ask_once(server.port, request % b"other, shop-1")
        passed = await ask_once(server.port, request % b"other")

    assert _problem(refused)["type"] == "urn:crossfade:problem:loop"
    assert passed.startswith(b"HTTP/1.1 200")
    assert b"X-Crossfade-Via: other, shop-1\r\n" in behind.requests[0]


async def test_trailers_never_become_headers() -> None:
    """What comes after the last chunk is dropped."""
    request = (
        HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3;ext=1\r\nabc\r\n0\r\nX-Caller: forged\r\n\r\n"
    )
    async with service() as behind, gateway(behind.port) as server:
        await ask(server.port, request)

    assert behind.requests[0].endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert b"forged" not in behind.requests[0]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /%b HTTP/1.1\r\nHost: a\r\n" % (b"a" * 8177), 200),
        (b"GET /%b HTTP/1.1\r\nHost: a\r\n" % (b"a" * 8192), 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 98, 200),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 100, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n" % (b"a" * 32_000), 200),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n" % (b"a" * 50_000), 431),
    ],
)
async def test_heads_have_limits(head: bytes, status: int) -> None:
    """At the limit a request passes, over it it is refused."""
    async with service() as behind, gateway(behind.port) as server:
        got = await ask_once(server.port, head + b"\r\n")

    assert int(got[9:12]) == status


async def test_a_head_that_never_ends_is_bounded() -> None:
    """A single endless header line is refused before it fills the memory."""
    async with service() as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(100):
            writer.write(b"a" * 4096)
            await writer.drain()
        got = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert got.startswith(b"HTTP/1.1 431 ")


async def test_a_slow_head_is_given_up() -> None:
    """A caller that does not finish its head in time is closed."""
    async with service() as behind, gateway(behind.port, head_seconds_max=0.1) as server:
        got = await ask(server.port, b"GET / HTTP/1.1\r\nHost: a\r\n")

    assert got == b""


async def test_a_body_that_stops_coming_is_given_up() -> None:
    """The caller gets 408 and the service never sees a complete request."""
    request = HEAD + b"Content-Length: 10\r\n\r\nabc"
    async with service() as behind, gateway(behind.port, body_idle_seconds_max=0.1) as server:
        got = await ask(server.port, request)

    assert _problem(got)["status"] == 408
    assert behind.requests == []


async def test_expect_continue_is_answered_by_the_gateway() -> None:
    """The caller is told to go on; the service gets the request without the expectation."""
    async with service() as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + b"Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n")
        interim = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"abc")
        final = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert final.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"xpect" not in behind.requests[0]


async def test_requests_sent_ahead_are_bounded() -> None:
    """A flood of pipelined requests costs its sender the connection, not us the memory."""
    flood = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50
    async with service() as behind, gateway(behind.port, pipelined_requests_max=3) as server:
        got = await ask(server.port, flood)

    assert got.count(b"HTTP/1.1 200 OK") == 1
    assert len(behind.requests) == 1


async def test_too_many_connections_are_closed() -> None:
    """Over the limit a new connection is closed at once, the others go on."""
    async with service() as behind, gateway(behind.port, connections_max=2) as server:
        kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            got = await reader.read()
        except ConnectionResetError:
            got = b""
        writer.close()
        kept[0][1].write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await kept[0][0].readuntil(b"\r\n\r\n")
        for _, each in kept:
            each.close()

    assert got == b""
    assert answer.startswith(b"HTTP/1.1 200")


def _problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json\r\n" in head
    assert b"\r\nConnection: close" in head
    document: dict[str, Any] = json.loads(body)
    assert set(document) == {"type", "title", "status", "detail"}
    return document
