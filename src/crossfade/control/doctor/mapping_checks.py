"""Try the mappings on real records: they must hold, be repeatable, and lose nothing."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from crossfade.control.doctor.findings import Finding, fine, problem, warning
from crossfade.errors import MappingError
from crossfade.model.counted import counted
from crossfade.model.entity import Entity
from crossfade.model.key import Key, encode_key
from crossfade.model.side import Side
from crossfade.store.sql_dialect import CannotHoldError
from crossfade.store.table_shape import TableShape

Record = dict[str, Any]
KEYS_SHOWN_MAX = 3


class Holder(Protocol):
    """A store, as far as it can tell without its database what it would hold."""

    @property
    def shape(self) -> TableShape:
        """Its table and columns."""

    def as_read(self, key: Key, record: Record) -> Record:
        """The record as a read would give it after a put; raises what a put would refuse."""


@dataclass(slots=True)
class _Tally:
    """What was wrong, and with which keys."""

    found: dict[str, list[Key]] = field(default_factory=dict)

    def add(self, what: str, key: Key) -> None:
        """One more key of which this is true."""
        self.found.setdefault(what, []).append(key)


def check_mapping(
    entity: Entity,
    holders: Mapping[Side, Holder],
    side: Side,
    records: Iterable[tuple[Key, Record]],
) -> list[Finding]:
    """What is wrong with mapping records of one side to the other and back; fine if nothing.

    Args:
        entity: whose mappings.
        holders: the stores of both sides.
        side: where the records are from.
        records: a sample; not changed.

    """
    tally = _Tally()
    count = 0
    for key, record in records:
        count += 1
        for what in _check_record(entity, holders, side, key, record):
            tally.add(what, key)
    what = f"mapping of {entity.name} to {side.other}"
    if not count:
        return [warning(what, f"{side} has no record to try it on")]
    if not tally.found:
        return [fine(what, f"{counted(count, 'record')} of {side} tried, there and back")]
    return [
        problem(
            what,
            f"{message} ({len(keys)} of {counted(count, 'record')}, such as key {_keys(keys)})",
        )
        for message, keys in tally.found.items()
    ]


def _check_record(
    entity: Entity, holders: Mapping[Side, Holder], side: Side, key: Key, record: Record
) -> Iterator[str]:
    """What is wrong with one record, in words that hold no value of it."""
    there = side.other
    try:
        mapped = _mapped_twice(entity, record, there)
    except MappingError as error:
        yield str(error)
        return
    if mapped is None:
        yield (
            f"mapping of {entity.name} to {there} gives another result the second time, or "
            "changes its input: use neither clock nor randomness, and build a new record"
        )
        return
    wrong = list(_wrong_columns(mapped, holders[there].shape, there))
    if wrong:
        yield from wrong
        return
    if tuple(mapped[name] for name in holders[there].shape.key) != key:
        yield f"mapping of {entity.name} to {there} changes the key: keep it as it is"
        return
    yield from _round_trip(entity, holders, side, key, record, mapped)


def _mapped_twice(entity: Entity, record: Record, towards: Side) -> Record | None:
    """The mapped record, or None where a second try gives another one or the input changed."""
    given = copy.deepcopy(record)
    first = copy.deepcopy(entity.map_record(given, towards))
    second = entity.map_record(given, towards)
    return first if first == second and given == record else None


def _wrong_columns(mapped: Record, shape: TableShape, side: Side) -> Iterator[str]:
    known = {column.name for column in shape.columns} | set(shape.children)
    for name in sorted(set() if shape.open else set(mapped) - known):
        yield f"{side} has no column {name} in {shape.table}: leave it out, or correct its name"
    for name in sorted(set(shape.required) | set(shape.key)):
        if name not in mapped:
            yield f"{side} needs the column {name} of {shape.table}: map it, or give defaults="


def _round_trip(
    entity: Entity,
    holders: Mapping[Side, Holder],
    side: Side,
    key: Key,
    record: Record,
    mapped: Record,
) -> Iterator[str]:
    there = side.other
    try:
        empty = dict.fromkeys(column.name for column in holders[there].shape.columns)
        # A read gives every column, those that the mapping does not name too.
        arrived = {**empty, **holders[there].as_read(key, mapped)}
    except CannotHoldError as error:
        yield f"{there} would refuse the record: {error}"
        return
    try:
        back = entity.map_record(arrived, side)
        returned = holders[side].as_read(key, back or {})
    except (MappingError, CannotHoldError) as error:
        yield f"the way back to {side} fails: {error}"
        return
    lossy = set(entity.lossy)
    for path in _lost(record, returned):
        name = f"{side}.{path}"
        if name not in lossy and name.rpartition(".")[0] not in lossy:
            yield (
                f"{name} does not survive the way to {there} and back: map it both ways, or say "
                f'lossy=("{name}",)'
            )


def _lost(record: Record, returned: Record) -> Iterator[str]:
    """The columns whose value is gone or another one; children as `lines.Sku`."""
    for name, value in record.items():
        if name not in returned:
            yield name
        elif isinstance(value, list):
            yield from _lost_in_children(name, value, returned[name])
        elif value != returned[name]:
            yield name


def _lost_in_children(name: str, rows: list[Record], returned: list[Record]) -> Iterator[str]:
    if len(rows) != len(returned):
        yield name
        return
    lost = {path for row, other in zip(rows, returned, strict=True) for path in _lost(row, other)}
    yield from (f"{name}.{path}" for path in sorted(lost))


def _keys(keys: list[Key]) -> str:
    return ", ".join(encode_key(key) for key in keys[:KEYS_SHOWN_MAX])
