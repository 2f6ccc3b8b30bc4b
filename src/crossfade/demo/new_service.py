"""The new shop as a process: ``python -m crossfade.demo.new_service --database F``.

It starts in version "buggy", which loses a cent of some prices on its way into the database;
``POST /admin/version {"version": "fixed"}`` repairs it while it runs.
"""

import asyncio
import json
import queue
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec
from aiohttp import web

from crossfade.demo.new_documents import (
    CENTS,
    Cents,
    CustomerCollection,
    CustomerRequest,
    Document,
    OrderCollection,
    OrderRequest,
)
from crossfade.demo.service_arguments import read_service_arguments

R = TypeVar("R")
Q = TypeVar("Q")
Q_contra = TypeVar("Q_contra", contravariant=True)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONNECTIONS = 5
"""One writes, the others read."""

LOCK_SECONDS_MAX = 2.0
WRITE_QUEUE_SECONDS_MAX = 1.0
"""A write that waited longer is dropped unwritten: three seconds after a call nothing happens."""

PAGE_ROWS = 50
PAGE_ROWS_MAX = 500


class Storage:
    """A small pool of SQLite connections; writes pass one at a time, reads side by side."""

    def __init__(self, file: Path) -> None:
        self._pool: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(CONNECTIONS):
            self._pool.put(_connect(file))
        self._writing = ThreadPoolExecutor(max_workers=1)
        self._reading = ThreadPoolExecutor(max_workers=CONNECTIONS - 1)

    async def query(self, job: Callable[[sqlite3.Connection], R]) -> R:
        """Read off the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, self._run, job)

    async def change(self, job: Callable[[sqlite3.Connection], R]) -> R:
        """Write in a transaction of its own, committed when this returns."""
        loop = asyncio.get_running_loop()
        asked = time.monotonic()
        return await loop.run_in_executor(self._writing, self._run, partial(_commit, asked, job))

    def close(self) -> None:
        """Wait for the jobs under way, then close every connection."""
        self._writing.shutdown()
        self._reading.shutdown()
        while not self._pool.empty():
            self._pool.get_nowait().close()

    def _run(self, job: Callable[[sqlite3.Connection], R]) -> R:
        connection = self._pool.get()
        try:
            return job(connection)
        finally:
            self._pool.put(connection)


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        file, timeout=LOCK_SECONDS_MAX, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _commit(asked: float, job: Callable[[sqlite3.Connection], R], db: sqlite3.Connection) -> R:
    if time.monotonic() - asked > WRITE_QUEUE_SECONDS_MAX:
        raise sqlite3.OperationalError("overloaded")
    db.execute("BEGIN IMMEDIATE")
    try:
        result = job(db)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    return result


class Version:
    """Which way of counting cents is in use; switched at run time."""

    def __init__(self) -> None:
        self.name = "buggy"

    @property
    def cents(self) -> Cents:
        """The present way of counting cents."""
        return CENTS[self.name]


class Collection(Protocol[Q_contra]):
    """What customers and orders have in common."""

    def get(self, key: int) -> Document | None:
        """One document as the API shows it."""

    def put(self, key: int | None, request: Q_contra, cents: Cents) -> int:
        """Insert or replace; returns the key."""

    def remove(self, key: int) -> bool:
        """Delete; False where there was nothing."""


class Resource(Generic[Q]):
    """The five routes of one collection."""

    def __init__(
        self,
        storage: Storage,
        version: Version,
        collection: Callable[[sqlite3.Connection], Collection[Q]],
        request_type: type[Q],
    ) -> None:
        self._storage = storage
        self._version = version
        self._collection = collection
        self._decoder: msgspec.json.Decoder[Q] = msgspec.json.Decoder(request_type)

    def routes(self, path: str) -> list[web.RouteDef]:
        """The routes under ``path``."""
        one = path + "/{key:[0-9]{1,15}}"
        return [
            web.post(path, self.post),
            web.get(one, self.get),
            web.put(one, self.put),
            web.delete(one, self.delete),
        ]

    async def get(self, request: web.Request) -> web.Response:
        """Show one."""
        key = int(request.match_info["key"])
        found = await self._storage.query(lambda db: self._collection(db).get(key))
        return _reply(404, {"error": "not found"}) if found is None else _reply(200, found)

    async def put(self, request: web.Request) -> web.Response:
        """Insert or replace one."""
        key = int(request.match_info["key"])
        return _reply(200, await self._save(key, await request.read()))

    async def post(self, request: web.Request) -> web.Response:
        """Insert one under an id of our making."""
        return _reply(201, await self._save(None, await request.read()))

    async def delete(self, request: web.Request) -> web.Response:
        """Remove one."""
        key = int(request.match_info["key"])
        gone = await self._storage.change(lambda db: self._collection(db).remove(key))
        return web.Response(status=204) if gone else _reply(404, {"error": "not found"})

    async def _save(self, key: int | None, content: bytes) -> Document | None:
        body = self._decoder.decode(content)
        cents = self._version.cents

        def job(db: sqlite3.Connection) -> Document | None:
            collection = self._collection(db)
            return collection.get(collection.put(key, body, cents))

        return await self._storage.change(job)


def _reply(status: int, value: Document | None) -> web.Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return web.Response(status=status, body=text.encode(), content_type="application/json")


@web.middleware
async def _failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (msgspec.MsgspecError, UnicodeError) as error:
        return _reply(400, {"error": str(error)})
    except web.HTTPException as error:
        return _reply(error.status, {"error": error.reason})
    except sqlite3.OperationalError as error:
        return _reply(503, {"error": str(error)})


class Shop:
    """The application: both collections, the customer pages, health and the version switch."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._version = Version()

    def application(self) -> web.Application:
        """Put the routes together."""
        customers = Resource(self._storage, self._version, CustomerCollection, CustomerRequest)
        orders = Resource(self._storage, self._version, OrderCollection, OrderRequest)
        app = web.Application(middlewares=[_failures])
        app.add_routes([web.get("/healthz", self.health), web.get("/customers", self.page)])
        app.add_routes(customers.routes("/customers") + orders.routes("/orders"))
        app.add_routes([web.get("/admin/version", self.version)])
        app.add_routes([web.post("/admin/version", self.switch)])
        return app

    async def health(self, _request: web.Request) -> web.Response:
        """GET /healthz."""
        return _reply(200, {"service": "new", "ok": True})

    async def page(self, request: web.Request) -> web.Response:
        """GET /customers?after=ID&limit=N."""
        try:
            after = int(request.query.get("after", "0"))
            wanted = int(request.query.get("limit", PAGE_ROWS))
        except ValueError:
            return _reply(400, {"error": "after and limit must be whole numbers"})
        limit = min(max(wanted, 1), PAGE_ROWS_MAX)
        page = await self._storage.query(lambda db: CustomerCollection(db).page(after, limit))
        return _reply(200, {"customers": page})

    async def version(self, _request: web.Request) -> web.Response:
        """GET /admin/version."""
        return _reply(200, {"version": self._version.name})

    async def switch(self, request: web.Request) -> web.Response:
        """POST /admin/version: the writes that arrive from now on use it."""
        wanted = msgspec.json.decode(await request.read(), type=dict[str, str]).get("version")
        if wanted not in CENTS:
            return _reply(400, {"error": f"version must be one of {', '.join(CENTS)}"})
        self._version.name = wanted
        return await self.version(request)


async def main(database: Path, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests under way.

    Raises:
        OSError: The port is taken.
    """
    terminated = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, terminated.set)
    listening = socket.create_server(("127.0.0.1", port))
    schema = files("crossfade.demo").joinpath("new_schema.sql").read_text()
    with _connect(database) as setting_up:
        setting_up.executescript(schema)
    setting_up.close()
    storage = Storage(database)
    runner = web.AppRunner(Shop(storage).application(), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    _host, bound_port = listening.getsockname()
    announcement = {"service": "new", "host": "127.0.0.1", "port": bound_port}
    sys.stdout.write(json.dumps(announcement) + "\n")
    sys.stdout.flush()
    await terminated.wait()
    await runner.cleanup()
    storage.close()


if __name__ == "__main__":
    options = read_service_arguments("new")
    asyncio.run(main(options.database, options.port))
