"""A made-up record, sent through a mapping: which column goes where, and what NULL becomes."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.control.doctor.column_values import typical_value
from crossfade.errors import MappingError
from crossfade.model.entity import Entity
from crossfade.model.side import Side
from crossfade.store.sql_dialect import ColumnFacts
from crossfade.store.sql_tables import StoreTable

Record = dict[str, Any]

Path = tuple[str, str]
"""A child's name, empty for the record itself, and a column."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a mapping made of records that are like those of a side."""

    given: Record
    mapped: Record
    carried: Mapping[Path, Path]
    """Column of the other side to the column whose values it gets unchanged."""


def columns_of(table: StoreTable) -> dict[Path, ColumnFacts]:
    """The columns of a record, its children's too."""
    found = {("", column.name): column for column in table.columns}
    for name, child in table.children.items():
        found |= {(name, column.name): column for column in child.columns}
    return found


def made_up(table: StoreTable) -> Record:
    """A record with another value in every column, as far as we know what each holds."""
    values = {
        path: typical_value(column, number)
        for number, (path, column) in enumerate(columns_of(table).items())
    }
    record: Record = {name: value for (child, name), value in values.items() if not child}
    for name, child in table.children.items():
        row = {column.name: values[name, column.name] for column in child.columns}
        row |= {mine: record[key] for mine, key in zip(child.parent, table.key, strict=True)}
        record[name] = [row]
    return record


def probed(
    entity: Entity, side: Side, table: StoreTable, records: Sequence[Record]
) -> Probe | None:
    """Send a made-up record to the other side, or real ones where the mapping takes no other.

    None where there is no record that the mapping takes. Mappings are functions of a record and
    nothing else, so that nobody notices.
    """
    for given in ([made_up(table)], list(records)):
        mapped = [_mapped(entity, side, record) for record in given]
        whole = [
            (one, other) for one, other in zip(given, mapped, strict=True) if other is not None
        ]
        if whole and len(whole) == len(given):
            return Probe(*whole[0], _carried(whole))
    return None


def becomes_null(entity: Entity, side: Side, probe: Probe, path: Path) -> set[Path] | None:
    """Which columns of the other side become NULL where that one is; None: the mapping raises."""
    record = copy.deepcopy(probe.given)
    child, column = path
    for row in record.get(child, []) if child else [record]:
        row[column] = None
    mapped = _mapped(entity, side, record)
    if mapped is None:
        return None
    before = dict(_flat(probe.mapped))
    return {
        path for path, value in _flat(mapped) if value is None and before.get(path) is not None
    }


def _mapped(entity: Entity, side: Side, record: Record) -> Record | None:
    try:
        return entity.map_record(copy.deepcopy(record), side.other)
    except MappingError:
        return None


def _carried(pairs: Sequence[tuple[Record, Record]]) -> dict[Path, Path]:
    """Columns that have one and the same value in every pair, if there is no doubt which."""
    flat = [(dict(_flat(given)), dict(_flat(mapped))) for given, mapped in pairs]
    first_given, first_mapped = flat[0]
    found = {}
    for there in first_mapped:
        same = [
            here
            for here in first_given
            if all(_same(given.get(here), mapped.get(there)) for given, mapped in flat)
            and any(given.get(here) is not None for given, _ in flat)
        ]
        named = [here for here in same if here[1] == there[1]]
        if len(same) == 1 or len(named) == 1:
            found[there] = (named or same)[0]
    return found


def _same(value: object, other: object) -> bool:
    return type(value) is type(other) and value == other


def _flat(record: Record) -> Iterator[tuple[Path, Any]]:
    """The values by path; of children those of the first row."""
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from (((name, column), inner) for column, inner in value[0].items())
        yield ("", name), value
