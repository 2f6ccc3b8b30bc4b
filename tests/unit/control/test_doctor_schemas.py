"""What doctor makes of two columns, of a mapping that made-up records are sent through."""

from typing import Any

import pytest

from crossfade.control.doctor.column_values import same_values, typical_value, what_does_not_fit
from crossfade.control.doctor.probing import becomes_null, probed
from crossfade.control.doctor.sampling import sample_records
from crossfade.model.key import Key, KeyRange
from crossfade.model.side import Side
from crossfade.store.postgres_values import PostgresType, postgres_values
from crossfade.store.sql_dialect import ColumnFacts, ColumnValues
from crossfade.store.sql_tables import StoreTable
from crossfade.store.sqlite_values import sqlite_values
from tests.builders import make_entity

Record = dict[str, Any]


def sqlite(declared: str, name: str = "a", *, nullable: bool = True) -> ColumnFacts:
    """A column of SQLite."""
    return _facts(name, declared, sqlite_values(declared, strict=False), nullable=nullable)


def postgres(name: str, modifier: int = -1) -> ColumnFacts:
    """A column of PostgreSQL, by the catalogue's name of its type."""
    declared = name if modifier < 0 else f"{name}({modifier - 4})"
    return _facts("a", declared, postgres_values(PostgresType(name, modifier)), nullable=True)


def _facts(name: str, declared: str, values: ColumnValues, *, nullable: bool) -> ColumnFacts:
    return ColumnFacts(
        name=name,
        declared=declared,
        nullable=nullable,
        has_default=False,
        generated=False,
        values=values,
        key_kind=None,
        binary_order=True,
    )


@pytest.mark.parametrize(
    ("given", "taking", "words"),
    [
        (postgres("int8"), postgres("int8"), []),
        (postgres("int8"), postgres("int4"), ["whole numbers such as 2147483648"]),
        (postgres("int4"), postgres("int8"), []),
        (sqlite("INTEGER"), postgres("int2"), ["whole numbers such as 32768"]),
        (sqlite("INTEGER"), postgres("text"), ["whole numbers"]),
        (sqlite("VARCHAR(40)"), postgres("varchar", 44), []),
        (sqlite("VARCHAR(40)"), postgres("varchar", 24), ["texts of 21 characters"]),
        (sqlite("VARCHAR(40)"), postgres("text"), []),
        (postgres("text"), postgres("uuid"), ["text"]),
        (postgres("uuid"), postgres("text"), []),
        (postgres("float8"), postgres("float4"), ["floating-point numbers of 64 bits"]),
        (postgres("timestamptz"), postgres("timestamp"), ["date-times with a time zone"]),
        (postgres("timestamp"), postgres("timestamp"), []),
        (postgres("jsonb"), sqlite("TEXT"), ["JSON"]),
        (sqlite("DATETIME"), postgres("timestamp"), []),
        (sqlite(""), postgres("int4"), []),
    ],
)
def test_what_one_column_holds_and_the_other_does_not(
    given: ColumnFacts, taking: ColumnFacts, words: list[str]
) -> None:
    """Tried with the same conversions that a put uses; the mildest misfit is named."""
    assert what_does_not_fit(given, taking) == words


def test_columns_of_the_same_values() -> None:
    """Sizes may differ, kinds may not; of a column without a type nothing is known."""
    assert same_values(sqlite("INTEGER"), postgres("int4"))
    assert same_values(sqlite("VARCHAR(9)"), postgres("text"))
    assert not same_values(sqlite("DATETIME"), postgres("timestamp"))
    assert not same_values(sqlite(""), sqlite(""))


def test_made_up_values_differ() -> None:
    """So that a column is known again behind a mapping, however short it is."""
    for column in (sqlite("INTEGER"), sqlite("CHAR(1)"), postgres("varchar", 5), postgres("date")):
        assert len({str(typical_value(column, number)) for number in range(9)}) == 9


def table(*columns: ColumnFacts) -> StoreTable:
    """A table whose first column is its key."""
    return StoreTable(
        name="t",
        columns=columns,
        key=(columns[0].name,),
        parent=(),
        defaults={},
        unique=(),
        unproved=(),
        parent_indexed=True,
        children={},
    )


THINGS = table(
    sqlite("INTEGER", "id", nullable=False), sqlite("TEXT", "name"), sqlite("TEXT", "b")
)


def test_a_probe_tells_which_column_goes_where() -> None:
    """Only what arrives unchanged is taken for carried."""
    entity = make_entity(
        to_new=lambda row: {"nr": row["id"], "title": row["name"], "b": row["b"].upper()}
    )

    probe = probed(entity, Side.LEGACY, THINGS, [])

    assert probe is not None
    assert probe.carried == {("", "nr"): ("", "id"), ("", "title"): ("", "name")}
    assert becomes_null(entity, Side.LEGACY, probe, ("", "name")) == {("", "title")}
    assert becomes_null(entity, Side.LEGACY, probe, ("", "b")) is None


def test_a_mapping_that_takes_only_real_records_is_shown_some() -> None:
    """Two columns that happen to be equal in all of them are told apart by name, or not at all."""
    entity = make_entity(
        to_new=lambda row: {"id": row["id"], "c": int(row["name"]) + 9, "b": row["b"]}
    )
    records = [{"id": n, "name": str(n), "b": str(n)} for n in (1, 2)]

    probe = probed(entity, Side.LEGACY, THINGS, records)

    assert probe is not None
    assert probe.carried == {("", "id"): ("", "id"), ("", "b"): ("", "b")}
    assert probed(entity, Side.LEGACY, THINGS, []) is None


class Numbers:
    """A store of numbered records that counts what is read of it."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = sorted(numbers)
        self.rows_read = 0

    async def read(self, key: Key) -> Record | None:
        """Not asked for."""
        raise NotImplementedError

    async def read_range(self, range_: KeyRange, rows_max: int) -> list[tuple[Key, Record]]:
        """The first of a range."""
        found = [(key, {"id": key[0]}) for key in await self.keys_in_range(range_, rows_max)]
        self.rows_read += len(found)
        return found

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> list[Key]:
        """The first keys of a range."""
        keys: list[Key] = [(number,) for number in self.numbers if range_.contains((number,))]
        return keys[:rows_max]

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """Whole numbers are stepped over, not read."""
        raise AssertionError((lower, rows))

    async def last_key(self) -> Key | None:
        """The highest."""
        return (self.numbers[-1],) if self.numbers else None

    async def rows_estimate(self) -> int:
        """Not needed."""
        raise AssertionError


@pytest.mark.parametrize(
    "numbers",
    [range(1, 100_001), range(5), (), (1, 2, 3, 10**12), [*range(300), 10**9]],
    ids=["many", "few", "none", "far apart", "uneven"],
)
async def test_a_sample_reads_little(numbers: Any) -> None:  # noqa: ANN401 - ranges and lists
    """As many records as there are, up to the limit, each once, from everywhere."""
    store = Numbers(*numbers)

    found = await sample_records(store, 50)

    keys = [key for key, _ in found]
    assert keys == sorted(set(keys))
    assert len(keys) == min(50, len(store.numbers))
    assert store.rows_read <= 100
    assert not keys or keys[-1] >= (store.numbers[-1] * 8 // 10,)
