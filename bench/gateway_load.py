"""The load of the gateway benchmark: `-m bench.gateway_load PORT CONNECTIONS SECONDS COUNT`.

Sends small GETs over so many kept connections for so many seconds, or until so many are answered
(0: no such end); prints `{"requests": n, "seconds": s, "failed": n, "p50_ms": x, "p99_ms": x}`.
"""

import asyncio
import json
import sys
import time
from typing import cast

from bench.event_loop import fastest_loop

ANSWER_BODY = b'{"id":4711,"name":"Ada Lovelace","email":"ada@example.org","credit":"12.34"}'
REQUEST = (
    b"GET /customers/4711?expand=orders HTTP/1.1\r\nHost: shop.example\r\n"
    b"User-Agent: load/1\r\nAccept: application/json\r\nAuthorization: Bearer abcdef0123456789\r\n"
    b"X-Request-Id: 7d44f2e8c1b04a0f\r\nCookie: session=0123456789abcdef\r\n\r\n"
)
SAMPLES_MAX = 50_000


class Load:
    """What all connections count together."""

    def __init__(self, count_max: int) -> None:
        self.count_max = count_max
        self.requests = 0
        self.failed = 0
        self.samples_ms: list[float] = []
        self.done = asyncio.Event()

    def answered(self, *, well: bool, started: float) -> bool:
        """Count one answer; whether to go on."""
        self.requests += 1
        self.failed += not well
        if len(self.samples_ms) < SAMPLES_MAX:
            self.samples_ms.append((time.perf_counter() - started) * 1000)
        if self.count_max and self.requests >= self.count_max:
            self.done.set()
        return not self.done.is_set()


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._started = time.perf_counter()
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        """An answer is complete when its body has come, with or without chunks around it."""
        received = self._received + data if self._received else data
        if not received.endswith((ANSWER_BODY, b"\r\n0\r\n\r\n")):
            self._received = received
            return
        self._received = b""
        well = received.startswith(b"HTTP/1.1 200") and ANSWER_BODY in received
        if self._load.answered(well=well, started=self._started):
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio; before the end it is a failure."""
        if exc is not None or not self._load.done.is_set():
            self._load.failed += 1


async def run(port: int, connections: int, seconds: float, count_max: int) -> dict[str, float]:
    """Load the server on `port`."""
    load = Load(count_max)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
        for _ in range(connections)
    ]
    try:
        async with asyncio.timeout(seconds):
            await load.done.wait()
    except TimeoutError:
        load.done.set()
    took = time.perf_counter() - started
    for transport, _ in made:
        transport.close()
    samples = sorted(load.samples_ms) or [0.0]
    return {
        "requests": load.requests,
        "seconds": took,
        "failed": load.failed,
        "p50_ms": samples[len(samples) // 2],
        "p99_ms": samples[len(samples) * 99 // 100],
    }


def main() -> None:
    """Read the arguments, load, print."""
    port, connections, count_max = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4])
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        print(json.dumps(runner.run(run(port, connections, float(sys.argv[3]), count_max))))


if __name__ == "__main__":
    main()
