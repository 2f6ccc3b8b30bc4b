"""The demo's callers try again what was refused, and only that."""

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from crossfade.demo.history import Outcome, read_history
from tests.integration.demo.conftest import StartModule

STATUSES = (503, 503, 504, 500, 204)


class Refusing(BaseHTTPRequestHandler):
    """Answers everything with the next status of a fixed row."""

    protocol_version = "HTTP/1.1"
    asked = count()

    def do_PUT(self) -> None:
        """Read what was sent, and answer."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status = STATUSES[next(self.asked) % len(STATUSES)]
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "1")
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT  # noqa: N815 - the base class calls it so
    do_DELETE = do_PUT  # noqa: N815 - the base class calls it so

    def log_message(self, *_facts: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing_server() -> Iterator[str]:
    """The URL of a server that refuses a lot."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def test_only_what_was_refused_is_tried_again(
    refusing_server: str, start_module: StartModule, tmp_path: Path
) -> None:
    """A write in doubt is never repeated; one that was surely not done always is."""
    traffic = start_module(
        "traffic",
        *("--gateway", refusing_server, "--history", str(tmp_path / "history")),
        *("--readers", "0", "--writers", "4", "--writes-per-second", "200"),
        *("--progress-seconds", "0.1"),
    )
    assert traffic.stdout is not None
    while json.loads(traffic.stdout.readline())["requests"] < 100:
        pass
    traffic.send_signal(signal.SIGTERM)
    assert traffic.wait(10) == 0

    operations = read_history(tmp_path / "history")
    written = [operation for operation in operations if operation.value is not None]
    effective = Counter(
        operation.value for operation in written if operation.outcome is not Outcome.REFUSED
    )
    attempts = Counter(operation.value for operation in written)
    seen = {operation.outcome for operation in operations}

    assert seen == {Outcome.REFUSED, Outcome.UNKNOWN, Outcome.FAILED, Outcome.ACKNOWLEDGED}
    assert max(effective.values()) == 1
    assert max(attempts.values()) > 1
