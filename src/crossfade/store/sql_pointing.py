"""Rows that point somewhere: who would be hit by a delete, and which parents are missing."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    MetaData,
    Table,
    and_,
    bindparam,
    literal_column,
    select,
)
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import NullType

from crossfade.model.entity_graph import Reference, parents_first
from crossfade.model.key import RecordName
from crossfade.store.base import NAMES_MAX, PutStatus
from crossfade.store.sql_binding import BoundBatch, BoundRows
from crossfade.store.sql_dialect import Cursor, Raw, Row, SqlDialect, Violation, ViolationError
from crossfade.store.sql_links import Pointing, SchemaLinks
from crossfade.store.sql_reading import SqlReading, TableReading
from crossfade.store.sql_statements import Statement, compiled, row_getter


class RowsThatPoint:
    """Questions about foreign keys, asked inside the transaction of a put."""

    def __init__(self, schema: SchemaLinks, dialect: SqlDialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._kept: dict[tuple[object, ...], Statement] = {}

    def check_gone(
        self,
        cursor: Cursor,
        table: TableReading,
        names: tuple[str, ...],
        values: Sequence[Row],
        but: Collection[RecordName],
    ) -> None:
        """Refuse to remove or rename rows to which records point that are not put with them.

        Whether the engine would refuse it, too, or change those rows by itself: either way they
        would no longer be what the ledger knows of them. The rows stay locked, so that none can
        be made to point to them before the transaction ends.

        Raises:
            ViolationError: names the records that point there.

        """
        pointing = self._schema.pointing_to(table.table.name)
        if not pointing:
            return
        found: dict[RecordName, None] = {}
        for row in values:
            lock = self._locking(table.table.name, names)
            cursor.execute(lock.sql, lock.parameters(row))
            cursor.fetchall()
            for one in pointing:
                found |= dict.fromkeys(self._pointing(cursor, one, names, row, but))
        if found:
            listed = tuple(found)[:NAMES_MAX]
            reason = f"rows that point to it are in the way: {listed[0]}"
            raise ViolationError(Violation(PutStatus.FOREIGN_KEY, reason, in_the_way=listed))

    def is_pointed_to(self, reading: SqlReading) -> bool:
        """Whether rows of any entity point to the tables of this one."""
        tables = (reading.main, *reading.children.values())
        return any(self.pointing_tables(one) for one in tables)

    def pointing_tables(self, table: TableReading) -> frozenset[str]:
        """The tables of any entity whose rows may point to this one's."""
        return frozenset(one.table for one in self._schema.pointing_to(table.table.name))

    def renamed_by(self, table: TableReading) -> frozenset[str]:
        """Columns outside the row's identity to which others point."""
        pointing = self._schema.pointing_to(table.table.name)
        referred = {name for one in pointing for name in one.reference.referred}
        return frozenset(referred.difference(table.table.identity))

    def parents_first(self, table: TableReading, wanted: BoundRows) -> BoundRows:
        """The rows in an order in which an engine that checks row by row takes them."""
        linked = self._schema.table(table.table.name)
        own = [one for one in linked.references if one.table == linked.name] if linked else []
        shape = wanted.shape
        usable = [
            one for one in own if {*one.columns, *one.referred}.issubset(shape.inserted)
        ]  # fmt: skip
        if not usable or len(wanted.rows) == 1:
            return wanted
        whole = [(*row, *shape.defaults) for row in wanted.rows]
        parents: list[list[int]] = [[] for _ in whole]
        for one in usable:
            there = _getter(shape.inserted, one.referred)
            mine = _getter(shape.inserted, one.columns)
            places = {there(row): place for place, row in enumerate(whole)}
            for place, row in enumerate(whole):
                parents[place] += [places[mine(row)]] if mine(row) in places else []
        order = parents_first(parents)
        rows = [wanted.rows[place] for place in order]
        return BoundRows(shape, [wanted.identities[place] for place in order], rows)

    def missing(
        self, cursor: Cursor, reading: SqlReading, batch: BoundBatch
    ) -> Iterator[RecordName]:
        """The records that a batch points to and that are not there."""
        yield from self._missing(cursor, reading.main, batch.groups)
        for name, children in batch.children.items():
            yield from self._missing(cursor, reading.children[name], children.groups)

    def _missing(
        self, cursor: Cursor, table: TableReading, groups: Sequence[BoundRows]
    ) -> Iterator[RecordName]:
        name = table.table.name
        linked = self._schema.table(name)
        group = self._schema.group_of(name)
        for reference in linked.references if linked else ():
            for shape, _, rows in groups:
                if not set(reference.columns).issubset(shape.inserted):
                    continue
                places = [shape.inserted.index(column) for column in reference.columns]
                for row in rows:
                    whole = (*row, *shape.defaults)
                    values = tuple(whole[place] for place in places)
                    if None in values or self._is_there(cursor, reference, values):
                        continue
                    missing = self._schema.name_of(reference, values, group)
                    if missing is not None:
                        yield missing

    def _is_there(self, cursor: Cursor, reference: Reference, values: tuple[Raw, ...]) -> bool:
        there = self._keep(("there", reference.table, reference.referred), self._make_there)
        cursor.execute(there.sql, there.parameters(values))
        return bool(cursor.fetchall())

    def _pointing(
        self,
        cursor: Cursor,
        one: Pointing,
        names: tuple[str, ...],
        row: Row,
        but: Collection[RecordName],
    ) -> Iterator[RecordName]:
        statement = self._keep(("pointing", one, names), self._make_pointing)
        cursor.execute(statement.sql, statement.parameters((*row, NAMES_MAX + len(but))))
        for key in cursor.fetchall():
            name = RecordName(one.entity, tuple(key))
            if name not in but:
                yield name

    def _locking(self, table: str, names: tuple[str, ...]) -> Statement:
        return self._keep(("lock", table, names), self._make_lock)

    def _keep(self, name: tuple[object, ...], make: Callable[..., Statement]) -> Statement:
        statement = self._kept.get(name)
        if statement is None:
            statement = make(*name[1:])
            self._kept[name] = statement
        return statement

    def _make_there(self, table: str, columns: tuple[str, ...]) -> Statement:
        core = self._core(table, columns)
        parameters = [f"v{index}" for index in range(len(columns))]
        one: ColumnElement[Any] = literal_column("1")
        statement = select(one).select_from(core).where(_equal(core, columns))
        return compiled(statement.limit(1), parameters, self._dialect)

    def _make_lock(self, table: str, columns: tuple[str, ...]) -> Statement:
        core = self._core(table, columns)
        parameters = [f"v{index}" for index in range(len(columns))]
        statement = select(*core.c).where(_equal(core, columns)).with_for_update()
        return compiled(statement, parameters, self._dialect)

    def _make_pointing(self, one: Pointing, names: tuple[str, ...]) -> Statement:
        """The keys of the records that point to rows which have these values."""
        reference = one.reference
        child = self._core(one.table, (*one.owner, *reference.columns)).alias("pointing")
        there = self._core(reference.table, (*names, *reference.referred)).alias("there")
        pairs = zip(reference.columns, reference.referred, strict=True)
        joined = and_(*(child.c[mine] == there.c[theirs] for mine, theirs in pairs))
        parameters = [f"v{index}" for index in range(len(names))]
        conditions = [
            there.c[name] == bindparam(parameter)
            for name, parameter in zip(names, parameters, strict=True)
        ]
        statement = (
            select(*(child.c[name] for name in one.owner))
            .select_from(child.join(there, joined))
            .where(*conditions)
            .limit(bindparam("rows"))
            .with_for_update(read=True)
        )
        return compiled(statement, [*parameters, "rows"], self._dialect)

    def _core(self, table: str, columns: Sequence[str]) -> Table:
        schema, name = self._schema.address(table)
        return Table(
            quoted_name(name, quote=True),
            MetaData(schema=None if schema is None else quoted_name(schema, quote=True)),
            *(Column(quoted_name(one, quote=True), NullType()) for one in dict.fromkeys(columns)),
        )


def _getter(names: Sequence[str], wanted: Sequence[str]) -> Callable[[Row], Row]:
    return row_getter([names.index(name) for name in wanted])


def _equal(table: Table, columns: Sequence[str]) -> ColumnElement[bool]:
    pairs = [table.c[name] == bindparam(f"v{index}") for index, name in enumerate(columns)]
    return and_(*pairs)
