"""What passes the gateway arrives byte for byte, both ways."""

import asyncio
import gzip

import pytest

from tests.integration.gateway.raw_service import OK, ask, ask_once, gateway, service

ADDED = (
    b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\r\n"
    b"X-Crossfade-Via: shop-1\r\n"
)
CHUNKED_CLOSE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "path",
    [
        b"/a/../b/%2e%2e//c?x=%7E&y",
        b"//double//slash/",
        b"/empty-query?",
        b"/q?a=1?b=2&&=",
        b"/semi;colon=1/x%2Fy%252F",
        b'/odd"|{}^`\\[]<>',
        b"/" + b"a" * 4000,
    ],
)
async def test_path_and_query_pass_untouched(path: bytes) -> None:
    """The request line arrives as it was sent."""
    async with service() as behind, gateway(behind.port) as server:
        await ask_once(server.port, b"GET %b HTTP/1.1\r\nHost: shop\r\n\r\n" % path)

    assert behind.requests[0].startswith(b"GET %b HTTP/1.1\r\n" % path)


async def test_request_headers_keep_bytes_case_and_order() -> None:
    """Duplicates, odd case and bytes that are no text stay; what belongs to the hop goes."""
    request = (
        b"GET / HTTP/1.1\r\nHost: shop\r\nX-ODD: \xe9\xff\r\nx-odd: 2\r\nCookie: a=1\r\n"
        b"cOOKIE: b=2\r\nX-Empty:\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: X-T\r\n"
        b"X-Hop: 1\r\nProxy-Connection: keep-alive\r\n"
        b"Connection: close, X-Hop, Cookie, Authorization\r\n"
        b"Authorization: Bearer t\r\nX-Crossfade-Stage: live\r\n\r\n"
    )
    async with service() as behind, gateway(behind.port) as server:
        await ask(server.port, request)

    assert behind.requests == [
        b"GET / HTTP/1.1\r\nHost: shop\r\nX-ODD: \xe9\xff\r\nx-odd: 2\r\nCookie: a=1\r\n"
        b"cOOKIE: b=2\r\nX-Empty: \r\nAuthorization: Bearer t\r\n" + ADDED + b"\r\n"
    ]


async def test_answer_passes_with_reason_case_and_duplicates() -> None:
    """The caller sees the service's status line and header lines as they were."""
    answer = (
        b"HTTP/1.1 299 Very Fine\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Odd: \xe9\r\n"
        b"Connection: X-Hop\r\nX-Hop: 1\r\nX-Crossfade-Stage: forged\r\n"
        b"content-LENGTH: 2\r\n\r\nok"
    )
    async with service(answer) as behind, gateway(behind.port) as server:
        got = await ask_once(server.port, b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")

    assert got == (
        b"HTTP/1.1 299 Very Fine\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Odd: \xe9\r\n"
        b"content-LENGTH: 2\r\nConnection: close\r\n\r\nok"
    )


async def test_compressed_answers_stay_compressed() -> None:
    """Nobody opens and closes a gzip body on the way."""
    body = gzip.compress(b"x" * 1000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with service(answer + body) as behind, gateway(behind.port) as server:
        got = await ask_once(server.port, b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")

    assert got.partition(b"\r\n\r\n")[2] == body


async def test_redirects_are_not_followed() -> None:
    """A redirect is the caller's business."""
    answer = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with service(answer) as behind, gateway(behind.port) as server:
        got = await ask_once(server.port, b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")

    assert (got.split(b"\r\n")[0], len(behind.requests)) == (b"HTTP/1.1 302 Found", 1)
    assert b"Location: /elsewhere\r\n" in got


@pytest.mark.parametrize(
    ("answer", "method", "expected"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
            b"HEAD",
            b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HEAD",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        ),
        (
            b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            b"DELETE",
            b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        ),
        (
            b"HTTP/1.1 304 No\r\nETag: 1\r\nContent-Length: 9\r\n\r\n",
            b"GET",
            b"HTTP/1.1 304 No\r\nETag: 1\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
            b"GET",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
            b"GET",
            CHUNKED_CLOSE + b"2\r\nok\r\n0\r\n\r\n",
        ),
    ],
)
async def test_answers_end_where_they_should(
    answer: bytes, method: bytes, expected: bytes
) -> None:
    """HEAD, 204, 304, interim answers and chunks: no byte too many or too few."""
    async with service(answer) as behind, gateway(behind.port) as server:
        got = await ask_once(server.port, method + b" / HTTP/1.1\r\nHost: shop\r\n\r\n")

    assert got == expected


async def test_a_connection_carries_the_next_answer_after_a_bodiless_one() -> None:
    """After 204, 304 and HEAD a kept connection of the caller is in step."""
    reader_writer = None
    answers = iter(
        [
            b"HTTP/1.1 204 No\r\n\r\n",
            b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            OK,
        ]
    )

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(next(answers))

    async with service(script=script) as behind, gateway(behind.port) as server:
        reader_writer = await asyncio.open_connection("127.0.0.1", server.port)
        reader, writer = reader_writer
        heads = []
        for method in (b"GET", b"GET", b"HEAD", b"GET"):
            writer.write(method + b" / HTTP/1.1\r\nHost: shop\r\n\r\n")
            heads.append(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(2)
        writer.close()

    assert [head[9:12] for head in heads] == [b"204", b"304", b"200", b"200"]
    assert body == b"ok"


async def test_old_callers_get_no_chunks() -> None:
    """For HTTP/1.0 the answer ends with its connection, and a missing Host is filled in."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with service(answer) as behind, gateway(behind.port) as server:
        got = await ask(server.port, b"GET / HTTP/1.0\r\n\r\n")

    assert got == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"
    assert b"\r\nHost: 127.0.0.1:%d\r\n" % behind.port in behind.requests[0]


async def test_absolute_form_becomes_a_path_when_it_names_this_host() -> None:
    """`GET http://host/path` reaches the service as the path, another host is refused."""
    async with service() as behind, gateway(behind.port) as server:
        await ask_once(server.port, b"GET http://shop/a?b HTTP/1.1\r\nHost: shop\r\n\r\n")
        other = await ask_once(server.port, b"GET http://other/a?b HTTP/1.1\r\nHost: shop\r\n\r\n")

    assert behind.requests[0].startswith(b"GET /a?b HTTP/1.1\r\n")
    assert other.startswith(b"HTTP/1.1 400 ")
    assert len(behind.requests) == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Two requests in one segment get two answers, one after the other."""
    first = b"GET /1 HTTP/1.1\r\nHost: shop\r\n\r\n"
    second = b"GET /2 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    async with service() as behind, gateway(behind.port) as server:
        got = await ask(server.port, first + second)

    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert [request[:6] for request in behind.requests] == [b"GET /1", b"GET /2"]
