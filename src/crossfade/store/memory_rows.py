"""Records in memory: what a table takes, how a put changes a record, what is in its way."""

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

from crossfade.model.key import Key, RecordName
from crossfade.store.base import NAMES_MAX, PutResult, PutStatus, Record
from crossfade.store.memory import MemoryDisk, MemoryTable

_VALUE_TYPES = (int, float, str, bytes, Decimal, datetime, date, time, UUID, type(None))
_WHOLE_LIMIT = 2**63


class RefusedError(Exception):
    """A table does not take a record; the text says why without a value."""


def checked(table: MemoryTable, key: Key, record: Record) -> Record:
    """The named columns, the key and the children in order, as a read gives them.

    Raises:
        RefusedError: the table does not take it.

    """
    if len(key) != len(table.key):
        raise RefusedError(f"the key has {len(key)} part(s), the table's key {len(table.key)}")
    own = {name: value for name, value in record.items() if name not in table.children}
    row = _checked_row(table, dict(zip(table.key, key, strict=True)), own)
    for name, child in table.children.items():
        if name in record:
            row[name] = _checked_children(child, name, key, record[name])
    return row


def merged(table: MemoryTable, found: Record | None, row: Record) -> Record:
    """The record after a put: named columns as wanted, others as they were or by default."""
    result = deepcopy(row)
    before = found if found is not None else dict(table.columns or {})
    for name, value in before.items():
        result.setdefault(name, deepcopy(value))
    for name, child in table.children.items():
        there = {_key_of(child, kept): kept for kept in (found or {}).get(name, [])}
        if name not in row:
            result.setdefault(name, [])
            continue
        result[name] = [
            merged(child, there.get(_key_of(child, wanted)), wanted) for wanted in row[name]
        ]
    return result


def in_the_way(disk: MemoryDisk, table: MemoryTable, key: Key) -> PutResult | None:
    """What an engine's constraints say of a record that was just put."""
    rows = disk.tables[table.name]
    for columns in table.unique:
        wanted = [rows[key].get(column) for column in columns]
        if None in wanted:
            continue
        for other, row in rows.items():
            if other != key and [row.get(column) for column in columns] == wanted:
                reason = f"must be unique: {', '.join(columns)}"
                return PutResult(PutStatus.UNIQUE, reason, other)
    for column, parent in table.references.items():
        value = rows[key].get(column)
        if value is not None and (value,) not in disk.tables.get(parent, {}):
            missing = (
                RecordName(disk.entities[parent], (value,)) if parent in disk.entities else None
            )
            return PutResult(
                PutStatus.FOREIGN_KEY,
                f"{column} points to no row of {parent}",
                missing=() if missing is None else (missing,),
            )
    return None


def points_here(disk: MemoryDisk, table: MemoryTable, key: Key) -> PutResult | None:
    """What an engine's foreign keys say of a record that was just deleted."""
    found = [
        (name, other)
        for name, references in disk.references.items()
        for column, parent in references.items()
        if parent == table.name
        for other, row in disk.tables[name].items()
        if (row.get(column),) == key
    ]
    if not found:
        return None
    names = [RecordName(disk.entities[name], other) for name, other in found]
    reason = f"rows of {found[0][0]} point to the row"
    return PutResult(PutStatus.FOREIGN_KEY, reason, in_the_way=tuple(names[:NAMES_MAX]))


def _checked_row(table: MemoryTable, identity: Record, record: Record) -> Record:
    for name, value in (record | identity).items():
        if table.columns is not None and name not in table.columns and name not in identity:
            raise RefusedError(f"the table has no column {name!r}")
        _check_value(name, value)
    for name, part in identity.items():
        given = record.get(name, part)
        if given != part or type(given) is not type(part):
            raise RefusedError(f"column {name!r} differs from the record's key")
    return deepcopy(record) | identity


def _checked_children(
    child: MemoryTable, name: str, parent: Key, records: object
) -> Sequence[Record]:
    if not isinstance(records, list | tuple):
        raise RefusedError(f"{name!r} must be a list of records")
    rows = list(_children(child, name, parent, records))
    keys = [_key_of(child, row) for row in rows]
    if len(set(keys)) != len(keys):
        raise RefusedError(f"two of {name!r} have the same key")
    return [row for _, row in sorted(zip(keys, rows, strict=True), key=lambda pair: pair[0])]


def _children(
    child: MemoryTable, name: str, parent: Key, records: Sequence[object]
) -> Iterator[Record]:
    for record in records:
        if not isinstance(record, Mapping):
            raise RefusedError(f"{name!r} must be a list of records")
        if any(record.get(column) is None for column in child.key if column not in child.parent):
            raise RefusedError("a child has no key")
        yield _checked_row(child, dict(zip(child.parent, parent, strict=True)), dict(record))


def _key_of(child: MemoryTable, row: Record) -> Key:
    return tuple(row[column] for column in child.key)


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _check_value(name: str, value: object) -> None:
    if not isinstance(value, _VALUE_TYPES):
        raise RefusedError(f"column {name!r}: a {type(value).__name__} has no form in a column")
    if isinstance(value, int) and not -_WHOLE_LIMIT <= value < _WHOLE_LIMIT:
        raise RefusedError(f"column {name!r}: a whole number has more than 64 bits")
    if not (value.is_finite() if isinstance(value, Decimal) else _is_finite(value)):
        raise RefusedError(f"column {name!r}: NaN and infinities are no values of a column")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RefusedError(f"column {name!r}: text with a lone surrogate") from error
