"""Several records of one database in one transaction: all of them, or none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crossfade.errors import StoreUnreachableError
from crossfade.model.key import RecordName
from crossfade.store.base import NAMES_MAX, OK, PutResult, PutStatus, Together
from crossfade.store.sql_binding import BoundBatch, key_text
from crossfade.store.sql_conflict import other_key, same_values
from crossfade.store.sql_connections import Work
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_dialect import CannotHoldError, Cursor, Violation, ViolationError
from crossfade.store.sql_parking import Parking
from crossfade.store.sql_parts import StoreParts


@dataclass(frozen=True, slots=True)
class _Part:
    """One record, bound."""

    name: RecordName
    text: str
    token: int
    epoch: int
    parts: StoreParts
    batch: BoundBatch | None
    """None where the record shall go."""
    first: BoundBatch | None
    """The record without what it may point to later."""
    parked: bool


class SqlTogether:
    """One `put_together`: made for one call.

    First what the rows have and shall not keep is parked; then all are put without what they may
    point to, parents first; then those that shall go are deleted, children first; then all are
    put as they shall be.
    """

    def __init__(self, database: SqlDatabase, group: str, records: Sequence[Together]) -> None:
        self._database = database
        self._group = group
        self._records = records
        self._parts: list[_Part] = []
        self.entity = ""
        """Of the record that is looked at now, or was when it was refused."""
        self._parking = Parking(
            database.schema, database.points, group, {one.name for one in records}
        )

    def prepared(self) -> Work[PutResult]:
        """Bind every record; returns the transaction's work.

        Raises:
            CannotHoldError: a table cannot hold a record.
            StoreUnreachableError: the store of one of the entities was not opened yet.

        """
        order = self._database.schema.parents_first(
            list(dict.fromkeys(one.name.entity for one in self._records)), self._group
        )
        # Obstacles come behind what they are in the way of: parents last, and here first.
        self._parts = [
            self._bound(one)
            for entity in order
            for one in reversed(self._records)
            if one.name.entity == entity
        ]
        ledger = self._database.ledger
        return lambda cursor: self._put(cursor, ledger)

    def explained(self, cursor: Cursor, violation: Violation) -> PutResult:
        """What the database refused, with the records that are in the way."""
        status, reason = violation.status, violation.reason
        if status is PutStatus.UNIQUE:
            return self._explained_unique(cursor, violation)
        missing: tuple[RecordName, ...] = ()
        if status is PutStatus.FOREIGN_KEY and not violation.in_the_way:
            missing = self._missing(cursor)
        return PutResult(
            status, reason, of=self.entity, missing=missing, in_the_way=violation.in_the_way
        )

    def _missing(self, cursor: Cursor) -> tuple[RecordName, ...]:
        """What is pointed to and neither there nor put; else what is put and too late."""
        found = dict.fromkeys(
            name
            for part in self._parts
            if part.batch is not None
            for name in self._database.points.missing(cursor, part.parts.reading, part.batch)
        )
        goes = {part.name: None for part in self._parts if part.batch is None}
        comes = {part.name for part in self._parts if part.batch is not None}
        # What goes is there still, now that nothing was changed.
        pointed_to = [name for name in goes if name not in found]
        lacking = [name for name in found if name not in comes]
        return tuple(lacking or pointed_to or found)[:NAMES_MAX]

    def _explained_unique(self, cursor: Cursor, violation: Violation) -> PutResult:
        """Whoever has the value outside of these records, else who of them wants it, too."""
        place, mine = violation.place, [one for one in self._parts if one.batch is not None]
        found: PutResult | None = None
        for one in mine:
            assert one.batch is not None  # noqa: S101 - for the type checker
            keys = {other.name.key for other in self._parts if other.parts is one.parts}
            owner = other_key(cursor, one.parts.reading, place, one.batch, keys)
            if owner is not None:
                return PutResult(violation.status, violation.reason, owner, of=one.name.entity)
            for other in mine:
                if found is not None or other is one or other.parts is not one.parts:
                    continue
                assert other.batch is not None  # noqa: S101 - for the type checker
                if same_values(cursor, one.parts.reading, place, one.batch, other.batch):
                    key = other.name.key
                    found = PutResult(violation.status, violation.reason, key, of=one.name.entity)
        return found or PutResult(violation.status, violation.reason, of=self.entity)

    def _bound(self, one: Together) -> _Part:
        entity, key = one.name
        parts = self._database.parts.get((self._group, entity))
        if parts is None:
            raise StoreUnreachableError(
                f"the table of {entity} in {self._database.name} was not opened yet. Try again."
            )
        self.entity = entity
        batch = first = None
        if one.record is not None:
            batch = parts.binder.bind({key: one.record})
            first = parts.binder.bind({key: self._parking.without_pointers(parts, one.record)})
        fence = one.fence
        text = key_text(key)
        return _Part(one.name, text, fence.token, fence.epoch, parts, batch, first, one.parked)

    def _put(self, cursor: Cursor, ledger: tuple[str, int] | None) -> PutResult:
        self._keep_tokens(cursor, ledger)
        self._database.dialect.defer_constraints(cursor)
        names = {part.name for part in self._parts}
        gone = [part for part in reversed(self._parts) if part.batch is None and _can_exist(part)]
        for part in self._looked_at(self._parts):
            if part.batch is not None or part in gone:
                self._parking.park(cursor, part.parts, part.name.key, part.batch)
        for part in self._looked_at(self._parts):
            if part.first is not None:
                part.parts.putting.write(cursor, part.first, names)
        for part in self._looked_at(gone):
            part.parts.putting.remove(cursor, part.name.key, names)
        for part in self._looked_at(self._parts):
            if part.batch is not None and not part.parked:
                part.parts.putting.write(cursor, part.batch, names)
        return OK

    def _looked_at(self, parts: Sequence[_Part]) -> Iterator[_Part]:
        for part in parts:
            self.entity = part.name.entity
            yield part

    def _keep_tokens(self, cursor: Cursor, ledger: tuple[str, int] | None) -> None:
        fences = self._database.fences
        for epoch in {part.epoch for part in self._parts}:
            found = fences.check_epoch(cursor, epoch, ledger)
            if found.status is not PutStatus.OK:
                raise ViolationError(Violation(found.status, found.reason))
        # In one order, so that two of these never wait for each other here.
        for part in sorted(self._parts, key=lambda part: (part.name.entity, part.text)):
            if fences.keep_tokens(cursor, part.name.entity, [part.text], part.token):
                reason = f"a higher token was seen for {part.name}"
                raise ViolationError(Violation(PutStatus.FENCED, reason))


def _can_exist(part: _Part) -> bool:
    try:
        part.parts.binder.check_key(part.name.key)
    except CannotHoldError:
        return False
    return True
