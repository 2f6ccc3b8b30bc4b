"""Invoices with their lines: what both sides' services do with them, and who judges."""

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from crossfade.codec import encode
from crossfade.execution.calls import CallTag, Request
from crossfade.model.comparison import Observed
from crossfade.model.key import Key
from crossfade.model.operation import KeyFrom, KeyPlace, Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side
from crossfade.model.store_description import SqlTable

Invoice = dict[str, Any]
"""What callers mean by one: `customer`, `total` (Decimal), `lines` (article -> cents)."""

LEGACY_SCHEMA = """
CREATE TABLE Invoice (InvoiceId INTEGER PRIMARY KEY, Customer TEXT, Total DECIMAL(12, 2),
    Printed INTEGER DEFAULT 0);
CREATE TABLE InvoiceLine (InvoiceId INTEGER, Article TEXT, Cents INTEGER,
    PRIMARY KEY (InvoiceId, Article));
"""
KEYS = 40


@dataclass(frozen=True, slots=True)
class Done:
    """A service's answer: it did what was asked."""

    acknowledged: bool = True
    failed: bool = False
    refused: bool = False
    deferred: bool = False
    ambiguous: bool = False

    def observed(self) -> Observed | None:
        """See `Answer.observed`."""
        return None

    def created_key(self) -> Key | None:
        """See `Answer.created_key`."""
        return None


class LegacyService:
    """Keeps invoices in two tables of an SQLite file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "legacy.db"
        with sqlite3.connect(self.file) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(LEGACY_SCHEMA)
        connection.close()

    def table(self) -> SqlTable:
        """The aggregate, as a definition describes it."""
        url = f"sqlite:///{self.file}"
        lines = SqlTable(url, "InvoiceLine", parent="InvoiceId", key=("InvoiceId", "Article"))
        return SqlTable(url, "Invoice", key="InvoiceId", children={"lines": lines})

    async def put(self, number: int, invoice: Invoice | None) -> None:
        """Make, change or delete an invoice, in one transaction."""
        connection = sqlite3.connect(self.file, timeout=10)
        try:
            with connection:
                connection.execute("DELETE FROM InvoiceLine WHERE InvoiceId = ?", (number,))
                if invoice is None:
                    connection.execute("DELETE FROM Invoice WHERE InvoiceId = ?", (number,))
                    return
                values = (number, invoice["customer"], str(invoice["total"]))
                connection.execute(
                    "INSERT INTO Invoice (InvoiceId, Customer, Total) VALUES (?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET Customer = excluded.Customer, "
                    "Total = excluded.Total",
                    values,
                )
                connection.executemany(
                    "INSERT INTO InvoiceLine VALUES (?, ?, ?)",
                    [(number, article, cents) for article, cents in invoice["lines"].items()],
                )
        finally:
            connection.close()

    def everything(self) -> dict[int, Invoice]:
        """What the tables hold, read by nobody's mapping."""
        connection = sqlite3.connect(self.file, timeout=10)
        try:
            found: dict[int, Invoice] = {
                number: {"customer": customer, "total": Decimal(str(total)), "lines": {}}
                for number, customer, total in connection.execute(
                    "SELECT InvoiceId, Customer, Total FROM Invoice"
                )
            }
            for number, article, cents in connection.execute("SELECT * FROM InvoiceLine"):
                found[number]["lines"][article] = cents
        finally:
            connection.close()
        return found


def to_new(row: Invoice) -> Invoice:
    """Two tables as one document."""
    return {
        "id": row["InvoiceId"],
        "customer": {"name": row["Customer"]},
        "total": row["Total"],
        "lines": [{"article": line["Article"], "cents": line["Cents"]} for line in row["lines"]],
    }


def to_legacy(document: Invoice) -> Invoice:
    """One document as two tables; what is printed is legacy's own affair."""
    return {
        "InvoiceId": document["id"],
        "Customer": document["customer"]["name"],
        "Total": document["total"],
        "lines": [
            {"Article": line["article"], "Cents": line["cents"]} for line in document["lines"]
        ],
    }


def document_of(number: int, invoice: Invoice) -> Invoice:
    """An invoice as new's own service writes it."""
    return {
        "id": number,
        "customer": {"name": invoice["customer"]},
        "total": invoice["total"],
        "lines": [
            {"article": article, "cents": cents}
            for article, cents in sorted(invoice["lines"].items())
        ],
    }


def invoice_of(document: Mapping[str, Any]) -> Invoice:
    """What a document of new's says, read by nobody's mapping."""
    return {
        "customer": document["customer"]["name"],
        "total": Decimal(str(document["total"])),
        "lines": {line["article"]: line["cents"] for line in document["lines"]},
    }


Put = Callable[[int, Invoice | None], Awaitable[None]]
Write = Callable[[Request[Any]], Awaitable[object]]


@dataclass(slots=True)
class Callers:
    """Callers that write all the time; what they were told is done is what must be there."""

    services: Mapping[Side, Put]
    write: Write
    randomness: random.Random
    told: dict[int, Invoice | None] = field(default_factory=dict)
    """What was acknowledged last, by key; a key is written by one caller at a time."""
    writes: int = 0
    _stop: bool = False
    _locks: dict[int, asyncio.Lock] = field(default_factory=dict)

    async def run(self) -> None:
        """Write until `stop`."""
        while not self._stop:
            number = self.randomness.randrange(1, KEYS + 1)
            deletes = self.randomness.random() < 0.2
            await self.write_one(number, None if deletes else made(self.randomness))
            await asyncio.sleep(0.002)

    def stop(self) -> None:
        """No write begins any more."""
        self._stop = True

    async def write_one(self, number: int, invoice: Invoice | None) -> None:
        """One write, as a caller of the gateway makes it."""

        async def call(side: Side, tag: CallTag) -> Done:
            assert tag.intent is not None
            await self.services[side](number, invoice)
            return Done()

        async with self._locks.setdefault(number, asyncio.Lock()):
            await self.write(Request(OPERATION, ((number,),), call, replayable=False))
            self.told[number] = invoice
            self.writes += 1


OPERATION = Operation(
    name="PUT /invoices/{id}",
    kind=OperationKind.WRITE,
    entity="invoice",
    method="PUT",
    template="/invoices/{id}",
    key=KeyFrom(KeyPlace.PATH, ("id",)),
)


def made(randomness: random.Random) -> Invoice:
    """An invoice with up to five lines."""
    articles = randomness.sample("abcdefgh", randomness.randrange(0, 6))
    return {
        "customer": f"Zoë {randomness.randrange(10**6)}",
        "total": Decimal(randomness.randrange(10**7)).scaleb(-2),
        "lines": {article: randomness.randrange(2**53, 2**62) for article in articles},
    }


def as_json(document: Invoice) -> bytes:
    """A document as the new service stores it."""
    return encode(document)
