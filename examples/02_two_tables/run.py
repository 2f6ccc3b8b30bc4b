"""Walk from `off` to `completed` while threads write both tables; then open both databases."""

import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from migration import shop
from shop_code import (
    LEGACY,
    NEW,
    cancel_order,
    find_customer,
    find_order,
    leave,
    place_order,
    rename,
    sign_up,
)

import crossfade

CUSTOMERS = 100
ORDERS = 300
CALLERS = 2
FEW = 10
"""So many customers and orders are always left."""
SECONDS_MAX = 60.0

LEGACY_TABLES = """
CREATE TABLE Customer (Id INTEGER PRIMARY KEY AUTOINCREMENT, FullName TEXT NOT NULL);
CREATE TABLE "Order" (
    Id INTEGER PRIMARY KEY AUTOINCREMENT,
    CustomerId INTEGER NOT NULL REFERENCES Customer (Id),
    Amount REAL NOT NULL
);
CREATE INDEX OrderCustomer ON "Order" (CustomerId);
"""
NEW_TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    placed_by INTEGER NOT NULL REFERENCES customers (id),
    amount_cents INTEGER NOT NULL
);
CREATE INDEX orders_placed_by ON orders (placed_by);
"""


def customer_of(order: int) -> int:
    """Who has placed one of the first orders."""
    return order % CUSTOMERS + 1


def make_databases() -> None:
    """Legacy with its customers and orders, new empty."""
    Path("data").mkdir(exist_ok=True)
    for file, tables in ((LEGACY, LEGACY_TABLES), (NEW, NEW_TABLES)):
        Path(file).unlink(missing_ok=True)
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(tables)
    with closing(sqlite3.connect(LEGACY)) as legacy, legacy:
        people = [(n, f"Customer {n}") for n in range(1, CUSTOMERS + 1)]
        legacy.executemany("INSERT INTO Customer VALUES (?, ?)", people)
        bought = [(n, customer_of(n), n / 4) for n in range(1, ORDERS + 1)]
        legacy.executemany('INSERT INTO "Order" VALUES (?, ?, ?)', bought)


class Caller(threading.Thread):
    """Part of the program: works all the time with a share of the customers, and notes it."""

    def __init__(self, number: int) -> None:
        super().__init__(name=f"caller {number}")
        self._chance = random.Random(number)  # noqa: S311 - traffic, repeatable
        mine = range(number + 1, CUSTOMERS + 1, CALLERS)
        self.customers = {customer: f"Customer {customer}" for customer in mine}
        self.orders = {
            order: (customer_of(order), order * 25)
            for order in range(1, ORDERS + 1)
            if customer_of(order) in mine
        }
        self.wrong: list[str] = []
        self.calls = 0
        self.over = threading.Event()

    def run(self) -> None:
        """Call until it is over; what it wrote is what it must read."""
        works = (self._sign_up, self._rename, self._order, self._order, self._cancel, self._leave)
        while not self.over.is_set():
            self.calls += 1
            self._chance.choice(works)()
            self._look()

    def _sign_up(self) -> None:
        name = f"{self.name}, {self.calls}"
        self.customers[sign_up(name)] = name

    def _rename(self) -> None:
        customer, name = self._chance.choice(list(self.customers)), f"renamed {self.calls}"
        rename(customer, name)
        self.customers[customer] = name

    def _order(self) -> None:
        customer = self._chance.choice(list(self.customers))
        self.orders[place_order(customer, self.calls)] = (customer, self.calls)

    def _cancel(self) -> None:
        if len(self.orders) < FEW:
            return
        order = self._chance.choice(list(self.orders))
        cancel_order(order)
        del self.orders[order]

    def _leave(self) -> None:
        """The orders first: the database would refuse it otherwise, on either side."""
        if len(self.customers) < FEW:
            return
        customer = self._chance.choice(list(self.customers))
        for order in [one for one, (whose, _) in self.orders.items() if whose == customer]:
            cancel_order(order)
            del self.orders[order]
        leave(customer)
        del self.customers[customer]

    def _look(self) -> None:
        customer = self._chance.choice(list(self.customers))
        if (name := find_customer(customer)) != self.customers[customer]:
            self.wrong.append(f"customer {customer}: {name}")
        if not self.orders:
            return
        order = self._chance.choice(list(self.orders))
        if (found := find_order(order)) != self.orders[order]:
            self.wrong.append(f"order {order}: {found}")


def crossfade_command(*words: str) -> None:
    """Type a command; what a gate refuses is asked again for a while, as evidence gathers."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        typed = [sys.executable, "-m", "crossfade", *words]
        ended = subprocess.run(typed, capture_output=True, text=True, check=False)
        if ended.returncode == 0:
            print("$ crossfade", *words)
            print(ended.stdout)
            return
        if time.monotonic() > until:
            raise SystemExit(f"crossfade {' '.join(words)}: {ended.stderr}")
        time.sleep(0.3)


def wait_until_settled() -> None:
    """The other side follows within moments of the last write; `status` says when it has."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        typed = [sys.executable, "-m", "crossfade", "status", "--json"]
        ended = subprocess.run(typed, capture_output=True, text=True, check=True)
        totals = json.loads(ended.stdout)["totals"]
        if totals["dirty"] == totals["open_intents"] == totals["quarantined"] == 0:
            return
        if time.monotonic() > until:
            raise SystemExit(f"it does not settle: {totals}")
        time.sleep(0.2)


def judge(callers: list[Caller]) -> None:
    """What the callers were told must be in both databases; nobody asks crossfade about that."""
    with closing(sqlite3.connect(LEGACY)) as legacy, closing(sqlite3.connect(NEW)) as new:
        customers = [
            dict(legacy.execute("SELECT Id, FullName FROM Customer")),
            dict(new.execute("SELECT id, name FROM customers")),
        ]
        orders = [
            {
                order: (customer, round(amount * 100))
                for order, customer, amount in legacy.execute(
                    'SELECT Id, CustomerId, Amount FROM "Order"'
                )
            },
            {
                order: (customer, cents)
                for order, customer, cents in new.execute(
                    "SELECT id, placed_by, amount_cents FROM orders"
                )
            },
        ]
    told: dict[int, str] = {}
    bought: dict[int, tuple[int, int]] = {}
    for caller in callers:
        told |= caller.customers
        bought |= caller.orders
        if caller.wrong:
            raise SystemExit(f"stale reads: {caller.wrong}")
    if not customers[0] == customers[1] == told:
        raise SystemExit("a write of a customer was lost")
    if not orders[0] == orders[1] == bought:
        raise SystemExit("a write of an order was lost")
    print(
        f"{len(told)} customers, {len(bought)} orders: both databases hold every acknowledged "
        "write, and nothing else."
    )


def main() -> None:
    """The whole story."""
    make_databases()
    crossfade_command("doctor", "--apply")
    callers = [Caller(number) for number in range(CALLERS)]
    with crossfade.running(shop):
        for caller in callers:
            caller.start()
        try:
            crossfade_command("stage", "promote", "shadow")
            crossfade_command("backfill", "start")
            crossfade_command("verify")
            crossfade_command("stage", "promote", "live")
            crossfade_command("stage", "rollback", "shadow", "--reason", "because we can")
            crossfade_command("stage", "promote", "live")
            crossfade_command("stage", "promote", "completed")
        finally:
            for caller in callers:
                caller.over.set()
            for caller in callers:
                caller.join()
        wait_until_settled()
        crossfade_command("status")
    judge(callers)


if __name__ == "__main__":
    main()
