"""What only a real engine shows: collations, triggers, constraints, rows that others wrote."""

import sqlite3
from pathlib import Path

import pytest

from crossfade.errors import StoreError
from crossfade.model.key import EVERY_KEY
from crossfade.model.store_description import SqlTable
from crossfade.store.base import Fence, PutStatus
from tests.unit.store.sqlite_files import FENCE, opened_store, run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a service's database."""
    run(tmp_path / "service.db", "CREATE TABLE Other (Id INTEGER PRIMARY KEY)")
    return tmp_path / "service.db"


async def test_keys_that_only_a_collation_finds_equal_are_two(path: Path) -> None:
    """A put of `abc` never changes `ABC`; the engine's own rule makes it a conflict."""
    run(
        path,
        "CREATE TABLE Thing (Code TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, Name TEXT)",
        "INSERT INTO Thing VALUES ('ABC', 'theirs')",
    )
    async with opened_store(SqlTable(str(path), "Thing", key="Code")) as store:
        put = await store.put(("abc",), {"Name": "mine"}, FENCE)
        deleted = await store.put(("Abc",), None, FENCE)

        assert (put.status, put.other_key) == (PutStatus.UNIQUE, ("ABC",))
        assert deleted.status is PutStatus.OK
        assert await store.read(("abc",)) is None
        assert await store.read_range(EVERY_KEY, 9) == [
            (("ABC",), {"Code": "ABC", "Name": "theirs"})
        ]


async def test_children_that_only_a_collation_finds_equal_belong_to_somebody_else(
    path: Path,
) -> None:
    """They are neither read as ours nor deleted with ours."""
    run(
        path,
        "CREATE TABLE Thing (Code TEXT PRIMARY KEY NOT NULL)",
        "CREATE TABLE Part (Thing TEXT COLLATE NOCASE, Number INTEGER, UNIQUE (Thing, Number))",
        "INSERT INTO Thing VALUES ('abc'), ('ABC')",
        "INSERT INTO Part VALUES ('ABC', 1)",
    )
    child = SqlTable(str(path), "Part", key="Number", parent="Thing")
    described = SqlTable(str(path), "Thing", key="Code", children={"parts": child})
    async with opened_store(described) as store:
        await store.put(("abc",), {"parts": [{"Number": 2}]}, FENCE)
        await store.put(("abc",), {"parts": []}, FENCE)
        await store.put(("abc",), None, FENCE)

        assert await store.read_range(EVERY_KEY, 9) == [
            (("ABC",), {"Code": "ABC", "parts": [{"Thing": "ABC", "Number": 1}]})
        ]


async def test_a_put_that_changes_nothing_writes_no_row(path: Path) -> None:
    """So that triggers of the service do not fire for it."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Name TEXT)",
        "CREATE TABLE Log (Id INTEGER)",
        "CREATE TRIGGER changed AFTER UPDATE ON Thing BEGIN INSERT INTO Log VALUES (new.Id); END",
    )
    async with opened_store(SqlTable(str(path), "Thing", key="Id")) as store:
        for token, name in ((5, "a"), (6, "a"), (7, "b")):
            await store.put((1,), {"Name": name}, Fence(token, 1))
            await store.put_many([((1,), {"Name": name})], Fence(token, 1))

    assert run(path, "SELECT count(*) FROM Log") == [(1,)]


async def test_a_row_that_a_trigger_ignores_is_no_success(path: Path) -> None:
    """`OK` means that the record is there."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Name TEXT)",
        "CREATE TRIGGER never BEFORE INSERT ON Thing WHEN new.Name = 'bad' "
        "BEGIN SELECT RAISE(IGNORE); END",
    )
    async with opened_store(SqlTable(str(path), "Thing", key="Id")) as store:
        put = await store.put((1,), {"Name": "bad"}, FENCE)
        many = await store.put_many([((1,), {"Name": "good"}), ((2,), {"Name": "bad"})], FENCE)

        assert [put.status, many.result.status] == [PutStatus.REFUSED, PutStatus.REFUSED]
        assert await store.last_key() is None


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("Needed", None, "must not be NULL: Thing.Needed"),
        ("Small", 77123, "a CHECK of the table fails: Small < 10"),
        ("Guarded", "hunter2", "a trigger of the database refuses the row"),
    ],
)
async def test_a_constraint_refuses_with_its_name_and_without_the_value(
    path: Path, column: str, value: object, reason: str
) -> None:
    """What the operator sees is the schema, never the row."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Needed TEXT NOT NULL DEFAULT '', "
        "Small INTEGER CHECK (Small < 10), Guarded TEXT)",
        "CREATE TRIGGER guard BEFORE INSERT ON Thing WHEN new.Guarded = 'hunter2' "
        "BEGIN SELECT RAISE(ABORT, 'hunter2 is taken'); END",
    )
    async with opened_store(SqlTable(str(path), "Thing", key="Id")) as store:
        put = await store.put((1,), {column: value}, FENCE)
        many = await store.put_many([((1,), {column: value})], FENCE)

    assert (put.status, put.reason) == (PutStatus.REFUSED, reason)
    assert many.result.reason == reason


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 37), reason="needs SQLite with STRICT")
async def test_a_strict_table_refuses_other_types(path: Path) -> None:
    """The engine's own word on it, in ours."""
    run(path, "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Number INTEGER, Any ANY) STRICT")
    async with opened_store(SqlTable(str(path), "Thing", key="Id")) as store:
        wrong = await store.put((1,), {"Number": "N/A"}, FENCE)
        right = await store.put((1,), {"Number": 1, "Any": "007"}, FENCE)

        assert [wrong.status, right.status] == [PutStatus.REFUSED, PutStatus.OK]
        assert await store.read((1,)) == {"Id": 1, "Number": 1, "Any": "007"}


async def test_a_generated_column_is_read_and_never_put(path: Path) -> None:
    """The database computes it."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Name TEXT, Upper TEXT AS (upper(Name)))",
    )
    async with opened_store(SqlTable(str(path), "Thing", key="Id")) as store:
        named = await store.put((1,), {"Name": "a", "Upper": "A"}, FENCE)
        await store.put((1,), {"Name": "a"}, FENCE)

        assert named.status is PutStatus.REFUSED
        assert await store.read((1,)) == {"Id": 1, "Name": "a", "Upper": "A"}


async def test_only_the_chosen_columns_are_read_and_put(path: Path) -> None:
    """`columns=` hides the rest, whatever is in it."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Name TEXT, Secret TEXT DEFAULT 's')",
    )
    described = SqlTable(str(path), "Thing", key="Id", columns=("Name",))
    async with opened_store(described) as store:
        hidden = await store.put((1,), {"Secret": "mine"}, FENCE)
        await store.put((1,), {"Name": "a"}, FENCE)

        assert hidden.status is PutStatus.REFUSED
        assert await store.read((1,)) == {"Id": 1, "Name": "a"}
    assert run(path, "SELECT Secret FROM Thing") == [("s",)]


async def test_text_that_is_not_utf8_is_read_and_refused_elsewhere(path: Path) -> None:
    """One bad row is quarantined; it does not stop the sweep over its chunk."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Name TEXT)",
        "INSERT INTO Thing VALUES (1, 'good'), (2, CAST(x'61ff' AS TEXT))",
    )
    async with opened_store(SqlTable(str(path), "Thing", key="Id")) as store:
        records = dict(await store.read_range(EVERY_KEY, 9))
        bad = await store.put((3,), {"Name": records[2,]["Name"]}, FENCE)
        healed = await store.put((2,), {"Name": "healed"}, FENCE)

        assert records[1,]["Name"] == "good"
        assert [bad.status, healed.status] == [PutStatus.REFUSED, PutStatus.OK]
        assert await store.read((2,)) == {"Id": 2, "Name": "healed"}


@pytest.mark.parametrize("stored", ["NULL", "x'00'", "CAST(x'ff' AS TEXT)"])
async def test_a_row_without_a_usable_key_is_an_error_not_a_gap(path: Path, stored: str) -> None:
    """A row that cannot be copied is never skipped in silence."""
    run(path, "CREATE TABLE Thing (Code TEXT PRIMARY KEY, Name TEXT)")
    async with opened_store(SqlTable(str(path), "Thing", key="Code")) as store:
        run(path, f"INSERT INTO Thing VALUES ({stored}, 'a')")  # noqa: S608 - cases of ours

        with pytest.raises(StoreError, match="the key column 'Code' of table 'Thing'"):
            await store.read_range(EVERY_KEY, 9)


async def test_a_range_bound_of_another_kind_is_an_error(path: Path) -> None:
    """SQLite would convert it and answer something else."""
    run(path, "CREATE TABLE Thing (Id INTEGER PRIMARY KEY)")
    async with opened_store(SqlTable(str(path), "Thing", key="Id")) as store:
        for lower in (("1",), (1, 2), (2**70,)):
            with pytest.raises(StoreError):
                await store.key_after(lower, 1)


async def test_the_owner_of_a_childs_unique_value_is_found(path: Path) -> None:
    """Ticket numbers are unique across all orders."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY)",
        "CREATE TABLE Part (PartId INTEGER PRIMARY KEY, Thing INTEGER, Serial TEXT UNIQUE)",
    )
    child = SqlTable(str(path), "Part", parent="Thing")
    described = SqlTable(str(path), "Thing", key="Id", children={"parts": child})
    async with opened_store(described) as store:
        await store.put((1,), {"parts": [{"PartId": 1, "Serial": "s"}]}, FENCE)

        serial = await store.put((2,), {"parts": [{"PartId": 2, "Serial": "s"}]}, FENCE)
        moved = await store.put((2,), {"parts": [{"PartId": 1, "Serial": "t"}]}, FENCE)

        assert [serial.status, moved.status] == [PutStatus.UNIQUE, PutStatus.UNIQUE]
        assert [serial.other_key, moved.other_key] == [(1,), (1,)]
        assert await store.read((2,)) is None


async def test_a_deferred_foreign_key_fails_at_commit_and_changes_nothing(path: Path) -> None:
    """The commit was refused, so the outcome is known."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Other INTEGER REFERENCES Other (Id) "
        "DEFERRABLE INITIALLY DEFERRED)",
    )
    async with opened_store(SqlTable(str(path), "Thing", key="Id")) as store:
        put = await store.put((1,), {"Other": 9}, FENCE)
        after = await store.put((1,), {"Other": None}, Fence(4, 1))

        assert put.status is PutStatus.FOREIGN_KEY
        assert after.status is PutStatus.OK


async def test_children_of_a_batch_are_read_in_one_statement(path: Path) -> None:
    """Not one for each parent."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY)",
        "CREATE TABLE Part (Thing INTEGER, Number INTEGER, PRIMARY KEY (Thing, Number))",
    )
    child = SqlTable(str(path), "Part", parent="Thing")
    described = SqlTable(str(path), "Thing", key="Id", children={"parts": child})
    async with opened_store(described) as store:
        records = [((number,), {"parts": [{"Number": 1}]}) for number in range(200)]
        await store.put_many(records, FENCE)
        statements = await _statements_of(store, path)

    reads = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(reads) == 2


async def _statements_of(store: object, path: Path) -> list[str]:
    """What one read of all records runs."""
    reading = store._reading  # type: ignore[attr-defined]  # noqa: SLF001 - counts statements
    statements: list[str] = []
    connection = sqlite3.connect(path)
    connection.set_trace_callback(statements.append)
    try:
        found = reading.read_range(connection.cursor(), EVERY_KEY, 1000)
    finally:
        connection.close()
    assert len(found) == 200
    return statements


async def test_a_key_that_is_no_text_is_refused_everywhere(path: Path) -> None:
    """A lone surrogate cannot be sent to the database, not even to the fence."""
    run(path, "CREATE TABLE Thing (Code TEXT PRIMARY KEY NOT NULL)")
    async with opened_store(SqlTable(str(path), "Thing", key="Code")) as store:
        results = [
            await store.put(("\ud800",), {}, FENCE),
            await store.put(("\ud800",), None, FENCE),
            await store.raise_token(("\ud800",), FENCE),
        ]

        assert [result.status for result in results] == [PutStatus.REFUSED] * 3
        assert await store.read(("\ud800",)) is None


async def test_parents_are_not_deleted_under_rows_that_point_to_them(path: Path) -> None:
    """Foreign keys are checked for what we write, as the service's own connections do."""
    run(
        path,
        "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Other INTEGER REFERENCES Other (Id))",
        "INSERT INTO Other VALUES (1)",
        "INSERT INTO Thing VALUES (1, 1)",
    )
    async with opened_store(SqlTable(str(path), "Other", key="Id")) as store:
        assert (await store.put((1,), None, FENCE)).status is PutStatus.FOREIGN_KEY
        assert await store.read((1,)) == {"Id": 1}
