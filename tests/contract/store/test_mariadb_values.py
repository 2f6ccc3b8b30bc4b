"""MariaDB changes much in silence: what a column takes it gives back, all else is refused."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from crossfade.store.base import Fence, PutStatus
from tests.contract.store.mariadb_tables import FENCE, held, make, opened, rows, store_of
from tests.servers import run_mariadb

_TZ = timezone(timedelta(hours=2))
_NOON = datetime(2026, 3, 1, 12, 0, 0)  # noqa: DTZ001 - a DATETIME has no offset

TAKEN: list[tuple[str, list[object]]] = [
    ("tinyint", [-128, 127]),
    ("tinyint(1)", [0, 1, True, 2]),
    ("tinyint unsigned", [0, 255]),
    ("smallint", [-32768, 32767]),
    ("smallint unsigned", [65535]),
    ("mediumint", [-(2**23), 2**23 - 1]),
    ("mediumint unsigned", [2**24 - 1]),
    ("int", [-(2**31), 2**31 - 1]),
    ("int(5) unsigned zerofill", [7, 2**32 - 1]),
    ("bigint", [-(2**63), 2**63 - 1, 3.0, Decimal(4)]),
    ("bigint unsigned", [2**63, 2**64 - 1]),
    ("bit(1)", [0, 1, True]),
    ("bit(9)", [0, 511]),
    ("bit(64)", [2**64 - 1]),
    ("float", [0.5, 16777216.0, float.fromhex("0x1.99999ap-4"), float.fromhex("0x1p-149"), -3]),
    ("double", [0.1, 5e-324, -1.7976931348623157e308, 2**53, Decimal("0.25")]),
    ("double(10,2)", [1.23, -99999999.99]),
    ("decimal(5,2)", [Decimal("1.20"), Decimal("-999.99"), 7, 0.25]),
    ("decimal(65,30)", [Decimal(10) ** 34, Decimal("1e-30")]),
    ("decimal(20,0) unsigned", [0, 10**20 - 1]),
    ("char(3)", ["", "abc", "  a", "äöü", "😀"]),
    ("varchar(3)", ["", "  ", "a  ", "\x00", "e\u0301", "😀😀😀", "\\'\""]),
    ("varchar(3) character set latin1", ["é€", "\x81"]),
    ("varchar(3) character set utf8mb3", ["€"]),
    ("varchar(3) character set ascii", ["a%s"]),
    ("tinytext", ["x" * 255, "ä" * 127]),
    ("text", ["x" * 65535, " "]),
    ("longtext", ["😀" * 70000]),
    ("binary(3)", [b"\x00\xff ", b"abc"]),
    ("varbinary(3)", [b"", b"\x00", b"\x00\xff ", bytearray(b"a")]),
    ("blob", [b"'\\\x00\n\x1a", bytes(range(256)) * 100]),
    ("enum('a','B''c','x y','back\\\\slash')", ["a", "B'c", "x y", "back\\slash"]),
    ("set('a','b','c')", ["", "a", "a,c"]),
    ("date", [date(2026, 2, 28), date(1, 1, 1), "0000-00-00", "2026-00-10", "2026-01-00"]),
    ("datetime", [_NOON, "0000-00-00 00:00:00"]),
    ("datetime(3)", [_NOON.replace(microsecond=123000), "0000-00-00 00:00:00.000"]),
    ("datetime(6)", [_NOON.replace(microsecond=1), _NOON.replace(year=9999)]),
    ("timestamp null", [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 5, tzinfo=_TZ)]),
    (
        "timestamp(6) null",
        [datetime(2026, 3, 1, 0, 0, 0, 7, tzinfo=UTC), "0000-00-00 00:00:00.000000"],
    ),
    ("time", [time(23, 59, 59), "838:59:59", "-00:00:01", "24:00:00", "100:00:00"]),
    ("time(2)", [time(1, 2, 3, 40000), "-12:00:00.50"]),
    ("year", [0, 1901, 2155]),
    ("json", ['{"b": 1, "a":2}', "[]", "null", '"x"']),
    ("uuid", ["6ccd780c-baba-1026-9564-5b8c656024db"]),
    ("inet4", ["1.2.3.4"]),
    ("inet6", ["2001:db8::1", "::ffff:1.2.3.4", "::"]),
    ("point", [bytes(4) + b"\x01\x01\x00\x00\x00" + bytes(16)]),
]

READ_AS: list[tuple[str, object, object]] = [
    ("date", "2026-02-28", date(2026, 2, 28)),
    ("datetime(6)", "2026-03-01T12:00:00.5", _NOON.replace(microsecond=500000)),
    ("timestamp null", "2026-03-01T12:00:00Z", _NOON.replace(tzinfo=UTC)),
    ("time", timedelta(hours=1), time(1)),
    ("time", "12:30:00", time(12, 30)),
    ("time(1)", timedelta(days=-1, microseconds=500000), "-23:59:59.5"),
    ("varchar(40)", UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ("uuid", UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ("varchar(40)", Decimal("0.10"), "0.10"),
    ("varchar(40)", _NOON, "2026-03-01T12:00:00"),
    ("json", {"bb": [1, None], "a": "é"}, '{"a": "é", "bb": [1, null]}'),
    ("double", -0.0, 0.0),
]

REFUSED: list[tuple[str, list[object]]] = [
    ("tinyint", [128, -129, 1.5, "5", b"5"]),
    ("tinyint unsigned", [-1, 256]),
    ("bigint", [2**63, Decimal("1e1000000"), float("nan"), Decimal("sNaN")]),
    ("bigint unsigned", [-1, 2**64]),
    ("bit(9)", [512, -1, b"\x01"]),
    ("float", [0.1, 16777217, 1e39, float("inf"), "1"]),
    ("float unsigned", [-1.0]),
    (
        "double",
        [
            2**53 + 1,
            10**400,
            Decimal("0.1000000000000000000001"),
            Decimal("sNaN"),
            "1",
            float("nan"),
        ],
    ),
    ("double(10,2)", [1.005, 100000000.5]),
    ("decimal(5,2)", [Decimal("1.234"), 1000, Decimal("sNaN"), 0.125, "1.20"]),
    ("decimal(5,2) unsigned", [Decimal("-0.01")]),
    ("char(3)", ["a ", "abcd", 7]),
    ("varchar(3)", ["abcd", "abc ", "\ud800", 7, b"a", True]),
    ("varchar(3) character set latin1", ["\u03b1", "\x80"]),
    ("varchar(3) character set utf8mb3", ["😀"]),
    ("varchar(3) character set ascii", ["é"]),
    ("varchar(3) character set koi8r", ["😀"]),
    ("tinytext", ["x" * 256, "ä" * 128]),
    ("text", ["x" * 65536]),
    ("binary(3)", [b"ab", b"abcd", "abc"]),
    ("varbinary(3)", [b"abcd", "abc"]),
    ("tinyblob", [bytes(256)]),
    ("enum('a','b')", ["A", "1", "", "a ", 1]),
    ("set('a','b')", ["b,a", "a,a", "a,c", "A", 3]),
    ("date", ["0000-00-0", "2026-02-30", "soon", _NOON, 20260101]),
    ("datetime", [_NOON.replace(microsecond=1), _NOON.replace(tzinfo=UTC), "2026-01-01"]),
    ("datetime(3)", [_NOON.replace(microsecond=1), "0000-00-00 00:00:00"]),
    (
        "timestamp null",
        [_NOON, datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)],
    ),
    ("timestamp not null default now()", [None]),
    ("time", [time(1, 2, 3, 4), "839:00:00", "-00:00:00", "012:00:00", time(1, tzinfo=UTC)]),
    ("time(2)", ["-12:00:00", "-12:00:00.500"]),
    ("year", [5, 1900, 2156, "2026"]),
    ("json", ["{", "", 7, {"a": float("nan")}]),
    ("uuid", ["6CCD780C-BABA-1026-9564-5B8C656024DB", "x", ""]),
    ("inet4", ["1.2.3", "01.2.3.4"]),
    ("inet6", ["2001:DB8::1", "x"]),
    ("point", [b"x", "POINT(1 1)"]),
    ("int check (value > 5)", [4]),
    ("int not null", [None]),
]


def _flat(cases: list[tuple[str, list[object]]]) -> list[object]:
    return [
        pytest.param(kind, value, id=f"{kind}-{number}")
        for kind, values in cases
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(("kind", "values"), [pytest.param(*case, id=case[0]) for case in TAKEN])
async def test_a_value_is_read_as_it_was_put(
    mariadb_url: str, kind: str, values: list[object]
) -> None:
    """Alone and in a batch; a repeated put finds nothing to change."""
    make(mariadb_url, "t", "id int primary key", f"value {kind}", "changes timestamp(6)")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t", columns=["id", "value"])
        for number, value in enumerate(values):
            assert await held(store, {"value": value}, number) == (PutStatus.OK, {"value": value})
            assert store.as_read((number,), {"value": value}) == await store.read((number,))
            many = [((100 + number,), {"value": value})]
            assert (await store.put_many(many, FENCE)).result.status is PutStatus.OK
            assert (await store.read((100 + number,)) or {})["value"] == value
        run_mariadb(mariadb_url, "UPDATE t SET changes = '2000-01-01'")
        for number, value in enumerate(values):
            assert (await store.put((number,), {"value": value}, FENCE)).status is PutStatus.OK
        assert rows(mariadb_url, "SELECT DISTINCT YEAR(changes) FROM t") == [(2000,)]


@pytest.mark.parametrize(("kind", "value", "read"), READ_AS)
async def test_a_value_of_another_type_is_read_as_foretold(
    mariadb_url: str, kind: str, value: object, read: object
) -> None:
    """It means the same, in the column's own form."""
    make(mariadb_url, "t", "id int primary key", f"value {kind}")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")

        assert await held(store, {"value": value}) == (PutStatus.OK, {"value": read})
        assert store.as_read((1,), {"value": value}) == {"id": 1, "value": read}


@pytest.mark.parametrize(("kind", "values"), [pytest.param(*case, id=case[0]) for case in REFUSED])
async def test_a_value_that_would_be_changed_is_refused(
    mariadb_url: str, kind: str, values: list[object]
) -> None:
    """Alone and in a batch, with a reason that does not hold the value."""
    make(mariadb_url, "t", "id int primary key", f"value {kind}")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        for value in values:
            put = await store.put((1,), {"value": value}, FENCE)
            many = await store.put_many([((2,), {"value": value})], FENCE)

            assert [put.status, many.result.status] == [PutStatus.REFUSED] * 2, value
            assert put.reason
            assert len(str(value)) <= 3 or str(value) not in put.reason
        assert rows(mariadb_url, "SELECT * FROM t") == []
        assert await database.highest_token() == 0


async def test_a_float_of_another_writer_is_read_exactly(mariadb_url: str) -> None:
    """The server shows six digits of it, which are another number."""
    make(mariadb_url, "t", "id int primary key", "value float")
    run_mariadb(mariadb_url, "INSERT INTO t VALUES (1, 16777216), (2, 0.1)")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")

        assert await store.read((1,)) == {"id": 1, "value": 16777216.0}
        second = await store.read((2,))
        assert second == {"id": 2, "value": float.fromhex("0x1.99999ap-4")}
        assert (await store.put((3,), {"value": second["value"]}, FENCE)).status is PutStatus.OK
        assert rows(mariadb_url, "SELECT COUNT(DISTINCT value) FROM t") == [(2,)]


async def test_a_column_that_shrank_meanwhile_changes_nothing_silently(mariadb_url: str) -> None:
    """What the server merely notes is an error here, and the transaction is undone."""
    make(mariadb_url, "t", "id int primary key", "value varchar(9)", "price decimal(9,2)")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        run_mariadb(
            mariadb_url, "ALTER TABLE t MODIFY value varchar(3), MODIFY price decimal(9,1)"
        )

        spaces = await store.put((1,), {"value": "abc   "}, FENCE)
        rounded = await store.put_many([((1,), {"price": Decimal("1.25")})], FENCE)

        assert [spaces.status, rounded.result.status] == [PutStatus.REFUSED] * 2
        assert rows(mariadb_url, "SELECT * FROM t") == []


async def test_generated_columns_are_read_and_never_put(mariadb_url: str) -> None:
    """The database computes them."""
    make(mariadb_url, "t", "id int primary key", "n int", "twice int as (n * 2)",
         "kept int as (n + 1) stored")  # fmt: skip
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")

        assert (await store.put((1,), {"n": 4}, FENCE)).status is PutStatus.OK
        assert await store.read((1,)) == {"id": 1, "n": 4, "twice": 8, "kept": 5}
        assert (await store.put((1,), {"kept": 5}, FENCE)).status is PutStatus.REFUSED
        assert [column.generated for column in store.shape.columns] == [False, False, True, True]


async def test_zero_is_a_number_in_a_counted_column(mariadb_url: str) -> None:
    """It is not the wish for the next number; NULL would be, and is refused."""
    make(mariadb_url, "t", "code varchar(9) primary key", "n int not null auto_increment unique")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t", "code")

        assert (await store.put(("a",), {"n": 0}, FENCE)).status is PutStatus.OK
        assert (await store.put(("b",), {"n": None}, FENCE)).status is PutStatus.REFUSED
        assert rows(mariadb_url, "SELECT * FROM t") == [("a", 0)]


async def test_a_row_larger_than_a_packet_is_refused(mariadb_url: str) -> None:
    """Before it is sent: the server would cut the connection. Others of its size are put."""
    make(mariadb_url, "t", "id int primary key", "value longblob")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")

        large = await store.put((1,), {"value": bytes(9_000_000)}, FENCE)
        small = await store.put_many(
            [((number,), {"value": bytes(400_000)}) for number in range(2, 9)], FENCE
        )

        assert (large.status, small.result.status) == (PutStatus.REFUSED, PutStatus.OK)
        assert "max_allowed_packet" in large.reason
        assert await store.rows_estimate() == 7


async def test_a_type_that_we_do_not_know_is_left_alone(mariadb_url: str) -> None:
    """Its other columns are put."""
    make(mariadb_url, "t", "id int primary key", "name varchar(9)", "at timestamp(6) as row start",
         "gone timestamp(6) as row end", "period for system_time (at, gone)",
         options="with system versioning")  # fmt: skip
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")

        assert (await store.put((1,), {"name": "a"}, Fence(6, 3))).status is PutStatus.OK
        assert (await store.put((1,), {"name": "b"}, Fence(7, 3))).status is PutStatus.OK
        assert [c.generated for c in store.shape.columns] == [False, False, True, True]
