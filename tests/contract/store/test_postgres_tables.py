"""PostgreSQL's catalogue: which tables, keys, orders and sequences a store finds there."""

import re

import pytest

from crossfade.errors import ConfigurationError, StoreError
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.model.store_description import SqlTable
from crossfade.store.base import Fence, PutStatus
from crossfade.store.sql import SqlDatabases, SqlOptions
from crossfade.store.sql_dialect import ForeignKey, TableFacts
from tests.contract.store.postgres_stores import FENCE, opened_database, opened_store, run

HOSTILE = [
    '"; DROP TABLE t; --',
    "100% %s %(x)s :p ?",
    "select",
    'a") VALUES ("b',
    "Straße €",
    "x" * 63,
    " ",
    "a.b",
]


async def test_every_kind_of_relation_is_told_apart(postgres_url: str) -> None:
    """Tables, partitioned and foreign ones may be named; views cannot be written."""
    run(
        postgres_url,
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw",
        "CREATE TABLE plain (id int PRIMARY KEY)",
        "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (9)",
        "CREATE FOREIGN TABLE far (id int) SERVER other",
        "CREATE VIEW seen AS SELECT * FROM plain",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM plain",
        "CREATE TEMP TABLE gone (id int)",
        "CREATE SCHEMA warehouse",
        "CREATE TABLE warehouse.stock (id int PRIMARY KEY)",
    )
    async with opened_database(postgres_url) as database:
        names = await database.table_names()
        views = await database.connections.read(database.dialect.tables)

    assert names == ("far", "parted", "plain", "warehouse.stock")
    assert (views["seen"], views["kept"]) == (True, True)
    for view in ("seen", "kept"):
        with pytest.raises(ConfigurationError, match="is a view and cannot be written"):
            async with opened_store(SqlTable(postgres_url, view, key="id")):
                pass


async def test_a_partitioned_table_is_put_into_as_a_whole(postgres_url: str) -> None:
    """A row without a partition is refused, not an error."""
    run(
        postgres_url,
        "CREATE TABLE parted (id int PRIMARY KEY, name text) PARTITION BY RANGE (id)",
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (9)",
    )
    async with opened_store(SqlTable(postgres_url, "parted", key="id")) as store:
        assert (await store.put((1,), {"name": "a"}, FENCE)).status is PutStatus.OK
        assert (await store.put((10,), {"name": "a"}, FENCE)).status is PutStatus.REFUSED
        assert await store.keys_in_range(EVERY_KEY, 9) == [(1,)]


async def test_a_table_of_another_schema_is_named_with_it(postgres_url: str) -> None:
    """Its rows, its unique values and its sequences are its own, whatever else has the name."""
    run(
        postgres_url,
        'CREATE SCHEMA "ware.house %"',
        "CREATE TABLE stock (id int PRIMARY KEY, name text)",
        'CREATE TABLE "ware.house %".stock (id serial PRIMARY KEY, name text UNIQUE)',
    )
    described = SqlTable(postgres_url, "ware.house %.stock", key="id")
    async with opened_store(described) as store:
        await store.put((5,), {"name": "a"}, FENCE)
        unique = await store.put((6,), {"name": "a"}, FENCE)
        await store.move_sequences()

        assert (unique.status, unique.other_key) == (PutStatus.UNIQUE, (5,))
    assert run(postgres_url, "SELECT * FROM stock") == []
    assert run(
        postgres_url, 'INSERT INTO "ware.house %".stock (name) VALUES (0) RETURNING id'
    ) == [(6,)]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_only_a_name(postgres_url: str, name: str) -> None:
    """As table, column, sequence and unique index; nothing of it is run."""
    quoted, sequence = _quoted(name), _quoted(f"!{name[1:]}")
    literal = sequence.replace("'", "''")
    run(
        postgres_url,
        f"CREATE SEQUENCE {sequence}",
        f"CREATE TABLE {quoted} (id int PRIMARY KEY, {quoted} text UNIQUE)",
        f"ALTER TABLE {quoted} ALTER id SET DEFAULT nextval('{literal}')",
    )
    async with opened_store(SqlTable(postgres_url, name, key="id")) as store:
        assert (await store.put((7,), {name: "%s %%"}, FENCE)).status is PutStatus.OK
        assert (await store.put((8,), {name: "%s %%"}, FENCE)).other_key == (7,)
        assert await store.read((7,)) == {"id": 7, name: "%s %%"}
        assert await store.rows_estimate() == 1
        await store.move_sequences()
        assert (await store.put((7,), None, FENCE)).status is PutStatus.OK
    insert = f"INSERT INTO {quoted} DEFAULT VALUES RETURNING id"  # noqa: S608 - quoted
    assert run(postgres_url, insert) == [(8,)]


async def test_the_catalogue_is_read_as_it_is(postgres_url: str) -> None:
    """Only unique indexes over whole columns and all rows promise that a key is unique."""
    run(
        postgres_url,
        "CREATE TABLE other (a int, b int, UNIQUE (b, a))",
        """CREATE TABLE thing (id int GENERATED ALWAYS AS IDENTITY, a int, b int, c text NOT NULL,
            d text DEFAULT 'x', e text GENERATED ALWAYS AS (upper(c)) STORED, gone int,
            PRIMARY KEY (id), FOREIGN KEY (a, b) REFERENCES other (a, b) ON DELETE SET NULL,
            UNIQUE (c) INCLUDE (d))""",
        "ALTER TABLE thing DROP COLUMN gone",
        "CREATE UNIQUE INDEX ON thing (a) WHERE b > 0",
        "CREATE UNIQUE INDEX ON thing (lower(d))",
        "CREATE INDEX ON thing (b, a)",
        "CREATE INDEX ON thing USING brin (a)",
    )
    facts = await _facts(postgres_url, "thing")

    assert facts.primary_key == ("id",)
    assert facts.unique == (("id",), ("c",))
    assert sorted(facts.indexed) == [("b", "a"), ("c",), ("id",)]
    assert facts.foreign_keys == (ForeignKey(("a", "b"), "other", ("a", "b"), cascades=True),)
    flags = [(one.name, one.nullable, one.has_default, one.generated) for one in facts.columns]
    assert flags == [
        ("id", False, True, False),
        ("a", True, False, False),
        ("b", True, False, False),
        ("c", False, False, False),
        ("d", True, True, False),
        ("e", True, True, True),
    ]


async def test_identity_columns_take_the_values_that_they_are_given(postgres_url: str) -> None:
    """Ids are copied; computed columns are the database's own."""
    run(
        postgres_url,
        """CREATE TABLE thing (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text,
            upper text GENERATED ALWAYS AS (upper(name)) STORED)""",
    )
    async with opened_store(SqlTable(postgres_url, "thing", key="id")) as store:
        batch = await store.put_many([((4,), {"name": "a"}), ((9,), {"name": "b"})], FENCE)
        assert batch.result.status is PutStatus.OK
        assert (await store.put((4,), {"name": "c"}, FENCE)).status is PutStatus.OK
        assert (await store.put((4,), {"upper": "x"}, FENCE)).status is PutStatus.REFUSED
        assert await store.read((4,)) == {"id": 4, "name": "c", "upper": "C"}


@pytest.mark.parametrize(
    ("column", "ordered"),
    [
        ('code text COLLATE "C" PRIMARY KEY', True),
        ('code varchar(9) COLLATE "POSIX" PRIMARY KEY', True),
        ("code text COLLATE ucs_basic PRIMARY KEY", True),
        ("code uuid PRIMARY KEY", True),
        ("code bigint PRIMARY KEY", True),
        ("code text PRIMARY KEY", True),
        ('code text COLLATE "de-x-icu" PRIMARY KEY', False),
        ("code text COLLATE blind PRIMARY KEY", False),
        ("code citext PRIMARY KEY", False),
    ],
)
async def test_a_store_says_whether_its_keys_are_ordered_as_pythons(
    postgres_url: str,
    column: str,
    ordered: bool,  # noqa: FBT001 - a table of cases
) -> None:
    """Languages order otherwise, and some take different texts for equal."""
    run(postgres_url, *_COLLATIONS, f"CREATE TABLE thing ({column})")

    async with opened_store(SqlTable(postgres_url, "thing", key="code")) as store:
        assert store.ordered is ordered


_COLLATIONS = (
    "CREATE EXTENSION citext",
    "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
)


@pytest.mark.parametrize("kind", ['text COLLATE "de-x-icu"', "text COLLATE blind", "citext"])
async def test_ranges_follow_code_points_whatever_the_collation(
    postgres_url: str, kind: str
) -> None:
    """Pages meet every row once, and a text is equal only to itself."""
    codes = ["b", "B_", "a", "ä", "Z", "10", "9", "a-b", "ab", "\U0001f600", "\uffff"]
    run(postgres_url, *_COLLATIONS, f"CREATE TABLE thing (code {kind} PRIMARY KEY, name text)")
    async with opened_store(SqlTable(postgres_url, "thing", key="code")) as store:
        await store.put_many([((code,), {"name": code}) for code in codes], FENCE)

        keys: list[Key] = []
        while page := await store.keys_in_range(KeyRange(keys[-1] if keys else None), 2):
            keys += page
        assert keys == sorted((code,) for code in codes)
        assert await store.last_key() == max(keys)
        assert await store.key_after(("B_",), 1) == ("Z",)
        assert await store.read(("A",)) is None
        assert await store.read(("a",)) == {"code": "a", "name": "a"}


@pytest.mark.parametrize("kind", ["text COLLATE blind", "citext"])
async def test_texts_that_a_collation_takes_for_equal_are_a_clash(
    postgres_url: str, kind: str
) -> None:
    """The other one is named, and is not overwritten nor deleted."""
    run(postgres_url, *_COLLATIONS, f"CREATE TABLE thing (code {kind} PRIMARY KEY, name text)")
    async with opened_store(SqlTable(postgres_url, "thing", key="code")) as store:
        await store.put(("a",), {"name": "mine"}, FENCE)

        clash = await store.put(("A",), {"name": "other"}, FENCE)
        await store.put(("A",), None, FENCE)

        assert (clash.status, clash.other_key) == (PutStatus.UNIQUE, ("a",))
        assert await store.read(("a",)) == {"code": "a", "name": "mine"}


async def test_a_key_that_its_column_would_change_is_no_key(postgres_url: str) -> None:
    """Else a row would be put under one key and found under another."""
    run(
        postgres_url,
        """CREATE TABLE thing (a uuid, b char(3), c smallint, d varchar(2), name text,
            PRIMARY KEY (a, b, c, d))""",
    )
    key: Key = ("00000000-0000-0000-0000-00000000000a", "x", 1, "é")
    changed: list[Key] = [
        (str(key[0]).upper(), *key[1:]),
        (key[0], "x ", *key[2:]),
        (*key[:2], 40_000, key[3]),
        (*key[:3], "abc"),
        (*key[:3], "a\x00"),
    ]
    described = SqlTable(postgres_url, "thing", key=("a", "b", "c", "d"))
    async with opened_store(described) as store:
        assert (await store.put(key, {"name": "a"}, FENCE)).status is PutStatus.OK
        assert await store.keys_in_range(EVERY_KEY, 9) == [key]
        for other in changed:
            assert (await store.put(other, {"name": "b"}, FENCE)).status is PutStatus.REFUSED
            assert await store.read(other) is None
            assert (await store.put(other, None, FENCE)).status is PutStatus.OK
        assert (await store.read(key) or {})["name"] == "a"


async def test_the_other_sides_keys_bound_a_range_that_could_not_hold_them(
    postgres_url: str,
) -> None:
    """The mirror of a chunk has its bounds from the authority."""
    run(
        postgres_url,
        "CREATE TABLE small (id smallint PRIMARY KEY)",
        'CREATE TABLE brief (code varchar(2) COLLATE "C" PRIMARY KEY)',
        "CREATE TABLE named (id uuid PRIMARY KEY)",
    )
    async with opened_store(SqlTable(postgres_url, "small", key="id")) as store:
        await store.put((7,), {}, FENCE)
        assert await store.keys_in_range(KeyRange((-(2**40),), (2**40,)), 9) == [(7,)]
    async with opened_store(SqlTable(postgres_url, "brief", key="code")) as store:
        await store.put(("ab",), {}, FENCE)
        assert await store.keys_in_range(KeyRange(("aaaaa",), ("abcde",)), 9) == [("ab",)]
        assert await store.keys_in_range(KeyRange(("aa\x00",), ("ab\x00",)), 9) == [("ab",)]
    async with opened_store(SqlTable(postgres_url, "named", key="id")) as store:
        known = "0a000000-0000-0000-0000-000000000000"
        await store.put((known,), {}, FENCE)
        assert await store.keys_in_range(KeyRange(("",), ("0b?",)), 9) == [(known,)]
        assert await store.keys_in_range(KeyRange(("0a001",), ("zebra",)), 9) == []


@pytest.mark.parametrize("kind", ["numeric", "boolean", "date", "bytea", "double precision"])
async def test_what_is_no_key_is_said_at_once(postgres_url: str, kind: str) -> None:
    """A key is a whole number or text."""
    run(postgres_url, f"CREATE TABLE thing (code {kind} PRIMARY KEY)")

    with pytest.raises(ConfigurationError, match="a key is a whole number or text"):
        async with opened_store(SqlTable(postgres_url, "thing", key="code")):
            pass


async def test_sequences_are_moved_past_the_highest_id_and_never_back(postgres_url: str) -> None:
    """Identity, serial, a default that asks a sequence, one that counts down; in children too."""
    run(
        postgres_url,
        "CREATE SEQUENCE shared",
        "CREATE SEQUENCE falling INCREMENT -1",
        "CREATE SEQUENCE ahead START 1000",
        """CREATE TABLE thing (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a serial,
            b bigint DEFAULT nextval('shared'), c int DEFAULT nextval('falling'),
            d int DEFAULT nextval('ahead'), e smallserial)""",
        """CREATE TABLE part (thing_id int, id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT 5),
            PRIMARY KEY (thing_id, id))""",
    )
    child = SqlTable(postgres_url, "part", parent="thing_id")
    described = SqlTable(postgres_url, "thing", key="id", children={"parts": child})
    async with opened_store(described) as store:
        await store.move_sequences()
        assert run(postgres_url, "SELECT last_value, is_called FROM thing_id_seq") == [(1, False)]
        record = {"a": 70, "b": 2**40, "c": -7, "d": 5, "e": None, "parts": [{"id": 33}]}
        await store.put((1,), {**record, "e": 3}, FENCE)
        for _ in range(2):
            await store.move_sequences()

    made = run(postgres_url, "INSERT INTO thing DEFAULT VALUES RETURNING id, a, b, c, d, e")
    assert made == [(2, 71, 2**40 + 1, -8, 1000, 4)]
    assert run(postgres_url, "INSERT INTO part VALUES (2) RETURNING id")[0][0] > 33


async def test_a_sequence_that_may_not_be_moved_names_the_right(postgres_url: str) -> None:
    """The flip must know what to ask for."""
    role = f"reader_{postgres_url[-8:]}"
    run(
        postgres_url,
        "CREATE TABLE thing (id serial PRIMARY KEY)",
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON thing TO {role}",
        f"GRANT SELECT ON SEQUENCE thing_id_seq TO {role}",
        f"GRANT CREATE ON SCHEMA public TO {role}",
        "INSERT INTO thing VALUES (5)",
    )
    url = postgres_url.replace("postgres@", f"{role}@")
    try:
        async with opened_store(SqlTable(url, "thing", key="id")) as store:
            grant = f'GRANT SELECT, UPDATE ON SEQUENCE "thing_id_seq" TO "{role}"'
            with pytest.raises(StoreError, match=re.escape(grant)):
                await store.move_sequences()
    finally:
        run(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


async def test_every_form_of_url_opens_the_database(postgres_url: str) -> None:
    """With the driver's name, with the short scheme, with options; no password is shown."""
    run(postgres_url, "CREATE TABLE thing (id int PRIMARY KEY)")
    rest = postgres_url.partition("://")[2].replace("postgres@", "postgres:hunter2@")
    forms = [f"postgresql+psycopg://{rest}", f"postgres://{rest}?sslmode=prefer&connect_timeout=5"]
    for url in forms:
        async with opened_store(SqlTable(url, "thing", key="id"), SqlOptions()) as store:
            assert (await store.put((1,), {}, Fence(5, 1))).status is PutStatus.OK
        assert "hunter2" not in SqlDatabases("shop").at(url).name


async def _facts(url: str, table: str) -> TableFacts:
    async with opened_database(url) as database:
        dialect = database.dialect
        return await database.connections.read(lambda cursor: dialect.table_facts(cursor, table))


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
