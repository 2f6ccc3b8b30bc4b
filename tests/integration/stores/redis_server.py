"""A Redis server of a test's own: killed, restarted, short of memory."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

_SECONDS_MAX = 20.0
_PORT_MAX = 65_535 - 10_000


class RedisServer:
    """One server with a folder of its own; a restart may bring back what it kept."""

    def __init__(self, folder: Path, *options: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("needs redis-server")
        self._command = [program, "--dir", str(folder), "--save", "", *options]
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [*self._command, "--port", str(self.port)], stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + _SECONDS_MAX
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.AuthenticationError:
                    return
                except redis.ConnectionError:
                    assert time.monotonic() < until, "redis-server does not start"
                    time.sleep(0.02)
                else:
                    return

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """A client as the service itself has it."""
        with redis.Redis.from_url(self.url, retry=None) as client:
            yield client


def _free_port() -> int:
    """A port that is free, and low enough: a cluster's bus takes the one 10,000 above it."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
        if port <= _PORT_MAX:
            return port


@contextlib.contextmanager
def own_redis(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server that runs, killed afterwards."""
    server = RedisServer(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()
