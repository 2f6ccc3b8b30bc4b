"""Starting and stopping: ports, requests in flight, a failing app."""

import asyncio
import errno
import json
import signal

import pytest

from crossfade.errors import ConfigurationError, PortInUseError
from crossfade.gateway.http_upstream import HttpUpstream
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.problem import Send
from crossfade.gateway.request import Receive, Scope
from crossfade.gateway.server import GatewayServer
from crossfade.seams.tasks import TaskOwner
from tests.integration.gateway.raw_service import OK, ask_once, gateway, read_request, service

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"


async def test_a_port_in_use_is_one_line_and_exit_code_3() -> None:
    """The error names the port and what to do."""
    async with service() as behind, gateway(behind.port) as server:
        with pytest.raises(PortInUseError) as caught:
            await GatewayServer(_nothing, GatewayOptions(), port=server.port).start()

    assert f":{server.port}: the port is in use" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


async def test_an_address_of_another_machine_is_refused() -> None:
    """The error says what cannot be listened on."""
    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1"):
        await GatewayServer(_nothing, GatewayOptions(), host="192.0.2.1").start()


async def test_signals_stay_with_the_process() -> None:
    """The server takes over no signal."""
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    async with GatewayServer(_nothing, GatewayOptions()) as server:
        during = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    assert (server.port > 0, before) == (True, during)


async def test_stopping_lets_requests_in_flight_finish() -> None:
    """A request that is being answered gets its answer; the port is closed at once."""
    started, go_on = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        started.set()
        await go_on.wait()
        writer.write(OK)
        await reader.read()

    async with service(script=script) as behind, gateway(behind.port) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await started.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.05)
        with pytest.raises(OSError) as refused:  # noqa: PT011 - the number is checked below
            await asyncio.open_connection("127.0.0.1", server.port)
        go_on.set()
        got = await reader.read()
        await stopping
        writer.close()

    assert refused.value.errno == errno.ECONNREFUSED
    assert got.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nConnection: close\r\n" in got


async def test_a_kept_connection_is_answered_once_more_while_stopping() -> None:
    """A request that was on its way when the stop began is no failed request."""
    async with service() as behind, gateway(behind.port, stop_linger_seconds=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\nok")
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.05)
        writer.write(GET)
        got = await reader.read()
        await stopping
        writer.close()

    assert got.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nConnection: close\r\n" in got


async def test_stopping_is_bounded() -> None:
    """A request that never ends does not keep the server."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    async with (
        service(script=script) as behind,
        gateway(behind.port, stop_seconds_max=0.2) as server,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await asyncio.sleep(0.05)
        async with asyncio.timeout(3):
            await server.stop()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()

    assert (server.connections, server.requests_in_flight) == (0, 0)


async def test_a_failing_app_is_a_clear_answer(caplog: pytest.LogCaptureFixture) -> None:
    """500 with problem+json, nothing of the error in it; the log has it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        raise ValueError("secret")

    async with GatewayServer(app, GatewayOptions()) as server:
        got = await ask_once(server.port, GET)

    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["type"] == "urn:crossfade:problem:internal-error"
    assert b"secret" not in got
    assert "secret" in caplog.text


async def test_an_answer_of_the_wrong_length_never_looks_complete(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An app that breaks its own Content-Length closes the connection."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"5")],
            }
        )
        await send({"type": "http.response.body", "body": b"abc"})

    async with GatewayServer(app, GatewayOptions()) as server:
        with pytest.raises(ConnectionResetError):
            await ask_once(server.port, GET)

    assert "Content-Length" in caplog.text


async def test_a_line_break_in_a_header_is_never_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No answer can be split in two."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        headers = [(b"x", b"1\r\nSet-Cookie: forged=1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with GatewayServer(app, GatewayOptions()) as server:
        got = await ask_once(server.port, GET)

    assert got.startswith(b"HTTP/1.1 500 ")
    assert b"forged" not in got
    assert "line break" in caplog.text


@pytest.mark.parametrize(
    "address", ["ftp://host", "http://", "http://host:80/path", "host:80", "http://host?x"]
)
async def test_an_address_that_is_no_service_is_refused(address: str) -> None:
    """One line that says how to write it."""
    with pytest.raises(ConfigurationError, match="is no address of a service"):
        HttpUpstream(address, GatewayOptions(), TaskOwner())


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send
