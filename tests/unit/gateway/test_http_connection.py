"""One connection and its pool, without sockets: what happens between two turns of the loop."""

import asyncio
from typing import cast

import pytest

from crossfade.gateway.http_connection import (
    ConnectionBounds,
    HttpConnection,
    request_head,
)
from crossfade.gateway.http_upstream import HttpUpstream
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.upstream import CallLimits, OutgoingRequest
from crossfade.seams.tasks import TaskOwner

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMITS = CallLimits(connect_seconds=5, answer_seconds=5, idle_seconds=5)
REQUEST = OutgoingRequest(method=b"GET", target=b"/", headers=[(b"Host", b"a")])


class Wire:
    """A transport that only remembers."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        """See asyncio."""
        self.written.append(data)

    def abort(self) -> None:
        """See asyncio."""
        self.aborted = True

    def is_closing(self) -> bool:
        """See asyncio."""
        return self.aborted

    def close(self) -> None:
        """See asyncio."""
        self.aborted = True

    def set_write_buffer_limits(self, high: int) -> None:
        """See asyncio."""


class Owner:
    """A pool of one connection."""

    def connection_free(self, connection: HttpConnection) -> None:
        """See `ConnectionOwner`."""

    def connection_gone(self, connection: HttpConnection) -> None:
        """See `ConnectionOwner`."""


def connected() -> tuple[HttpConnection, Wire, Owner]:
    """An open connection."""
    wire, owner = Wire(), Owner()
    connection = HttpConnection("http://a", owner, ConnectionBounds(1000, 1000), TaskOwner())
    connection.connection_made(cast("asyncio.Transport", wire))
    return connection, wire, owner


def exchange(connection: HttpConnection) -> "asyncio.Task[bytes | None]":
    """One call in a task of its own."""

    async def call() -> bytes | None:
        answer = await connection.exchange(REQUEST, request_head(REQUEST), LIMITS, None)
        return answer.whole_body()

    return asyncio.get_running_loop().create_task(call())


async def test_a_caller_that_leaves_late_does_not_break_the_next_call() -> None:
    """Its answer has come and the connection is lent on before it runs again and is cancelled."""
    connection, wire, _ = connected()
    first = exchange(connection)
    await asyncio.sleep(0)
    connection.data_received(OK)
    second = connection.exchange(REQUEST, request_head(REQUEST), LIMITS, None)
    second.send(None)
    first.cancel()
    await asyncio.sleep(0)
    connection.data_received(OK)
    with pytest.raises(StopIteration) as done:
        second.send(None)

    assert first.cancelled()
    assert not wire.aborted
    assert done.value.value.whole_body() == b"ok"


async def test_bytes_on_an_idle_connection_close_it() -> None:
    """Nobody asked for them."""
    connection, wire, _ = connected()
    call = exchange(connection)
    await asyncio.sleep(0)
    connection.data_received(OK)
    await call
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")

    assert (wire.aborted, connection.open) == (True, False)


@pytest.mark.parametrize(
    "request_",
    [
        OutgoingRequest(method=b"GET", target=b"/ HTTP/1.1\r\nX: 1", headers=[]),
        OutgoingRequest(method=b"GET", target=b"/", headers=[(b"X", b"1\r\n\r\nGET /2")]),
        OutgoingRequest(method=b"GET", target=b"/", headers=[(b"X\n", b"1")]),
    ],
)
def test_a_line_break_never_becomes_a_second_request(request_: OutgoingRequest) -> None:
    """Whoever made such a request has a bug; nothing of it goes out."""
    with pytest.raises(ValueError, match="line break"):
        request_head(request_)


async def test_a_place_in_the_pool_survives_a_caller_that_leaves_with_it() -> None:
    """The waiting call gets the free place and is cancelled before it can use it."""
    options = GatewayOptions(upstream_connections_max=1)
    upstream = HttpUpstream("http://127.0.0.1:9", options, TaskOwner())
    upstream._slots_taken = 1  # noqa: SLF001 - as if the only connection were busy
    waiting = asyncio.get_running_loop().create_task(upstream.send(REQUEST))
    await asyncio.sleep(0)
    gone, _, _ = connected()
    upstream.connection_gone(gone)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert upstream.connections == 0


async def test_a_connection_is_handed_on_when_its_new_caller_leaves() -> None:
    """The waiting call gets the freed connection and is cancelled; the next one can use it."""
    options = GatewayOptions(upstream_connections_max=1)
    upstream = HttpUpstream("http://127.0.0.1:9", options, TaskOwner())
    upstream._slots_taken = 1  # noqa: SLF001 - as if the only connection were busy
    waiting = asyncio.get_running_loop().create_task(upstream.send(REQUEST))
    await asyncio.sleep(0)
    free, wire, _ = connected()
    upstream.connection_free(free)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    following = asyncio.get_running_loop().create_task(upstream.send(REQUEST))
    await asyncio.sleep(0)
    free.data_received(OK)

    assert (await following).whole_body() == b"ok"
    assert len(wire.written) == 1
    await upstream.aclose()
