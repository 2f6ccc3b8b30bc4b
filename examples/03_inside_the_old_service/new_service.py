"""The new service: the same logic, written anew, with the bugs that such a thing has."""

import json
import sqlite3
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NEW = "data/new.db"
LATE_MINUTES = 180
HANGS = "HANG1"


class Handler(BaseHTTPRequestHandler):
    """GET /outcomes/{flight}."""

    def do_GET(self) -> None:
        """Answer, fail, or hang."""
        flight = self.path.rpartition("/")[2]
        if flight == HANGS:
            threading.Event().wait()
        with closing(sqlite3.connect(NEW)) as database:
            row = database.execute(
                "SELECT delay_minutes, fare FROM changes WHERE flight = ?", (flight,)
            ).fetchone()
        if row is None:
            self._answer(404, {})
            return
        try:
            self._answer(200, outcome(flight, *row))
        except TypeError:
            self._answer(500, {})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def outcome(flight: str, delay: int, fare: float) -> dict[str, object]:
    """What a passenger gets, says the new logic.

    Bugs: a flight that is late by exactly three hours counts as in time; cents are cut off
    instead of rounded; a cancelled flight, which has no delay, is an error.
    """
    late = delay > LATE_MINUTES
    return {
        "flight": flight,
        "compensation_cents": int(fare * 100) if late else 0,
        "rebooked": False,
        "message": f"Your flight {flight} is {delay} minutes late.",
    }


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
