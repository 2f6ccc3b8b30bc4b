"""Pass-through of the gateway against a bare ASGI + aiohttp forwarder, nginx, and over time."""

import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECTIONS = 32
RATIO_TO_BARE_MIN = 0.8
MEMORY_REQUESTS = 200_000
GROWTH_FRACTION_MAX = 0.10
GROWTH_BYTES_MAX = 8 * 1024 * 1024
SECONDS_MAX = 240.0
PROJECT = Path(__file__).resolve().parent.parent

NGINX_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  upstream service {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server of the benchmark."""

    port: int
    process: "subprocess.Popen[str]"

    @property
    def memory_bytes(self) -> int:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        return pages * 4096


def run(*, quick: bool) -> dict[str, Any]:
    """All figures and bars; `quick` measures the same for a shorter time."""
    rounds, seconds = (3, 0.6) if quick else (5, 1.6)
    requests = MEMORY_REQUESTS // 10 if quick else MEMORY_REQUESTS
    with contextlib.ExitStack() as stack:
        behind = stack.enter_context(_server("responder"))
        servers = {
            "gateway": stack.enter_context(_server("gateway", behind.port)),
            "bare": stack.enter_context(_server("bare", behind.port)),
        }
        nginx = stack.enter_context(_nginx(behind.port))
        if nginx is not None:
            servers["nginx"] = nginx
        speeds = _speeds(servers, rounds, seconds)
        memory = _memory(servers["gateway"], requests)
    ratio = _median_ratio(speeds["gateway"], speeds["bare"])
    figures: dict[str, Any] = {
        f"{name}_requests_per_second": round(statistics.median(each))
        for name, each in speeds.items()
    }
    figures["ratio_to_bare"] = round(ratio, 3)
    figures["ratio_to_nginx"] = (
        round(_median_ratio(speeds["gateway"], speeds["nginx"]), 3) if "nginx" in speeds else None
    )
    if "nginx" not in speeds:
        figures["ratio_to_nginx_reason"] = "nginx is not installed"
    figures.update(memory)
    flat = (
        memory["memory_growth_bytes"] < GROWTH_BYTES_MAX
        or memory["memory_growth_fraction"] < GROWTH_FRACTION_MAX
    )
    return {
        "figures": figures,
        "bars": {
            "ratio_to_bare": {"limit": RATIO_TO_BARE_MIN, "ok": ratio >= RATIO_TO_BARE_MIN},
            "memory_growth_bytes": {"limit": GROWTH_BYTES_MAX, "ok": flat},
            "failed_requests": {"limit": 0, "ok": memory["failed_requests"] == 0},
        },
    }


def _speeds(servers: dict[str, Server], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Requests per second of each, measured in turns after a warm-up."""
    for server in servers.values():
        _load(server, seconds / 2, 0)
    speeds: dict[str, list[float]] = {name: [] for name in servers}
    for turn in range(rounds):
        names = list(servers)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            result = _load(servers[name], seconds, 0)
            assert result["failed"] == 0, f"{name} failed on {result['failed']} requests"
            speeds[name].append(result["requests"] / result["seconds"])
    return speeds


def _memory(server: Server, requests: int) -> dict[str, Any]:
    """How much the process grows over so many requests, after a warm-up of a tenth of them."""
    _load(server, SECONDS_MAX, requests // 10)
    before = server.memory_bytes
    result = _load(server, SECONDS_MAX, requests)
    growth = server.memory_bytes - before
    return {
        "memory_requests": result["requests"],
        "memory_before_bytes": before,
        "memory_growth_bytes": growth,
        "memory_growth_fraction": round(growth / before, 4),
        "failed_requests": result["failed"],
        "p50_ms": round(result["p50_ms"], 3),
        "p99_ms": round(result["p99_ms"], 3),
    }


def _median_ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def _load(server: Server, seconds: float, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.gateway_load", str(server.port), str(CONNECTIONS)]
    done = subprocess.run(
        [*command, str(seconds), str(count)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS_MAX + 60,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


@contextlib.contextmanager
def _server(name: str, *ports: int) -> Iterator[Server]:
    command = [sys.executable, "-m", "bench.gateway_servers", name, *map(str, ports)]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Server(int(process.stdout.readline()), process)
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def _nginx(upstream: int) -> Iterator[Server | None]:
    program = shutil.which("nginx")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as folder:
        port = _free_port()
        text = NGINX_CONFIGURATION.format(folder=folder, upstream=upstream, port=port)
        path = Path(folder, "nginx.conf")
        path.write_text(text, "ascii")
        process = subprocess.Popen([program, "-c", str(path)], text=True)
        try:
            _wait_for(port)
            yield Server(port, process)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise TimeoutError("nginx does not listen")


if __name__ == "__main__":
    print(json.dumps(run(quick="--quick" in sys.argv), indent=2))
