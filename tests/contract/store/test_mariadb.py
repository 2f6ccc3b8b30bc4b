"""MariaDB as a store: addresses, the catalogue, collations, keys, reasons, counters."""

import pytest

from crossfade.errors import ConfigurationError, NoDatabaseError, StoreUnreachableError
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.store.base import Fence, PutStatus
from crossfade.store.dialects import dialect_of
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlOptions
from crossfade.store.sql_dialect import ForeignKey
from crossfade.store.sql_statements import TableStatements
from crossfade.store.sql_store import SqlStore
from crossfade.store.sql_tables import StoreTable
from tests.contract.store.mariadb_tables import FENCE, make, opened, rows, store_of
from tests.servers import run_mariadb

LONG = "%s `x` Straße 😀"[:-2] + "n" * 40 + " select --"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("mariadb://h/shop", "mariadb://h:3306/shop", id="mariadb"),
        pytest.param("mysql://u@h:33/shop", "mariadb://h:33/shop", id="mysql"),
        pytest.param("mysql+pymysql://u:p%40s@h/shop", "mariadb://h:3306/shop", id="driver"),
        pytest.param(
            "mysql://u@/shop?unix_socket=/run/x.sock&charset=utf8mb4",
            "mariadb:///run/x.sock/shop",
            id="socket",
        ),
    ],
)
def test_an_address_is_named_without_its_password(url: str, name: str) -> None:
    """Nor is anything opened."""
    assert dialect_of(url, SqlOptions()).name == name


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("mariadb://user:hunter2@host", id="no-database"),
        pytest.param("mariadb://user:hunter2@host/", id="empty-database"),
        pytest.param("mariadb://user:hunter2@host:port/shop", id="no-port"),
        pytest.param("mariadb://user:hunter2@host:99999/shop", id="high-port"),
        pytest.param("mysql://user:hunter2@host/shop?autocommit=1", id="unknown-option"),
        pytest.param("mysql://user:hunter2@host/shop?ssl_ca=a&ssl_ca=b", id="an-option-twice"),
        pytest.param("mysql+mysqldb://user:hunter2@host/shop", id="another-driver"),
    ],
)
def test_a_wrong_address_is_refused_without_its_password(url: str) -> None:
    """At once, with what to write instead."""
    with pytest.raises(ConfigurationError) as caught:
        dialect_of(url, SqlOptions())

    assert "hunter2" not in str(caught.value)


async def test_a_password_may_have_any_character(mariadb_url: str) -> None:
    """It is written in percent form; a wrong one is an error that does not show it."""
    user = mariadb_url.rpartition("_")[2]
    run_mariadb(mariadb_url, f"CREATE USER '{user}'@'%' IDENTIFIED BY 'p@ss:/%?#'")
    try:
        run_mariadb(mariadb_url, f"GRANT ALL ON *.* TO '{user}'@'%'")
        right = mariadb_url.replace("root@", f"{user}:p%40ss%3A%2F%25%3F%23@")
        async with opened(right) as database:
            assert await database.highest_token() == 0
        wrong = SqlDatabase(mariadb_url.replace("root@", f"{user}:hunter2@"), migration="shop")
        with pytest.raises(ConfigurationError, match="password") as caught:
            await wrong.epoch()
        assert "hunter2" not in str(caught.value)
    finally:
        run_mariadb(mariadb_url, f"DROP USER '{user}'@'%'")


async def test_a_socket_is_an_address(mariadb_url: str) -> None:
    """The host is not asked then."""
    [(socket,)] = rows(mariadb_url, "SELECT @@socket")
    name = mariadb_url.rpartition("/")[2]

    async with opened(f"mariadb://root@/{name}?unix_socket={socket}") as database:
        assert await database.highest_token() == 0


async def test_a_database_that_does_not_exist_and_a_server_that_does_not_answer(
    mariadb_url: str,
) -> None:
    """One is a mistake, the other may be tried again."""
    missing = SqlDatabase(f"{mariadb_url}_not", migration="shop")
    with pytest.raises(NoDatabaseError):
        await missing.epoch()
    silent = SqlDatabase("mariadb://root@127.0.0.1:1/shop", migration="shop")
    with pytest.raises(StoreUnreachableError):
        await silent.epoch()


async def test_a_missing_right_is_named_with_its_grant(mariadb_url: str) -> None:
    """The operator can repeat the command."""
    make(mariadb_url, "t", "id int primary key")
    user = mariadb_url.rpartition("_")[2]
    run_mariadb(mariadb_url, f"CREATE USER '{user}'@'%'")
    try:
        async with opened(mariadb_url):
            run_mariadb(
                mariadb_url,
                *(f"GRANT SELECT ON {one} TO '{user}'@'%'" for one in ("t", "crossfade_epoch")),
                f"GRANT SELECT, INSERT, UPDATE ON crossfade_fence TO '{user}'@'%'",
                f"GRANT UPDATE ON crossfade_epoch TO '{user}'@'%'",
            )
            databases = SqlDatabases("shop")
            store = await store_of(databases.at(mariadb_url.replace("root@", f"{user}@")), "t")
            with pytest.raises(StoreUnreachableError, match=r"GRANT INSERT ON .*t"):
                await store.put((1,), {}, FENCE)
            await databases.close()
    finally:
        run_mariadb(mariadb_url, f"DROP USER '{user}'@'%'")


async def test_the_catalogue_is_read_as_it_is(mariadb_url: str) -> None:
    """Indexes over parts of columns promise nothing; foreign keys say whether they cascade."""
    run_mariadb(
        mariadb_url,
        "CREATE TABLE parents (a int, b int, name varchar(99), PRIMARY KEY (b, a), KEY (name))",
        "CREATE TABLE children (id int unsigned PRIMARY KEY, pa int, pb int, me int unsigned,"
        " code varchar(99) NOT NULL, note varchar(99) DEFAULT 'x', hidden int invisible,"
        " UNIQUE whole (code, note), UNIQUE part (code(3)), FULLTEXT (note), KEY (pb, pa),"
        " FOREIGN KEY (pb, pa) REFERENCES parents (b, a) ON DELETE SET NULL,"
        " FOREIGN KEY (me) REFERENCES children (id))",
        "CREATE VIEW shown AS SELECT * FROM parents",
        "CREATE SEQUENCE numbers",
    )
    async with opened(mariadb_url) as database:
        assert await database.table_names() == ("children", "parents")
        facts = await database.connections.read(
            lambda cursor: database.dialect.table_facts(cursor, "children")
        )
        with pytest.raises(ConfigurationError, match="is a view"):
            await store_of(database, "shown", "a")

    assert facts.primary_key == ("id",)
    assert facts.unique == (("id",), ("code", "note"))
    assert set(facts.indexed) == {("id",), ("code", "note"), ("pb", "pa"), ("me",)}
    assert set(facts.foreign_keys) == {
        ForeignKey(("pb", "pa"), "parents", ("b", "a"), cascades=True),
        ForeignKey(("me",), "children", ("id",), cascades=False),
    }
    assert [column.name for column in facts.columns if column.has_default] == [
        "pa",
        "pb",
        "me",
        "note",
        "hidden",
    ]
    assert [column.name for column in facts.columns if not column.nullable] == ["id", "code"]


async def test_a_table_without_transactions_is_refused(mariadb_url: str) -> None:
    """A copy could end half done, with its token kept."""
    make(mariadb_url, "t", "id int primary key", options="ENGINE=MyISAM")
    async with opened(mariadb_url) as database:
        with pytest.raises(ConfigurationError, match="ENGINE=InnoDB"):
            await store_of(database, "t")


@pytest.mark.parametrize("collation", ["utf8mb4_general_ci", "utf8mb4_bin", "latin1_swedish_ci"])
async def test_keys_that_a_collation_finds_equal_stay_apart(
    mariadb_url: str, collation: str
) -> None:
    """The second is refused with the first one's key; nothing happens to the wrong row."""
    charset = collation.partition("_")[0]
    make(
        mariadb_url,
        "t",
        f"code varchar(9) CHARACTER SET {charset} COLLATE {collation} primary key",
        "n int",
    )
    other: Key = ("a ",) if collation == "utf8mb4_bin" else ("A",)
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t", "code")
        assert not store.ordered
        await store.put(("a",), {"n": 1}, FENCE)

        put = await store.put(other, {"n": 2}, FENCE)
        batch = await store.put_many([(("b",), {"n": 3}), (other, {"n": 2})], FENCE)
        deleted = await store.put(other, None, FENCE)
        both = await store.put_many([(("c ",), {"n": 1}), (("c",), {"n": 2})], FENCE)

        assert [put.status, batch.result.status] == [PutStatus.UNIQUE] * 2
        assert put.other_key == ("a",)
        assert (deleted.status, both.result.status) == (PutStatus.OK, PutStatus.UNIQUE)
        assert await store.read(other) is None
        assert rows(mariadb_url, "SELECT code, n FROM t") == [("a", 1)]
        assert (await store.put(("a",), {"n": 7}, FENCE)).status is PutStatus.OK
        assert (await store.put(("a",), None, FENCE)).status is PutStatus.OK
        assert (await store.put(other, {"n": 2}, FENCE)).status is PutStatus.OK


@pytest.mark.parametrize("collation", ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"])
async def test_ranges_are_by_code_point_in_any_collation(mariadb_url: str, collation: str) -> None:
    """Paging meets every key once."""
    make(mariadb_url, "t", f"code varchar(9) COLLATE {collation} primary key")
    codes = ["b", "Z", "é", "ab", "a", "", "\U0001f600", "\u20ac", "10", "9"]
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t", "code")
        await store.put_many([((code,), {}) for code in codes], FENCE)

        keys = await store.keys_in_range(EVERY_KEY, 99)

        assert keys == sorted((code,) for code in codes)
        for lower in keys:
            above = await store.keys_in_range(KeyRange(lower=lower), 99)
            assert above == [key for key in keys if key > lower]
        assert await store.last_key() == max(keys)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        pytest.param("char(3)", "ab", "ab ", id="char"),
        pytest.param("enum('a','b')", "b", "B", id="enum"),
        pytest.param(
            "uuid",
            "6ccd780c-baba-1026-9564-5b8c656024db",
            "6CCD780C-BABA-1026-9564-5B8C656024DB",
            id="uuid",
        ),
        pytest.param("inet6", "2001:db8::1", "2001:DB8::1", id="inet6"),
        pytest.param("varchar(3) CHARACTER SET latin1", "é", "\u03b1", id="latin1"),
        pytest.param("varchar(3) CHARACTER SET utf8mb3", "€", "😀", id="utf8mb3"),
        pytest.param("varchar(3)", "abc", "abcd", id="too-long"),
        pytest.param("varchar(700)", "x" * 600, "x" * 700, id="too-long-for-the-fence"),
    ],
)
async def test_a_key_that_a_column_would_change_is_refused(
    mariadb_url: str, kind: str, good: str, bad: str
) -> None:
    """It would name another row."""
    make(mariadb_url, "t", f"code {kind} primary key", "n int")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t", "code")

        assert (await store.put((bad,), {"n": 1}, FENCE)).status is PutStatus.REFUSED
        batch = await store.put_many([((good,), {"n": 1}), ((bad,), {"n": 1})], FENCE)
        assert batch.result.status is PutStatus.REFUSED
        assert await store.read((bad,)) is None
        assert (await store.put((good,), {"n": 2}, FENCE)).status is PutStatus.OK
        assert (await store.put((good,), {"n": 3}, FENCE)).status is PutStatus.OK
        assert await store.keys_in_range(EVERY_KEY, 9) == [(good,)]
        assert await store.read((good,)) == {"code": good, "n": 3}
        assert (await store.put((good,), None, FENCE)).status is PutStatus.OK
        assert await store.last_key() is None


async def test_whole_numbers_beyond_63_bits_are_keys(mariadb_url: str) -> None:
    """An unsigned column has 64."""
    make(mariadb_url, "t", "id bigint unsigned primary key")
    keys = [(0,), (2**63,), (2**64 - 1,)]
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        await store.put_many([(key, {}) for key in keys], FENCE)

        assert await store.keys_in_range(KeyRange((0,), (2**64 - 1,)), 9) == keys[1:]
        assert (await store.put((2**64,), {}, FENCE)).status is PutStatus.REFUSED
        assert (await store.put((-1,), {}, FENCE)).status is PutStatus.REFUSED


async def test_names_of_sixty_four_characters_are_only_names(mariadb_url: str) -> None:
    """Backticks, per cent and key words in tables, columns, indexes and counters."""
    quoted = [f"`{name[:64].replace('`', '``')}`" for name in (LONG, "%s) `ON DUPLICATE", "b%")]
    run_mariadb(
        mariadb_url,
        f"CREATE TABLE {quoted[0]} ({quoted[1]} int PRIMARY KEY, {quoted[2]} int NOT NULL"
        f" AUTO_INCREMENT UNIQUE, {quoted[0]} varchar(9), UNIQUE {quoted[1]} ({quoted[0]}))",
    )
    name = LONG[:64]
    async with opened(mariadb_url) as database:
        store = await store_of(database, name, "%s) `ON DUPLICATE")
        records = [((number,), {"b%": number, name: f"{number}"}) for number in range(3)]

        assert (await store.put_many(records, FENCE)).result.status is PutStatus.OK
        again = await store.put((9,), {"b%": 9, name: "1"}, FENCE)
        await store.put((1,), {"b%": 77}, FENCE)
        await store.move_sequences()

        assert (again.status, again.other_key) == (PutStatus.UNIQUE, (1,))
        assert await store.rows_estimate() == 3
        insert = f"INSERT INTO {quoted[0]} ({quoted[1]}) VALUES (50)"  # noqa: S608 - our names
        run_mariadb(mariadb_url, insert)
        found = rows(mariadb_url, f"SELECT * FROM {quoted[0]} WHERE {quoted[1]} = 50")  # noqa: S608 - made up here
        assert found == [(50, 78, None)]


async def test_counters_follow_the_ids_that_are_put(mariadb_url: str) -> None:
    """By themselves where ids are inserted; a sequence is moved, and never back."""
    run_mariadb(
        mariadb_url,
        "CREATE SEQUENCE numbers START WITH 1 INCREMENT BY 1 NOCACHE",
        "CREATE SEQUENCE downwards START WITH -1 INCREMENT BY -1 MINVALUE -1000 NOCACHE",
        "CREATE TABLE counted (id int PRIMARY KEY AUTO_INCREMENT, n int)",
        "CREATE TABLE numbered (id int PRIMARY KEY DEFAULT NEXTVAL(numbers),"
        " d int DEFAULT NEXTVAL(downwards))",
    )
    async with opened(mariadb_url) as database:
        counted = await store_of(database, "counted")
        numbered = await store_of(database, "numbered")
        await counted.put((40,), {"n": 1}, FENCE)
        await numbered.put((40,), {"d": -40}, FENCE)

        for store in (counted, numbered, numbered):
            await store.move_sequences()
        await numbered.put((40,), None, Fence(6, 3))
        await numbered.move_sequences()

        run_mariadb(
            mariadb_url,
            "INSERT INTO counted (n) VALUES (2)",
            "INSERT INTO numbered () VALUES ()",
        )
        assert rows(mariadb_url, "SELECT MAX(id) FROM counted") == [(41,)]
        assert rows(mariadb_url, "SELECT id, d FROM numbered") == [(41, -41)]


async def test_constraints_are_reported_in_our_words(mariadb_url: str) -> None:
    """None of them shows a value."""
    run_mariadb(
        mariadb_url,
        "CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n < 5), must int NOT NULL,"
        " mail varchar(99), UNIQUE unique_mail (mail(5)))",
        "CREATE TRIGGER guard BEFORE INSERT ON t FOR EACH ROW IF NEW.n = 3 THEN"
        " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'hunter2'; END IF",
    )
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        await store.put((7,), {"must": 1, "mail": "hunter2 for key 'x'"}, FENCE)
        results = [
            await store.put((1,), record, FENCE)
            for record in (
                {"n": 7, "must": 1},
                {"n": 1},
                {"must": None},
                {"n": 3, "must": 1},
                {"must": 1, "mail": "hunter3 for key 'y'"},
            )
        ]

    assert [result.status for result in results] == [PutStatus.REFUSED] * 4 + [PutStatus.UNIQUE]
    assert all(result.reason and "hunter" not in result.reason for result in results)
    assert "'must'" in results[1].reason


async def test_a_range_of_composite_keys_uses_the_index(mariadb_url: str) -> None:
    """Of a tuple that is compared as one the server would read every row."""
    make(mariadb_url, "t", "a int", "b int", "n int", "PRIMARY KEY (a, b)")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t", "a", "b")
        await store.put_many([((n % 7, n), {}) for n in range(3000)], FENCE)
        statements = TableStatements(_table(store), database.dialect)
        for statement, given in (
            (statements.in_range(("a", "b"), ("n",), "lun"), (3, 1500, 3, 1600, 50)),
            (statements.key_after(bounded=True), (6, 2900, 10)),
        ):
            text = statement.sql % tuple(map(str, statement.parameters(given)))
            [plan] = rows(mariadb_url, f"EXPLAIN {text}")
            assert plan[3] == "range"


async def test_a_lower_token_leaves_token_and_digests(mariadb_url: str) -> None:
    """A higher or equal one forgets what was computed of the row before."""
    make(mariadb_url, "t", "id int primary key", "n int")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        await store.put_many([((n,), {"n": n}) for n in range(3)], Fence(7, 3))
        run_mariadb(
            mariadb_url,
            "UPDATE crossfade_fence SET authority_digest = 1, mirror_digest = 2",
            "UPDATE crossfade_fence SET token = 9 WHERE `key` = '[1]'",
        )

        batch = await store.put_many([((n,), {"n": 0}) for n in range(4)], Fence(8, 3))

        assert batch.fenced == ((1,),)
        found = rows(mariadb_url, "SELECT * FROM crossfade_fence ORDER BY `key`")
        assert [row[3:] for row in found] == [
            (8, None, None),
            (9, 1, 2),
            (8, None, None),
            (8, None, None),
        ]


def _table(store: SqlStore) -> StoreTable:
    return store._table  # noqa: SLF001 - a look inside
