"""The program's own code: what it does with customers and orders, the old way and the new way."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from migration import customers, orders, shop

LEGACY = "data/legacy.db"
NEW = "data/new.db"
BUSY_SECONDS_MAX = 10.0


@contextmanager
def _database(file: str) -> Iterator[sqlite3.Connection]:
    """One transaction; the database itself refuses an order of nobody."""
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS_MAX)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        with connection:
            yield connection
    finally:
        connection.close()


def _write(file: str, statement: str, *values: object) -> int:
    """Change one row; returns the id that the database has given to a new one."""
    with _database(file) as database:
        return database.execute(statement, values).lastrowid or 0


# What the program did until now.


def legacy_sign_up(name: str) -> int:
    """Make a customer."""
    return _write(LEGACY, "INSERT INTO Customer (FullName) VALUES (?)", name)


def legacy_rename(customer: int, name: str) -> None:
    """Give a customer another name."""
    _write(LEGACY, "UPDATE Customer SET FullName = ? WHERE Id = ?", name, customer)


def legacy_leave(customer: int) -> None:
    """Forget a customer who has no orders."""
    _write(LEGACY, "DELETE FROM Customer WHERE Id = ?", customer)


def legacy_place_order(customer: int, cents: int) -> int:
    """Make an order of a customer."""
    order = 'INSERT INTO "Order" (CustomerId, Amount) VALUES (?, ?)'
    return _write(LEGACY, order, customer, cents / 100)


def legacy_cancel_order(order: int) -> None:
    """Forget an order."""
    _write(LEGACY, 'DELETE FROM "Order" WHERE Id = ?', order)


def legacy_find_customer(customer: int) -> str | None:
    """A customer's name."""
    with _database(LEGACY) as database:
        found = database.execute("SELECT FullName FROM Customer WHERE Id = ?", (customer,))
        row = found.fetchone()
    return None if row is None else row[0]


def legacy_find_order(order: int) -> tuple[int, int] | None:
    """Who has placed an order, and for how many cents."""
    with _database(LEGACY) as database:
        found = database.execute('SELECT CustomerId, Amount FROM "Order" WHERE Id = ?', (order,))
        row = found.fetchone()
    return None if row is None else (row[0], round(row[1] * 100))


# What the rest of the program calls: the bodies are the new way.


@shop.operation(writes=customers, created=int, legacy=legacy_sign_up)
def sign_up(name: str) -> int:
    """Make a customer; whichever side has authority makes the id."""
    return _write(NEW, "INSERT INTO customers (name) VALUES (?)", name)


@shop.operation(writes=customers, key="customer", legacy=legacy_rename)
def rename(customer: int, name: str) -> None:
    """Give a customer another name."""
    _write(NEW, "UPDATE customers SET name = ? WHERE id = ?", name, customer)


@shop.operation(writes=customers, key="customer", legacy=legacy_leave)
def leave(customer: int) -> None:
    """Forget a customer who has no orders."""
    _write(NEW, "DELETE FROM customers WHERE id = ?", customer)


@shop.operation(writes=orders, created=int, legacy=legacy_place_order)
def place_order(customer: int, cents: int) -> int:
    """Make an order of a customer."""
    order = "INSERT INTO orders (placed_by, amount_cents) VALUES (?, ?)"
    return _write(NEW, order, customer, cents)


@shop.operation(writes=orders, key="order", legacy=legacy_cancel_order)
def cancel_order(order: int) -> None:
    """Forget an order."""
    _write(NEW, "DELETE FROM orders WHERE id = ?", order)


@shop.operation(reads=customers, key="customer", legacy=legacy_find_customer)
def find_customer(customer: int) -> str | None:
    """A customer's name."""
    with _database(NEW) as database:
        found = database.execute("SELECT name FROM customers WHERE id = ?", (customer,))
        row = found.fetchone()
    return None if row is None else row[0]


@shop.operation(reads=orders, key="order", legacy=legacy_find_order)
def find_order(order: int) -> tuple[int, int] | None:
    """Who has placed an order, and for how many cents."""
    with _database(NEW) as database:
        found = database.execute(
            "SELECT placed_by, amount_cents FROM orders WHERE id = ?", (order,)
        )
        row = found.fetchone()
    return None if row is None else (row[0], row[1])
