"""The demo shop's data, generated from a seed: the same customers and orders every time.

``python -m crossfade.demo.data --legacy-db FILE --new-db FILE`` fills the legacy database and
gives the new one its empty tables.
"""

import argparse
import random
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

CustomerRow = tuple[int, str, str, str | None, str, float]
"""CustomerId, FullName, Email, City, Note, Credit in units."""

OrderRow = tuple[int, int, str, str, float]
"""OrderId, CustomerId, PlacedAt, Status, Total in units."""

LineRow = tuple[int, int, str, int, float]
"""OrderId, LineNumber, Sku, Quantity, UnitPrice in units."""

GIVEN_NAMES = (
    *("Ada", "Grace", "Zoë", "Søren", "Łukasz", "Jürgen", "Chloé", "Iñaki", "Åsa", "Siân"),
    *("Дмитрий", "Ελένη", "さくら", "伟", "지우", "محمد", "נועה", "अनिता", "N'Golo", "Ana María"),
)
FAMILY_NAMES = (
    *("Lovelace", "O'Brien", "Müller", "Nguyễn", "García-López", "Øvergård", "Šimůnek", "Ivanov"),
    *("Παπαδοπούλου", "Достоевский", "田中", "王", "김", "الفارسي", "כהן", "शर्मा", "van der Berg"),
)
CITIES = ("Zürich", "København", "Łódź", "São Paulo", "北京", "Αθήνα", "Oslo", "Québec", "القاهرة")
NOTES = ("", "prefers e-mail", 'says "hello"', "naïve; 50 % off 🎉", "line one\nline two", "\\o/")
STATUSES = ("open", "paid", "shipped")
PRICE_ENDINGS_CENTS = (99, 95, 49, 35, 15, 10, 29, 57)
"""Many of them are no exact floating-point number: 19.99 * 100 is 1998.9999999999998."""

LINES_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoData:
    """How much is generated, and from which seed."""

    seed: int = 1
    customers: int = 20_000
    """Customers, with ids from 1."""
    orders: int = 20_000
    """Orders, with ids from 1; each has up to four lines, one in five hundred has none."""

    def customer_rows(self) -> Iterator[CustomerRow]:
        """Every customer, lowest id first."""
        chance = random.Random(f"customers/{self.seed}")  # noqa: S311 - made-up data
        for customer_id in range(1, self.customers + 1):
            name = f"{chance.choice(GIVEN_NAMES)} {chance.choice(FAMILY_NAMES)}"
            city = None if chance.random() < 0.15 else chance.choice(CITIES)  # noqa: PLR2004
            yield (
                customer_id,
                name,
                f"customer-{customer_id}@example.com",
                city,
                chance.choice(NOTES),
                _price_cents(chance) / 100,
            )

    def order_rows(self) -> Iterator[tuple[OrderRow, list[LineRow]]]:
        """Every order with its lines, lowest id first."""
        chance = random.Random(f"orders/{self.seed}")  # noqa: S311 - made-up data
        for order_id in range(1, self.orders + 1):
            line_count = chance.randint(1, LINES_MAX) if order_id % 500 else 0
            lines: list[LineRow] = []
            total_cents = 0
            for number in range(1, line_count + 1):
                cents, quantity = _price_cents(chance), chance.randint(1, 9)
                total_cents += quantity * cents
                sku = f"SKU-{chance.randint(1, 5_000)}"
                lines.append((order_id, number, sku, quantity, cents / 100))
            order = (
                order_id,
                chance.randint(1, max(self.customers, 1)),
                _moment(chance),
                chance.choice(STATUSES),
                total_cents / 100,
            )
            yield order, lines


def create_databases(data: DemoData, *, legacy: Path, new: Path) -> None:
    """Fill a fresh legacy file and make the new one's empty tables; both in WAL mode.

    The rows are one transaction: after a crash the legacy tables are empty, and a second call
    fills them.

    Raises:
        sqlite3.IntegrityError: The legacy file already holds rows.
    """
    _create_tables(new, "new_schema.sql")
    _create_tables(legacy, "legacy_schema.sql")
    connection = sqlite3.connect(legacy)
    try:
        with connection:
            connection.executemany(
                "INSERT INTO Customer VALUES (?, ?, ?, ?, ?, ?)", data.customer_rows()
            )
            orders: list[OrderRow] = []
            lines: list[LineRow] = []
            for order, its_lines in data.order_rows():
                orders.append(order)
                lines.extend(its_lines)
            connection.executemany('INSERT INTO "Order" VALUES (?, ?, ?, ?, ?)', orders)
            connection.executemany("INSERT INTO OrderLine VALUES (?, ?, ?, ?, ?)", lines)
    finally:
        connection.close()


def keep_snapshot(database: Path, snapshot: Path) -> None:
    """Copy a database, as it is at this moment, into a new file that nobody writes."""
    connection = sqlite3.connect(database)
    try:
        connection.execute("VACUUM INTO ?", (str(snapshot),))
    finally:
        connection.close()


def _create_tables(file: Path, schema: str) -> None:
    connection = sqlite3.connect(file)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(files("crossfade.demo").joinpath(schema).read_text())
    finally:
        connection.close()


def _price_cents(chance: random.Random) -> int:
    return chance.randint(0, 400) * 100 + chance.choice(PRICE_ENDINGS_CENTS)


def _moment(chance: random.Random) -> str:
    month, day = chance.randint(1, 12), chance.randint(1, 28)
    hour, minute, second = chance.randint(0, 23), chance.randint(0, 59), chance.randint(0, 59)
    return f"2026-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}Z"


def main() -> None:
    """Read the command line and create both databases."""
    defaults = DemoData()
    parser = argparse.ArgumentParser(description="Generate the demo shop's data.")
    parser.add_argument("--legacy-db", type=Path, required=True)
    parser.add_argument("--new-db", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--customers", type=int, default=defaults.customers)
    parser.add_argument("--orders", type=int, default=defaults.orders)
    options = parser.parse_args()
    data = DemoData(seed=options.seed, customers=options.customers, orders=options.orders)
    create_databases(data, legacy=options.legacy_db, new=options.new_db)
    sys.stdout.write(f"{data.customers} customers and {data.orders} orders\n")


if __name__ == "__main__":
    main()
