"""Hand-made evidence for the demo's judge: two small databases and a history file."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfade.demo.data import DemoData, create_databases, keep_snapshot
from crossfade.demo.history import Body, value_of
from crossfade.demo.mappings import customer_to_new, order_to_new
from crossfade.demo.oracle import Evidence, Verdict, judge_demo

SMALL = DemoData(seed=5, customers=4, orders=4)

CUSTOMER: Body = {
    "name": "Ada",
    "email": "ada@example.com",
    "city": None,
    "note": "first",
    "credit": "19.99",
}
ORDER: Body = {
    "customer": 1,
    "placed_at": "2026-01-02T03:04:05Z",
    "status": "open",
    "total": "29.97",
    "lines": [{"line": 1, "sku": "A", "quantity": 3, "price": "9.99"}],
}


@dataclass(slots=True)
class Scene:
    """A demo in a folder, in which a test lets things happen."""

    folder: Path
    _operations: int = 0

    @property
    def evidence(self) -> Evidence:
        """Its files, legacy being the authority."""
        return Evidence(
            histories=(self.folder / "history.ndjson",),
            initial=self.folder / "initial.db",
            legacy=self.folder / "legacy.db",
            new=self.folder / "new.db",
            authority="legacy",
        )

    def happened(self, kind: str, key: int | None, start: float, end: float, **facts: Any) -> None:  # noqa: ANN401 - fields of a history line
        """Append one attempt with its outcome, acknowledged unless said otherwise.

        Facts are fields of the outcome, and ``entity``, ``wrote`` and ``made`` (a new key).
        """
        self._operations += 1
        attempt = {
            "id": self._operations,
            "client": "test",
            "kind": kind,
            "entity": facts.pop("entity", "customer"),
            "key": key,
            "value": facts.pop("wrote", None),
            "start": start,
        }
        self._append(attempt)
        if facts.get("outcome") != "none":
            ending = {"outcome": "acknowledged", "status": 200, **facts}
            if "made" in ending:
                ending["key"] = ending.pop("made")
            self._append({"id": self._operations, "end": end, **ending})

    def store(self, side: str, statement: str, *values: object) -> None:
        """Change one side's database directly."""
        with closing(sqlite3.connect(self.folder / f"{side}.db")) as connection, connection:
            assert connection.execute(statement, values).rowcount != 0

    def set_note(self, key: int, note: str) -> str:
        """Let a customer hold this note on both sides; returns the value it then has."""
        self.store("legacy", "UPDATE Customer SET Note = ? WHERE CustomerId = ?", note, key)
        self.store("new", "UPDATE customers SET note = ? WHERE id = ?", note, key)
        return self.value_of_customer(key, note)

    def value_of_customer(self, key: int, note: str | None = None) -> str:
        """The value of a generated customer, perhaps with another note."""
        _id, name, email, city, initial_note, credit = list(SMALL.customer_rows())[key - 1]
        note = initial_note if note is None else note
        body = {"name": name, "email": email, "city": city, "note": note}
        return value_of({**body, "credit": f"{credit:.2f}"})

    def judged(self) -> Verdict:
        """The verdict on everything so far."""
        return judge_demo(self.evidence)

    def _append(self, line: dict[str, Any]) -> None:
        with self.evidence.histories[0].open("a") as stream:
            stream.write(json.dumps(line) + "\n")


def make_scene(folder: Path) -> Scene:
    """A demo that has been copied completely and in which nothing has happened yet."""
    scene = Scene(folder)
    create_databases(SMALL, legacy=scene.evidence.legacy, new=scene.evidence.new)
    keep_snapshot(scene.evidence.legacy, scene.evidence.initial)
    copy_everything(scene.evidence.legacy, scene.evidence.new)
    scene.evidence.histories[0].touch()
    return scene


def copy_everything(legacy: Path, new: Path) -> None:
    """Replace all that the new database holds by what the mappings make of the legacy one."""
    rows = _rows_of(legacy)
    lines = rows("SELECT * FROM OrderLine")
    customers = [customer_to_new(row) for row in rows("SELECT * FROM Customer")]
    orders = [
        order_to_new({**row, "lines": [x for x in lines if x["OrderId"] == row["OrderId"]]})
        for row in rows('SELECT * FROM "Order"')
    ]
    with closing(sqlite3.connect(new)) as connection, connection:
        connection.execute("DELETE FROM customers")
        connection.execute("DELETE FROM orders")
        connection.executemany(
            "INSERT INTO customers VALUES"
            " (:id, :display_name, :email, :city, :note, :credit_cents)",
            customers,
        )
        connection.executemany("INSERT INTO orders VALUES (:id, :customer_id, :document)", orders)


def _rows_of(database: Path) -> Callable[[str], list[dict[str, Any]]]:
    def rows(query: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(database)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]

    return rows
