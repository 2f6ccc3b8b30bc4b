"""A description that does not fit the database is one line that says what would."""

import re
from pathlib import Path

import pytest

from crossfade.errors import ConfigurationError, CrossfadeError, DefinitionError
from crossfade.model.store_description import SqlTable
from crossfade.store.sql import SqlDatabases, open_sql_store
from tests.unit.store.sqlite_files import FENCE, opened_store, run

SCHEMA = (
    "CREATE TABLE Customer (CustomerId INTEGER PRIMARY KEY, Email TEXT UNIQUE, City TEXT)",
    "CREATE TABLE Parcel (Code TEXT PRIMARY KEY, Weight REAL)",
    "CREATE TABLE Loose (Id INTEGER, Name TEXT, Score REAL)",
    "CREATE TABLE Line (LineId INTEGER PRIMARY KEY, CustomerId INTEGER, Owner TEXT)",
    "CREATE TABLE Heap (A INTEGER, B INTEGER)",
    "CREATE VIEW Everyone AS SELECT * FROM Customer",
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The file of a service's database."""
    run(tmp_path / "service.db", *SCHEMA)
    return str(tmp_path / "service.db")


async def _error_of(description: SqlTable) -> CrossfadeError:
    databases = SqlDatabases("shop")
    try:
        with pytest.raises(ConfigurationError) as caught:
            await open_sql_store(
                description, entity="thing", database=databases.at(description.url)
            )
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 3
        return caught.value
    finally:
        await databases.close()


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ("Custmer", "CustomerId", "no table 'Custmer' in .*Did you mean 'Customer'?"),
        ("customer", "CustomerId", "Did you mean 'Customer'?"),
        ("Xyz", "Id", "There are: Customer, Everyone, Heap, Line, Loose, Parcel."),
        ("Everyone", "CustomerId", "is a view .* Name the table behind it"),
        ("Customer", "customerid", "no column 'customerid'. Did you mean 'CustomerId'?"),
        ("Customer", "Xyz", "no column 'Xyz'. There are: City, CustomerId, Email."),
        ("Customer", (), "needs key=. Its primary key is CustomerId."),
        ("Heap", (), "It has no primary key; name columns that are unique together."),
        ("Loose", "Score", "a key is a whole number or text"),
    ],
)
async def test_a_wrong_name_is_answered_with_the_right_one(
    path: str, table: str, key: str | tuple[str, ...], message: str
) -> None:
    """Nothing is guessed; the nearest name is shown."""
    error = await _error_of(SqlTable(path, table, key=key))

    assert re.search(message, str(error))


async def test_a_key_that_is_not_unique_is_refused(path: str) -> None:
    """By the rows, where the schema promises nothing."""
    run(Path(path), "INSERT INTO Loose VALUES (1, 'a', 0), (2, 'b', 0), (2, 'c', 0)")

    error = await _error_of(SqlTable(path, "Loose", key="Id"))

    assert "is not unique: two rows have the same" in str(error)


async def test_a_key_that_is_null_somewhere_is_refused(path: str) -> None:
    """SQLite allows NULL even in a primary key."""
    run(Path(path), "INSERT INTO Parcel VALUES (NULL, 1)")

    error = await _error_of(SqlTable(path, "Parcel", key="Code"))

    assert "is NULL in some row" in str(error)


async def test_rows_that_happen_to_be_unique_are_enough(path: str) -> None:
    """Old tables often lack the constraint; a put that meets two rows is refused."""
    run(Path(path), "INSERT INTO Loose VALUES (1, 'a', 0), (2, 'b', 0)")

    async with opened_store(SqlTable(path, "Loose", key="Id")) as store:
        assert (await store.put((1,), {"Name": "c"}, FENCE)).status.name == "OK"
        run(Path(path), "INSERT INTO Loose VALUES (2, 'again', 0)")
        put = await store.put((2,), {"Name": "c"}, FENCE)
        deleted = await store.put((2,), None, FENCE)

    assert [put.status.name, deleted.status.name] == ["REFUSED", "REFUSED"]
    assert run(Path(path), "SELECT count(*) FROM Loose WHERE Id = 2") == [(2,)]


@pytest.mark.parametrize(
    ("child", "message"),
    [
        (SqlTable("", "Lin", parent="CustomerId"), "Did you mean 'Line'?"),
        (SqlTable("", "Line", parent="Customer"), "Did you mean 'CustomerId'?"),
        (SqlTable("", "Line", parent="Owner"), "Make both the same"),
        (SqlTable("", "Heap", parent="A"), "has no primary key"),
        (SqlTable("", "Line", parent="CustomerId", key="Nope"), "no column 'Nope'"),
    ],
)
async def test_children_are_checked_too(path: str, child: SqlTable, message: str) -> None:
    """A child must be found and told apart."""
    described = SqlTable(
        path,
        "Customer",
        key="CustomerId",
        children={"lines": child.with_url(lambda _: path)},
    )

    assert message in str(await _error_of(described))


async def test_a_child_may_not_be_called_like_a_column(path: str) -> None:
    """A record has one value under each name."""
    child = SqlTable(path, "Line", parent="CustomerId")
    described = SqlTable(path, "Customer", key="CustomerId", children={"City": child})

    assert "Give the child another name" in str(await _error_of(described))


async def test_a_child_alone_is_no_entity(path: str) -> None:
    """Somebody mixed up the two."""
    error = await _error_of(SqlTable(path, "Line", key="LineId", parent="CustomerId"))

    assert isinstance(error, DefinitionError)


@pytest.mark.parametrize(
    ("defaults", "columns", "message"),
    [
        ({"Cty": "x"}, None, "Did you mean 'City'?"),
        ({"City": 5}, None, "cannot hold its value"),
        ({"City": "x"}, ("Email",), "which columns= leaves out"),
    ],
)
async def test_defaults_must_fit(
    path: str, defaults: dict[str, object], columns: tuple[str, ...] | None, message: str
) -> None:
    """They are checked before anything is copied."""
    described = SqlTable(path, "Customer", key="CustomerId", defaults=defaults, columns=columns)

    assert message in str(await _error_of(described))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("{folder}/missing.db", "there is no database file"),
        ("sqlite:///{folder}/missing.db", "there is no database file"),
        ("{folder}", "is no file"),
        ("{folder}/text.db", "is no SQLite database"),
    ],
)
async def test_a_wrong_file_is_named(tmp_path: Path, url: str, message: str) -> None:
    """And never made."""
    (tmp_path / "text.db").write_text("just some text, longer than a header of SQLite" * 9)

    error = await _error_of(SqlTable(url.format(folder=tmp_path), "Customer", key="Id"))

    assert message in str(error)
    assert not (tmp_path / "missing.db").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "Write sqlite:///path/to/file"),
        (":memory:", "Write sqlite:///path/to/file"),
        ("sqlite:///:memory:", "Write sqlite:///path/to/file"),
        (":://", "is of no engine that this release knows"),
        ("oracle://u:hunter2@h/db", "is of no engine that this release knows"),
        ("postgresql://u:hunter2@h", "names no database"),
        ("postgresql+asyncpg://u:hunter2@h/db", "names a driver that is not used here"),
    ],
)
def test_a_url_that_names_no_database_is_refused_without_its_password(
    url: str, message: str
) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        SqlDatabases("shop").at(url)

    assert "hunter2" not in str(caught.value)


async def test_the_shape_tells_doctor_what_a_mapping_must_yield(path: str) -> None:
    """Columns, key, types, and what an insert has to name."""
    run(
        Path(path),
        "CREATE TABLE Shape (Id INTEGER PRIMARY KEY, Name TEXT NOT NULL, Rank TEXT NOT NULL, "
        "State TEXT NOT NULL DEFAULT 'new', Upper TEXT AS (upper(Name)))",
    )
    described = SqlTable(path, "Shape", key="Id", defaults={"Rank": "guest"})

    async with opened_store(described) as store:
        shape = store.shape

    assert shape.required == ("Name",)
    assert (shape.key, shape.ordered) == (("Id",), True)
    assert [(column.name, column.type) for column in shape.columns][:2] == [
        ("Id", "INTEGER"),
        ("Name", "TEXT"),
    ]
    assert [column.name for column in shape.columns if column.generated] == ["Upper"]


async def test_a_child_that_is_found_by_reading_everything_is_shown(path: str) -> None:
    """So that doctor can ask for an index."""
    child = SqlTable(path, "Line", parent="CustomerId")
    described = SqlTable(path, "Customer", key="CustomerId", children={"lines": child})

    async with opened_store(described) as store:
        before = store.shape.children["lines"].parent_indexed
    run(Path(path), "CREATE INDEX by_customer ON Line (CustomerId, Owner)")
    async with opened_store(described) as store:
        after = store.shape.children["lines"].parent_indexed

    assert (before, after) == (False, True)


@pytest.mark.parametrize(
    ("column", "ordered"),
    [
        ("Code TEXT PRIMARY KEY NOT NULL", True),
        ("Code TEXT COLLATE NOCASE PRIMARY KEY NOT NULL", False),
        ("Code TEXT COLLATE RTRIM PRIMARY KEY NOT NULL", False),
        ("Code PRIMARY KEY NOT NULL", False),
        ("Code INTEGER PRIMARY KEY", True),
    ],
)
async def test_a_store_says_whether_its_keys_are_ordered_as_pythons(
    tmp_path: Path,
    column: str,
    ordered: bool,  # noqa: FBT001 - a table of cases
) -> None:
    """Case, trailing spaces and mixed types make another order, and another equality."""
    path = tmp_path / "order.db"
    run(path, f"CREATE TABLE Thing ({column})")

    async with opened_store(SqlTable(str(path), "Thing", key="Code")) as store:
        assert store.ordered is ordered


async def test_a_utf16_database_orders_text_in_its_own_way(tmp_path: Path) -> None:
    """Its bytes are not those of the code points."""
    path = tmp_path / "wide.db"
    run(
        path, "PRAGMA encoding = 'UTF-16le'", "CREATE TABLE Thing (Code TEXT PRIMARY KEY NOT NULL)"
    )

    async with opened_store(SqlTable(str(path), "Thing", key="Code")) as store:
        await store.put_many([((code,), {}) for code in ("é", "a", "Ω")], FENCE)

        assert not store.ordered
        assert await store.read(("Ω",)) == {"Code": "Ω"}
