"""Two services that are as fast as SQLite lets them be: `-m bench.node_load_services FOLDER`.

Prints the ports of legacy and new as its first line, then serves until it is ended. Each has its
own database and its own data model, so that the node has something to map.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from bench.event_loop import fastest_loop
from bench.node_load import KEYS
from crossfade.gateway.server import bind

LEGACY_FILE, NEW_FILE = "legacy.db", "new.db"

_LEGACY_TABLE = "CREATE TABLE Item (ItemId INTEGER PRIMARY KEY, Title TEXT NOT NULL, Price REAL)"
_NEW_TABLE = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, cents INTEGER)"
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: fast\r\nContent-Length: %d\r\n"
    b"\r\n"
)
_MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Shop:
    """One side's items over its database; the two sides differ in names and money."""

    def __init__(self, file: Path, *, legacy: bool) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        # The services are not what is measured, so they do not wait for the disk.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA busy_timeout = 5000")
        self._factor = 100 if legacy else 1
        table, key, name, amount = (
            ("Item", "ItemId", "Title", "Price") if legacy else ("items", "id", "name", "cents")
        )
        self._find = f"SELECT {name}, {amount} FROM {table} WHERE {key} = ?"  # noqa: S608 - ours
        self._save = f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)"  # noqa: S608 - ours

    def get(self, key: int, _body: bytes) -> bytes | None:
        """The item as JSON; None where there is none."""
        row = self._connection.execute(self._find, (key,)).fetchone()
        if row is None:
            return None
        return _encode({"id": key, "name": row[0], "cents": round(row[1] * self._factor)})

    def put(self, key: int, body: bytes) -> bytes | None:
        """Keep the item; its JSON as it is now."""
        item = _decode(body)
        self._connection.execute(self._save, (key, item["name"], item["cents"] / self._factor))
        return _encode({"id": key, "name": item["name"], "cents": item["cents"]})


class ShopProtocol(asyncio.Protocol):
    """HTTP/1.1 as far as the benchmark speaks it: heads in one piece, bodies by length."""

    def __init__(self, shop: Shop) -> None:
        self._methods = {b"GET": shop.get, b"PUT": shop.put}
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n") + 4) >= 4:
            head = self._buffer[:end]
            length = _length(head)
            if len(self._buffer) < end + length:
                return
            body, self._buffer = self._buffer[end : end + length], self._buffer[end + length :]
            method, path, _ = head.split(b" ", 2)
            answered = self._methods[method](int(path.rpartition(b"/")[2]), body)
            self._transport.write(
                _MISSING if answered is None else _HEAD % len(answered) + answered
            )


def make_databases(folder: Path) -> None:
    """Both databases with the same items in them."""
    rows = [(key, f"item {key}", key * 7 % 100_000) for key in range(1, KEYS + 1)]
    _make(folder / LEGACY_FILE, _LEGACY_TABLE, [(key, name, n / 100) for key, name, n in rows])
    _make(folder / NEW_FILE, _NEW_TABLE, rows)


def different_rows(folder: Path) -> int:
    """How many items differ between the two databases."""
    found = []
    for name, query in (
        (LEGACY_FILE, "SELECT ItemId, Title, CAST(round(Price * 100) AS INTEGER) FROM Item"),
        (NEW_FILE, "SELECT id, name, cents FROM items"),
    ):
        connection = sqlite3.connect(folder / name)
        found.append(set(connection.execute(query)))
        connection.close()
    return len(found[0] ^ found[1])


def _make(file: Path, table: str, rows: list[tuple[Any, ...]]) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(table)
        name = table.split()[2]
        connection.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", rows)  # noqa: S608 - ours
    connection.close()


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve(folder: Path) -> None:
    """Both services in one process, until it is ended."""
    loop = asyncio.get_running_loop()
    ports = []
    for name, legacy in ((LEGACY_FILE, True), (NEW_FILE, False)):
        bound = bind("127.0.0.1", 0)
        await loop.create_server(_protocols(Shop(folder / name, legacy=legacy)), sock=bound)
        ports.append(bound.getsockname()[1])
    print(*ports, flush=True)
    await asyncio.Event().wait()


def _protocols(shop: Shop) -> Callable[[], ShopProtocol]:
    return lambda: ShopProtocol(shop)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(serve(Path(sys.argv[1])))
