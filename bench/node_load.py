"""The load of the node benchmark: `-m bench.node_load KIND CONNECTIONS SECONDS PORT [PORT]`.

KIND is `get` or `put`: keyed requests of one server over kept connections, each as soon as the
last one is answered; or `pair`: a PUT of the first server and, when it is answered, the same PUT
of the second, counted as one. Prints `{"requests": n, "seconds": s, "failed": n, "p50_ms": x,
"p99_ms": x}`.
"""

import asyncio
import json
import random
import sys
import time

from bench.event_loop import fastest_loop

KEYS = 10_000
"""Items of each service, numbered from 1."""
SAMPLES_MAX = 200_000
_HEADERS = (
    "Host: shop.example\r\nUser-Agent: load/1\r\nAccept: application/json\r\n"
    "Authorization: Bearer abcdef0123456789\r\nX-Request-Id: 7d44f2e8c1b04a0f\r\n"
)


class Tally:
    """What all connections count together."""

    def __init__(self) -> None:
        self.requests = 0
        self.failed = 0
        self.samples_ms: list[float] = []

    def answered(self, *, well: bool, seconds: float) -> None:
        """Count one answer."""
        self.requests += 1
        self.failed += not well
        if len(self.samples_ms) < SAMPLES_MAX:
            self.samples_ms.append(seconds * 1000)


class Line:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ask(self, request: bytes) -> bool:
        """Send the request and read its answer; whether it is a 200."""
        self.writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await self._reader.readexactly(length)
        return head.startswith(b"HTTP/1.1 200")


def request_of(kind: str, key: int, number: int) -> bytes:
    """One request; each write of a key is another value."""
    if kind == "get":
        return f"GET /items/{key} HTTP/1.1\r\n{_HEADERS}\r\n".encode()
    body = json.dumps({"name": f"item {key}", "cents": number % 100_000})
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"PUT /items/{key} HTTP/1.1\r\n{_HEADERS}{length}\r\n{body}".encode()


async def drive(kind: str, lines: list[Line], tally: Tally, seed: int, until: float) -> None:
    """Ask again and again until the time is over."""
    randomness = random.Random(seed)
    now = time.perf_counter()
    while now < until:
        request = request_of(kind, randomness.randint(1, KEYS), tally.requests)
        well = True
        for line in lines:
            well = await line.ask(request) and well
        ended = time.perf_counter()
        tally.answered(well=well, seconds=ended - now)
        now = ended
    for line in lines:
        line.writer.close()


async def run(kind: str, connections: int, seconds: float, ports: list[int]) -> dict[str, float]:
    """Load the servers on the ports."""
    tally = Tally()
    callers = [
        [Line(*await asyncio.open_connection("127.0.0.1", port)) for port in ports]
        for _ in range(connections)
    ]
    started = time.perf_counter()
    await asyncio.gather(
        *(drive(kind, lines, tally, seed, started + seconds) for seed, lines in enumerate(callers))
    )
    took = time.perf_counter() - started
    samples = sorted(tally.samples_ms)
    return {
        "requests": tally.requests,
        "seconds": took,
        "failed": tally.failed,
        "p50_ms": samples[len(samples) // 2],
        "p99_ms": samples[len(samples) * 99 // 100],
    }


def main() -> None:
    """Read the arguments, load, print."""
    kind, connections, seconds, *ports = sys.argv[1:]
    work = run(kind, int(connections), float(seconds), [int(port) for port in ports])
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        print(json.dumps(runner.run(work)))


if __name__ == "__main__":
    main()
