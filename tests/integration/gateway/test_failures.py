"""When a service or a caller fails: what the caller is told, and that nothing is sent twice."""

import asyncio
import json
from typing import Any

import pytest

from tests.integration.gateway.raw_service import (
    OK,
    RawService,
    ask,
    ask_once,
    gateway,
    read_request,
    service,
    until,
)

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\nabc"


async def test_a_refused_connection_is_certainly_not_sent() -> None:
    """Nobody listens: 502, and the caller is told that the service has not seen the request."""
    async with service() as behind:
        port = behind.port
    async with gateway(port) as server:
        document = _problem(await ask_once(server.port, PUT), 502)

    assert document["type"] == "urn:crossfade:problem:service-refused"
    assert document["detail"].endswith("The service has not seen the request.")


@pytest.mark.parametrize("sent_before", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_a_reset_leaves_the_outcome_unknown_and_is_not_repeated(sent_before: bytes) -> None:
    """The service closes without an answer: 502, may have acted, one request only."""
    behind = RawService()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind.requests.append(await read_request(reader))
        writer.write(sent_before)

    behind.script = script
    await behind.start()
    async with gateway(behind.port) as server:
        document = _problem(await ask_once(server.port, PUT), 502)
    await behind.stop()

    assert document["type"] == "urn:crossfade:problem:service-reset"
    assert document["detail"].endswith("It may or may not have acted on the request.")
    assert len(behind.requests) == 1


async def test_a_slow_service_ends_in_time() -> None:
    """No answer in time: 504, may have acted; the connection is not used again."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(0.4)
        writer.write(OK)
        await reader.read()

    async with (
        service(script=script) as behind,
        gateway(behind.port, answer_seconds_max=0.2) as server,
    ):
        document = _problem(await ask_once(server.port, PUT), 504)
        await asyncio.sleep(0.3)
        again = _problem(await ask_once(server.port, PUT), 504)

    assert document["type"] == again["type"] == "urn:crossfade:problem:service-answer-timeout"
    assert behind.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 103 Early\r\n\r\n" * 20 + OK,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_answers_that_are_no_http_are_refused(answer: bytes) -> None:
    """Nothing of a malformed answer reaches the caller."""
    async with service(answer) as behind, gateway(behind.port) as server:
        document = _problem(await ask_once(server.port, GET), 502)

    assert document["type"] == "urn:crossfade:problem:service-malformed"


@pytest.mark.parametrize(
    "head", [b"Content-Length: 10", b"Transfer-Encoding: chunked"], ids=["length", "chunks"]
)
async def test_a_cut_answer_reaches_the_caller_cut(head: bytes) -> None:
    """The caller can tell that something is missing."""
    piece = b"3\r\nabc\r\n" if b"chunked" in head else b"abc"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + piece)
        await writer.drain()
        await asyncio.sleep(0.05)

    async with service(script=script) as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        got = b""
        try:
            while more := await reader.read(100):
                got += more
        except ConnectionResetError:
            pass
        writer.close()

    assert got == piece


async def test_a_write_on_a_closed_kept_connection_is_never_sent_again() -> None:
    """The service closes a kept connection just when a PUT arrives: in doubt, not repeated."""
    seen, port, stop = await _closes_on_second_request()
    async with gateway(port) as server:
        await ask_once(server.port, GET)
        document = _problem(await ask_once(server.port, PUT), 502)
    await stop()

    assert document["type"] == "urn:crossfade:problem:service-reset"
    assert [request[:3] for request in seen] == [b"GET", b"PUT"]


async def test_a_read_on_a_closed_kept_connection_is_sent_again() -> None:
    """The same with a GET: the caller never notices."""
    seen, port, stop = await _closes_on_second_request()
    async with gateway(port) as server:
        await ask_once(server.port, GET)
        got = await ask_once(server.port, GET)
    await stop()

    assert got.startswith(b"HTTP/1.1 200 OK")
    assert len(seen) == 3


async def test_a_write_uses_no_connection_that_has_idled() -> None:
    """A PUT after a pause goes out on a new connection, a GET on the kept one."""
    async with (
        service() as behind,
        gateway(behind.port, write_reuse_idle_seconds_max=0.05) as server,
    ):
        await ask_once(server.port, GET)
        await ask_once(server.port, PUT)
        at_once = behind.connections
        await asyncio.sleep(0.1)
        await ask_once(server.port, PUT)
        after_a_pause = behind.connections

    assert (at_once, after_a_pause) == (1, 2)


async def test_idle_connections_are_closed() -> None:
    """A connection to the service that nobody uses is closed after a while."""
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await reader.read()
        closed.set()

    async with (
        service(script=script) as behind,
        gateway(behind.port, upstream_idle_seconds_max=0.1) as server,
    ):
        await ask_once(server.port, GET)
        await asyncio.wait_for(closed.wait(), 5)


async def test_bytes_that_nobody_asked_for_are_no_answer() -> None:
    """A service that says more than it was asked does not answer the next caller with it."""
    poisoned = OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    async with service(poisoned) as behind, gateway(behind.port) as server:
        answers = [await ask_once(server.port, GET) for _ in range(4)]

    assert [answer.rpartition(b"\r\n")[2] for answer in answers] == [b"ok"] * 4


async def test_calls_wait_for_a_connection_and_the_queue_is_bounded() -> None:
    """Two at a time, two wait, the fifth is told to try again."""
    release = asyncio.Event()
    under_way = peak = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, peak
        while True:
            await read_request(reader)
            under_way += 1
            peak = max(peak, under_way)
            await release.wait()
            under_way -= 1
            writer.write(OK)

    async with (
        service(script=script) as behind,
        gateway(behind.port, upstream_connections_max=2, upstream_waiting_max=2) as server,
    ):
        waiting = [asyncio.create_task(ask_once(server.port, GET)) for _ in range(4)]
        await until(lambda: server.requests_in_flight == 4)
        refused = await ask_once(server.port, GET)
        release.set()
        answers = await asyncio.gather(*waiting)

    assert _problem(refused, 503)["type"] == "urn:crossfade:problem:service-full"
    assert b"\r\nRetry-After: 1\r\n" in refused
    assert [answer[9:12] for answer in answers] == [b"200"] * 4
    assert peak == 2


async def test_waiting_for_a_connection_ends_in_time() -> None:
    """A call that got no connection in time was certainly not sent."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    async with (
        service(script=script) as behind,
        gateway(behind.port, upstream_connections_max=1, connect_seconds_max=0.1) as server,
    ):
        first = asyncio.create_task(ask_once(server.port, GET))
        await until(lambda: behind.connections == 1)
        document = _problem(await ask_once(server.port, PUT), 504)
        first.cancel()

    assert document["type"] == "urn:crossfade:problem:service-connect-timeout"
    assert document["detail"].endswith("The service has not seen the request.")


async def test_a_read_whose_caller_left_is_broken_off() -> None:
    """The service's connection closes when the caller of a GET does."""
    started, broken = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await read_request(reader)
        started.set()
        await reader.read()
        broken.set()

    async with service(script=script) as behind, gateway(behind.port) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await started.wait()
        writer.close()
        await asyncio.wait_for(broken.wait(), 5)
        await until(lambda: server.requests_in_flight == 0)


async def test_a_write_whose_caller_left_is_seen_through() -> None:
    """A PUT that is complete keeps its connection until the service has answered."""
    started, go_on = asyncio.Event(), asyncio.Event()
    closed_early = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        started.set()
        await go_on.wait()
        closed_early.append(reader.at_eof())
        writer.write(OK)
        await reader.read()

    async with service(script=script) as behind, gateway(behind.port) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(PUT)
        await started.wait()
        writer.close()
        await until(lambda: server.connections == 0)
        in_flight = server.requests_in_flight
        go_on.set()
        await until(lambda: server.requests_in_flight == 0)

    assert (closed_early, in_flight) == ([False], 1)


async def test_a_write_whose_caller_left_half_way_never_looks_complete() -> None:
    """The service sees a broken-off chunked body, not a short one."""
    got = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.readuntil(b"\r\n\r\n")
        body = b""
        try:
            body = await reader.readuntil(b"abc\r\n")
            body += await reader.read()
        except ConnectionResetError:
            pass
        got.set_result(body)

    async with service(script=script) as behind, gateway(behind.port) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"3\r\nabc\r\n")
        await until(lambda: behind.connections == 1)
        await asyncio.sleep(0.05)
        writer.close()
        body = await asyncio.wait_for(got, 5)

    assert body == b"3\r\nabc\r\n"


async def test_an_invalid_chunk_breaks_the_request_off() -> None:
    """Garbage in the middle of a body: 400 for the caller, no complete request behind."""
    async with service() as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"3\r\nabc\r\n")
        await until(lambda: behind.connections == 1)
        writer.write(b"zz\r\n")
        got = await reader.read()
        writer.close()

    _problem(got, 400)
    assert behind.requests == []


async def test_a_service_may_come_back() -> None:
    """After a failed call the next one reaches the service again."""
    async with service() as behind, gateway(behind.port) as server:
        await ask_once(server.port, GET)
        behind.answer = b"nonsense\r\n\r\n"
        await ask_once(server.port, GET)
        behind.answer = OK
        got = await ask(server.port, GET[:-2] + b"Connection: close\r\n\r\n")

    assert got.startswith(b"HTTP/1.1 200 OK")


async def _closes_on_second_request() -> tuple[list[bytes], int, Any]:
    """A service whose first connection answers once and closes on the second request."""
    behind = RawService()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_connection = behind.connections == 1
        behind.requests.append(await read_request(reader))
        writer.write(OK)
        behind.requests.append(await read_request(reader))
        if not first_connection:
            writer.write(OK)

    behind.script = script
    await behind.start()
    return behind.requests, behind.port, behind.stop


def _problem(answer: bytes, status: int) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    document: dict[str, Any] = json.loads(body)
    assert document["status"] == status
    return document
