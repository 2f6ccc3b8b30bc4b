"""One writer's traffic: random writes of all eleven tables, each noted before and after."""

import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import psycopg
import pymysql

from crossfade.errors import (
    KeyHeldError,
    LedgerError,
    NotRunningError,
    OutcomeUnknownError,
    UpstreamFailedError,
    WritesHeldError,
)
from tests.acceptance.chinook.definition import Operations
from tests.acceptance.chinook.neutral import COLUMNS, KEYS, LINES, TEXT, Key, Row, key_of
from tests.acceptance.chinook.services import Written
from tests.acceptance.chinook.writer_state import CONTESTED, State
from tests.acceptance.chinook.writes import Change, Log, Write, now

REFUSED = (WritesHeldError, KeyHeldError, LedgerError, UpstreamFailedError, NotRunningError)
"""Errors of crossfade that say that nothing was written."""
ROLLED_BACK = (sqlite3.OperationalError, psycopg.OperationalError, pymysql.err.OperationalError)
"""A lock, a deadlock: the service's transaction ended without a trace."""

_PRICES = ("0.99", "1.99", "12.50", "0.05")


class Traffic:
    """Writes at random, and looks whether what it was told holds."""

    def __init__(
        self, name: str, operations: dict[str, Operations], state: State, log: Log
    ) -> None:
        self._name = name
        self._operations = operations
        self._state = state
        self._log = log
        self._number = 0
        self._chance = random.Random(state.chance.random())
        self._kinds: list[tuple[Callable[[], None], int]] = [
            (self._change, 30), (self._make, 22), (self._remove, 14), (self._invoice_lines, 12),
            (self._contested, 6), (self._pair, 12), (self._leave, 1),
        ]  # fmt: skip

    def step(self) -> None:
        """One write, and now and then a look at a record."""
        works, weights = zip(*self._kinds, strict=True)
        self._chance.choices(works, weights)[0]()
        if self._chance.random() < 0.6:
            self._look()

    # What is written.

    def _change(self) -> None:
        """A text of another record, or what it points to."""
        entity = self._chance.choice([one for one in TEXT if one != CONTESTED])
        key = self._state.own(entity)
        if key is None:
            return
        fields = {TEXT[entity]: self._text(entity), **self._other_fields(entity)}
        write = self._write(Change(entity, "update", key, fields))
        if self._done(write, lambda: self._operations[entity].change(key, fields)):
            self._state.rows[entity][key] |= fields

    def _other_fields(self, entity: str) -> Row:
        if entity == "employee":
            boss = self._state.any_of("employee") if self._chance.random() < 0.8 else None
            return {"reports_to": boss}
        if entity == "track":
            return {"unit_price": self._price(), "album_id": self._state.any_of("album")}
        if entity == "album":
            return {"artist_id": self._state.any_of("artist")}
        if entity == "customer":
            return {"support_rep_id": self._state.any_of("employee"), "company": "Ł&Ö 'quoted'\n"}
        return {}

    def _make(self) -> None:
        """A new record, whose id the authority makes; an invoice with its lines."""
        entity = self._chance.choice(
            ["artist", "album", "track", "playlist", "employee", "customer", "invoice", "invoice"]
        )
        row = self._new_row(entity)
        if row is not None:
            self._make_record(entity, row)

    def _make_record(self, entity: str, row: Row) -> None:
        lines = row.get(LINES, [])
        plain = {name: value for name, value in row.items() if name != LINES}
        write = self._write(
            Change(entity, "insert", None, plain),
            *(Change("invoice_line", "insert", None, line) for line in lines),
        )
        written: list[Written] = []

        def make() -> None:
            written.append(self._operations[entity].create(row))

        if self._done(write, make, lambda: _name(write, written[0])):
            key = write.changes[0].key
            assert key is not None
            known = [change.fields for change in write.changes[1:]]
            row = write.changes[0].fields | ({LINES: known} if entity == "invoice" else {})
            self._state.keep(entity, key, row)

    def _remove(self) -> None:
        """A record that nothing points to; an invoice with its lines."""
        entity = self._chance.choice(
            ["artist", "album", "track", "playlist", "employee", "customer", "invoice"]
        )
        key = self._state.own(entity, made=True)
        if key is not None and not self._state.is_pointed_to(entity, key):
            self._remove_record(entity, key)

    def _remove_record(self, entity: str, key: Key) -> bool:
        row = self._state.rows[entity][key]
        lines = [Change("invoice_line", "delete", key_of("invoice_line", line))
                 for line in row.get(LINES, ())]  # fmt: skip
        write = self._write(Change(entity, "delete", key), *lines)
        if self._done(write, lambda: self._operations[entity].remove(key)):
            self._state.forget(entity, key)
        return write.outcome == "done"

    def _invoice_lines(self) -> None:
        """Lines come and go, and the total with them; one transaction of three statements."""
        key = self._state.own("invoice")
        if key is None:
            return
        row = self._state.rows["invoice"][key]
        taken = [line for line in row[LINES] if self._chance.random() < 0.3]
        added = [self._line() for _ in range(self._chance.randrange(3))]
        kept = [line for line in row[LINES] if line not in taken]
        total = _total([*kept, *added])
        write = self._write(
            Change("invoice", "update", key, {"total": total}),
            *(Change("invoice_line", "delete", key_of("invoice_line", line)) for line in taken),
            *(Change("invoice_line", "insert", None, line | {"invoice_id": key[0]})
              for line in added),
        )  # fmt: skip
        ids = [line["invoice_line_id"] for line in taken]
        written: list[Written] = []

        def change() -> None:
            change_lines = self._operations["invoice"].change_lines
            written.append(change_lines(key, total, added, ids))

        if self._done(write, change, lambda: _name(write, written[0])):
            new = [change.fields for change in write.changes if change.kind == "insert"]
            row |= {"total": total, LINES: [*kept, *new]}

    def _contested(self) -> None:
        """A name that every writer writes: the last one stays, whichever that was."""
        key = (self._chance.randint(1, 3),)
        fields = {TEXT[CONTESTED]: self._text(CONTESTED)}
        write = self._write(Change(CONTESTED, "update", key, fields))
        write.contested = True
        self._done(write, lambda: self._operations[CONTESTED].change(key, fields))
        self._find(CONTESTED, key)

    def _pair(self) -> None:
        """A track comes into a playlist, or goes; its key has two columns."""
        if self._chance.random() < 0.5:
            key = self._state.own("playlist_track")
            if key is not None:
                self._remove_record("playlist_track", key)
            return
        playlist = self._state.own("playlist")
        if playlist is None:
            return
        key = (playlist[0], self._state.any_of("track"))
        if key in self._state.rows["playlist_track"]:
            return
        if ("playlist_track", key) in self._state.left_alone:
            return
        row: Row = dict(zip(KEYS["playlist_track"], key, strict=True))
        write = self._write(Change("playlist_track", "insert", key, row))
        if self._done(write, lambda: self._operations["playlist_track"].add(key, row)):
            self._state.keep("playlist_track", key, row)

    def _leave(self) -> None:
        """A customer of long standing leaves: first the invoices, then the customer."""
        key = self._state.own("customer")
        if key is None:
            return
        for invoice, row in list(self._state.rows["invoice"].items()):
            if row["customer_id"] == key[0] and ("invoice", invoice) not in self._state.left_alone:
                self._remove_record("invoice", invoice)
        if not self._state.is_pointed_to("customer", key):
            self._remove_record("customer", key)

    # What is looked at.

    def _look(self) -> None:
        """A record of its own must be as the writer was told that it is."""
        entity = self._chance.choice(list(self._operations))
        if entity == CONTESTED:
            self._find(entity, (self._chance.choice(self._state.shared[entity]),))
            return
        key = self._state.own(entity)
        if key is None:
            return
        expected = self._state.rows[entity][key]
        found = self._find(entity, key)
        if found not in (expected, REFUSED):
            self._log.wrong(f"{entity} {key} is {found}, and was written as {expected}")

    def _find(self, entity: str, key: Key) -> object:
        """What is there; `REFUSED` where nobody would say."""
        try:
            return self._operations[entity].find(key)
        except (*REFUSED, *ROLLED_BACK) as error:
            self._log.note(look=entity, error=_shown(error))
            return REFUSED

    # How.

    def _write(self, *changes: Change) -> Write:
        self._number += 1
        return Write(self._name, self._number, 0, list(changes))

    def _done(
        self,
        write: Write,
        call: Callable[[], object],
        learn: Callable[[], None] | None = None,
    ) -> bool:
        """Note, call, learn ids, note; whether the write was acknowledged."""
        write.began = now()
        self._log.begin(write)
        try:
            call()
        except (*REFUSED, *ROLLED_BACK) as error:
            write.outcome = "refused"
            self._log.note(refused=_shown(error))
        except OutcomeUnknownError as error:
            self._log.note(unknown=_shown(error))
            for change in write.changes:
                self._state.leave_alone(change.table, change.key, change.fields)
        except Exception as error:
            self._log.wrong(f"{write.changes[0]} raised {_shown(error)}")
            raise
        else:
            write.outcome = "done"
            if learn is not None:
                learn()
        self._log.end(write)
        return write.outcome == "done"

    def _text(self, entity: str) -> str:
        return f"{'é' if entity == 'artist' else ''}{self._name}-{self._number + 1}"

    def _price(self) -> str:
        return self._chance.choice(_PRICES)

    def _line(self) -> Row:
        track = self._state.any_of("track")
        return {"track_id": track, "unit_price": self._price(),
                "quantity": self._chance.randint(1, 5)}  # fmt: skip

    def _new_row(self, entity: str) -> Row | None:
        row: Row = dict.fromkeys(COLUMNS[entity]) | {TEXT[entity]: self._text(entity)}
        del row[KEYS[entity][0]]
        if entity == "album":
            row["artist_id"] = self._state.any_of("artist")
        elif entity == "track":
            row |= {
                "album_id": self._state.any_of("album"), "genre_id": None, "media_type_id": 1,
                "milliseconds": self._chance.randint(1, 10**7), "unit_price": self._price(),
            }  # fmt: skip
        elif entity == "employee":
            row |= {
                "first_name": "Zoë", "birth_date": "1979-02-28 00:00:00", "city": "Łódź",
                "reports_to": self._state.any_of("employee"),
            }  # fmt: skip
        elif entity == "customer":
            rep = self._state.any_of("employee")
            row |= {"first_name": "", "email": "a@example.com", "support_rep_id": rep}
        elif entity == "invoice":
            return self._new_invoice(row)
        return row

    def _new_invoice(self, row: Row) -> Row | None:
        customer = self._state.own("customer")
        if customer is None:
            return None
        lines = [self._line() for _ in range(self._chance.randint(1, 4))]
        day = self._chance.randint(1, 28)
        return row | {
            "customer_id": customer[0], "invoice_date": f"2014-02-{day:02} 00:00:00",
            "total": _total(lines), LINES: lines,
        }  # fmt: skip


def _name(write: Write, written: Written) -> None:
    """Give the rows that were inserted the ids that the database has made."""
    ids = iter(written.line_ids)
    for place, change in enumerate(write.changes):
        if change.kind != "insert":
            continue
        made = next(ids) if change.table == "invoice_line" else written.id
        assert made is not None
        fields = {KEYS[change.table][0]: made, **change.fields}
        if change.table == "invoice_line":
            fields.setdefault("invoice_id", written.id)
        ordered = {name: fields[name] for name in COLUMNS[change.table]}
        write.changes[place] = replace(change, key=(made,), fields=ordered)


def _total(lines: list[Row]) -> str:
    total = sum((Decimal(line["unit_price"]) * line["quantity"] for line in lines), Decimal(0))
    return f"{total:.2f}"


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
