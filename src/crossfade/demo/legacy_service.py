"""The legacy shop as a process: ``python -m crossfade.demo.legacy_service --database F``."""

import asyncio
import json
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from crossfade.demo import legacy_tables
from crossfade.demo.legacy_requests import BadRequestError, read_customer, read_order
from crossfade.demo.service_arguments import read_service_arguments

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

QUEUE_SECONDS_MAX = 1.0
"""A write that waited longer for the writer is refused, so that no call runs for ever."""

BUSY_SECONDS_MAX = 2.0
"""Longest wait for somebody else's lock on the file."""

READERS = 4
LIST_ROWS_MAX = 500
LIST_ROWS = 50


class Database:
    """One SQLite file: one thread writes, a few read, the event loop never waits for it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mine = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writer = ThreadPoolExecutor(1, "legacy-writer")
        self._readers = ThreadPoolExecutor(READERS, "legacy-reader")

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run the query in one read transaction, so that it sees one moment."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._in_transaction, "BEGIN", query
        )

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run the change in one transaction; when this returns it is committed."""
        late = time.monotonic() + QUEUE_SECONDS_MAX

        def in_time() -> T:
            if time.monotonic() > late:
                raise sqlite3.OperationalError("too many writes are waiting")
            return self._in_transaction("BEGIN IMMEDIATE", change)

        return await asyncio.get_running_loop().run_in_executor(self._writer, in_time)

    def close(self) -> None:
        """Finish what has begun and close the file."""
        self._writer.shutdown()
        self._readers.shutdown()
        for connection in self._opened:
            connection.close()

    def _in_transaction(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection()
        connection.execute(begin)
        try:
            result = work(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return result

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._file,
                timeout=BUSY_SECONDS_MAX,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = NORMAL")
            self._mine.connection = connection
            self._opened.append(connection)
        return connection


DATABASE = web.AppKey("DATABASE", Database)


def answer(value: object, status: int = 200) -> web.Response:
    """Answer JSON the way the legacy shop always did: spaced, in ASCII."""
    return web.Response(
        status=status, body=json.dumps(value).encode(), content_type="application/json"
    )


def refuse(status: int, reason: str) -> web.Response:
    """Answer an error."""
    return answer({"error": reason}, status)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what handlers raise into an answer with a reason."""
    try:
        return await handler(request)
    except BadRequestError as error:
        return refuse(400, str(error))
    except web.HTTPException as error:
        return refuse(error.status, error.reason)
    except sqlite3.OperationalError as error:
        return refuse(503, str(error))


async def healthz(_request: web.Request) -> web.Response:
    """GET /healthz."""
    return answer({"ok": True, "service": "legacy"})


async def get_customers(request: web.Request) -> web.Response:
    """GET /customers?after=ID&limit=N."""
    try:
        after = int(request.query.get("after", "0"))
        limit = min(max(int(request.query.get("limit", LIST_ROWS)), 1), LIST_ROWS_MAX)
    except ValueError as error:
        raise BadRequestError("after, limit: expected whole numbers") from error
    customers = await request.app[DATABASE].read(
        lambda connection: legacy_tables.list_customers(connection, after, limit)
    )
    return answer({"customers": customers})


async def get_customer(request: web.Request) -> web.Response:
    """GET /customers/{id}."""
    key = int(request.match_info["id"])
    customer = await request.app[DATABASE].read(
        lambda connection: legacy_tables.find_customer(connection, key)
    )
    return refuse(404, "no such customer") if customer is None else answer(customer)


async def put_customer(request: web.Request) -> web.Response:
    """PUT /customers/{id}: the whole customer, made where it is missing."""
    key = int(request.match_info["id"])
    body = read_customer(await request.read())

    def change(connection: sqlite3.Connection) -> legacy_tables.Body | None:
        legacy_tables.save_customer(connection, key, body)
        return legacy_tables.find_customer(connection, key)

    return answer(await request.app[DATABASE].write(change))


async def post_customer(request: web.Request) -> web.Response:
    """POST /customers: the table makes the id."""
    body = read_customer(await request.read())

    def change(connection: sqlite3.Connection) -> legacy_tables.Body | None:
        key = legacy_tables.save_customer(connection, None, body)
        return legacy_tables.find_customer(connection, key)

    return answer(await request.app[DATABASE].write(change), 201)


async def delete_customer(request: web.Request) -> web.Response:
    """DELETE /customers/{id}."""
    key = int(request.match_info["id"])
    found = await request.app[DATABASE].write(
        lambda connection: legacy_tables.delete_customer(connection, key)
    )
    return web.Response(status=204) if found else refuse(404, "no such customer")


async def get_order(request: web.Request) -> web.Response:
    """GET /orders/{id}: the order with its lines."""
    key = int(request.match_info["id"])
    order = await request.app[DATABASE].read(
        lambda connection: legacy_tables.find_order(connection, key)
    )
    return refuse(404, "no such order") if order is None else answer(order)


async def put_order(request: web.Request) -> web.Response:
    """PUT /orders/{id}: the whole order, all its lines replaced."""
    key = int(request.match_info["id"])
    body = read_order(await request.read())

    def change(connection: sqlite3.Connection) -> legacy_tables.Body | None:
        legacy_tables.save_order(connection, key, body)
        return legacy_tables.find_order(connection, key)

    return answer(await request.app[DATABASE].write(change))


async def post_order(request: web.Request) -> web.Response:
    """POST /orders: the table makes the id."""
    body = read_order(await request.read())

    def change(connection: sqlite3.Connection) -> legacy_tables.Body | None:
        key = legacy_tables.save_order(connection, None, body)
        return legacy_tables.find_order(connection, key)

    return answer(await request.app[DATABASE].write(change), 201)


async def delete_order(request: web.Request) -> web.Response:
    """DELETE /orders/{id}."""
    key = int(request.match_info["id"])
    found = await request.app[DATABASE].write(
        lambda connection: legacy_tables.delete_order(connection, key)
    )
    return web.Response(status=204) if found else refuse(404, "no such order")


def make_app(database: Database) -> web.Application:
    """Put the routes together."""
    app = web.Application(middlewares=[errors_as_json])
    app[DATABASE] = database
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/customers", get_customers)
    app.router.add_post("/customers", post_customer)
    app.router.add_get("/customers/{id:[0-9]{1,15}}", get_customer)
    app.router.add_put("/customers/{id:[0-9]{1,15}}", put_customer)
    app.router.add_delete("/customers/{id:[0-9]{1,15}}", delete_customer)
    app.router.add_post("/orders", post_order)
    app.router.add_get("/orders/{id:[0-9]{1,15}}", get_order)
    app.router.add_put("/orders/{id:[0-9]{1,15}}", put_order)
    app.router.add_delete("/orders/{id:[0-9]{1,15}}", delete_order)
    return app


def prepare(file: Path) -> None:
    """Make the tables where they are missing; what is there stays."""
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS_MAX)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(files("crossfade.demo").joinpath("legacy_schema.sql").read_text())
    finally:
        connection.close()


async def serve(file: Path, port: int) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first.

    Raises:
        OSError: The port is taken.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    listener = socket.create_server(("127.0.0.1", port))
    database = Database(file)
    runner = web.AppRunner(make_app(database), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    ready = {"service": "legacy", "host": "127.0.0.1", "port": listener.getsockname()[1]}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stopping.wait()
    await runner.cleanup()
    database.close()


if __name__ == "__main__":
    chosen = read_service_arguments("legacy")
    prepare(chosen.database)
    asyncio.run(serve(chosen.database, chosen.port))
