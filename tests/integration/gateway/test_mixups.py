"""Under a storm of leaving callers no answer reaches another caller and no connection is lost."""

import asyncio
import random
from dataclasses import replace

from crossfade.gateway.forwarding import Forwarder, PassThrough
from crossfade.gateway.http_upstream import HttpUpstream
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.server import GatewayServer
from crossfade.seams.tasks import TaskOwner
from tests.integration.gateway.raw_service import read_request, service, until

CALLERS = 300
CONNECTIONS_MAX = 4


async def test_answers_stay_with_their_callers(seed: int) -> None:
    """300 callers, a third of them leave at any moment; the rest get their own answer."""
    chance = random.Random(seed)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            await asyncio.sleep(chance.random() * 0.004)
            body = request.split(b" ")[1]
            if chance.random() < 0.05:
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            if chance.random() < 0.3:
                await asyncio.sleep(0.001)
            writer.write(body)

    options = replace(
        GatewayOptions(), upstream_connections_max=CONNECTIONS_MAX, stop_linger_seconds=0.0
    )
    tasks = TaskOwner()
    async with service(script=script) as behind:
        upstream = HttpUpstream(f"http://127.0.0.1:{behind.port}", options, tasks)
        app = PassThrough(Forwarder(upstream, "shop-1", options))
        async with GatewayServer(app, options) as server:
            outcomes = await asyncio.gather(
                *(_caller(server.port, number, chance) for number in range(CALLERS))
            )
            await until(lambda: server.requests_in_flight == 0)
            in_use = upstream.connections
            later = [await _caller(server.port, number, None) for number in range(30)]
        await upstream.aclose()
        await until(lambda: upstream.connections == 0)

    assert set(outcomes) <= {"own", "left", "failed"}
    assert outcomes.count("own") > CALLERS // 3
    assert in_use <= CONNECTIONS_MAX
    assert later.count("own") >= 20
    assert set(later) <= {"own", "failed"}
    assert tasks.count() == 0


async def _caller(port: int, number: int, chance: random.Random | None) -> str:
    """What became of one caller: `own`, `left`, `failed`, or `mixed up`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    method = b"GET" if number % 2 else b"PUT"
    body = b"" if number % 2 else b"x" * (number % 7)
    writer.write(
        b"%b /n%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        % (method, number, len(body))
        + body
    )
    if chance is not None and number % 3 == 0:
        await asyncio.sleep(chance.random() * 0.3)
        writer.transport.abort()
        return "left"
    got = await reader.read()
    writer.close()
    if not got.startswith(b"HTTP/1.1 200"):
        return "failed"
    return "own" if got.endswith(b"\r\n\r\n/n%d" % number) else "mixed up"
