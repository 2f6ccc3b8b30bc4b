"""PostgreSQL's own types: what goes in comes back equal, the rest is refused with a reason."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from crossfade.model.key import EVERY_KEY
from crossfade.model.store_description import SqlTable
from crossfade.store.base import OK, PutStatus
from crossfade.store.postgres_json import JsonNull
from tests.contract.store.postgres_stores import FENCE, opened_store, run
from tests.servers import postgres_database

HALF_PAST_THREE = timezone(timedelta(hours=3, minutes=30))
FINE = 'it\'s "fine"'
SCHEMA = (
    "CREATE EXTENSION citext",
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s \"fine\"')",
    "CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> 'evil')",
    "CREATE DOMAIN unsigned AS integer CHECK (VALUE >= 0)",
    "CREATE DOMAIN count AS unsigned",
    """CREATE TABLE thing (
        id bigint PRIMARY KEY, int2 smallint, int4 integer, int8 bigint, numeric numeric,
        price numeric(10, 2), hundreds numeric(3, -2), float4 real, float8 double precision,
        text text, varchar3 varchar(3), char3 char(3), citext citext, name name, uuid uuid,
        bool boolean, bytea bytea, date date, time time, time0 time(0), timetz timetz,
        timestamp timestamp, timestamp3 timestamp(3), timestamptz timestamptz,
        interval interval, json json, jsonb jsonb, mood mood, short short, inet inet, cidr cidr,
        macaddr macaddr, int4range int4range, xml xml, bits bit varying(5), point point,
        ints integer[], texts text[], moods mood[], numbers numeric(4, 1)[], days date[],
        documents jsonb[], blobs bytea[], moments timestamptz[], flags boolean[], oid oid,
        shorts short[], counts count[])""",
)

KEPT: list[tuple[str, object, object]] = [
    ("int2", -32768, -32768),
    ("int4", 2**31 - 1, 2**31 - 1),
    ("int8", -(2**63), -(2**63)),
    ("int4", True, 1),
    ("int4", 3.0, 3),
    ("numeric", Decimal("1e-30"), Decimal("1e-30")),
    ("numeric", 10**200 + 1, Decimal(10**200 + 1)),
    ("numeric", Decimal("1.50"), Decimal("1.50")),
    ("numeric", 0.1, Decimal("0.1")),
    ("numeric", Decimal("-0.00"), Decimal("0.00")),
    ("price", Decimal("12.3"), Decimal("12.30")),
    ("price", Decimal("12.300"), Decimal("12.30")),
    ("price", 99_999_999, Decimal("99999999.00")),
    ("hundreds", Decimal(12300), Decimal(12300)),
    ("float4", 0.1, 0.1),
    ("float4", 16777216, 16777216.0),
    ("float8", 5e-324, 5e-324),
    ("float8", -1.7976931348623157e308, -1.7976931348623157e308),
    ("text", "ἀ€\U0001f600'\"\\%s", "ἀ€\U0001f600'\"\\%s"),
    ("varchar3", "äöü", "äöü"),
    ("char3", "a", "a"),
    ("char3", "", ""),
    ("citext", "MiXed", "MiXed"),
    ("uuid", UUID(int=10), "00000000-0000-0000-0000-00000000000a"),
    ("uuid", "00000000-0000-0000-0000-00000000000A", "00000000-0000-0000-0000-00000000000a"),
    ("bool", True, True),
    ("bool", 0, False),
    ("bytea", bytearray(b"\x00\xff\\"), b"\x00\xff\\"),
    ("date", "0001-01-01", date(1, 1, 1)),
    ("date", datetime(2026, 1, 2), date(2026, 1, 2)),  # noqa: DTZ001 - has no zone
    ("date", "infinity", "infinity"),
    ("date", "0044-03-15 BC", "0044-03-15 BC"),
    ("date", "20000-01-01", "20000-01-01"),
    ("time", time(23, 59, 59, 999999), time(23, 59, 59, 999999)),
    ("time", "24:00:00", "24:00:00"),
    ("timetz", time(1, 2, 3, 400000, HALF_PAST_THREE), time(1, 2, 3, 400000, HALF_PAST_THREE)),
    ("timetz", time(1, tzinfo=UTC), time(1, tzinfo=UTC)),
    ("timestamp", datetime(1, 1, 1), datetime(1, 1, 1)),  # noqa: DTZ001 - has no zone
    ("timestamp", "2026-01-02T03:04:05.000006", datetime(2026, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001 - the column has no zone
    ("timestamp", "-infinity", "-infinity"),
    ("timestamp", "12026-01-02 03:04:05", "12026-01-02 03:04:05"),
    ("timestamp3", datetime(2026, 1, 1, 0, 0, 0, 1000), datetime(2026, 1, 1, 0, 0, 0, 1000)),  # noqa: DTZ001 - the column has no zone
    (
        "timestamptz",
        datetime(2026, 1, 2, 3, 30, tzinfo=HALF_PAST_THREE),
        datetime(2026, 1, 2, tzinfo=UTC),
    ),
    ("timestamptz", "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("timestamptz", "infinity", "infinity"),
    ("timestamptz", "0044-03-15 00:00:00+00 BC", "0044-03-15 00:00:00+00 BC"),
    ("interval", timedelta(days=-1, hours=25, microseconds=5), "PT1H0.000005S"),
    ("interval", timedelta(days=1, seconds=3600), "P1DT1H"),
    ("interval", timedelta(0), "PT0S"),
    ("interval", "P1Y14M-3DT-4H-0.5S", "P2Y2M-3DT-4H-0.5S"),
    ("interval", "P2W", "P14D"),
    ("json", {"b": [1, 2.5, None], "a": "ä"}, {"b": [1, Decimal("2.5"), None], "a": "ä"}),
    ("jsonb", {"bb": 1, "a": {"x": True}}, {"a": {"x": True}, "bb": 1}),
    ("jsonb", Decimal(f"{10**30}.10"), Decimal(f"{10**30}.10")),
    ("jsonb", 10**30, 10**30),
    ("jsonb", JsonNull.NULL, JsonNull.NULL),
    ("json", JsonNull.NULL, JsonNull.NULL),
    ("jsonb", 'text \\ " \n \x1f \x7f é', 'text \\ " \n \x1f \x7f é'),
    ("jsonb", [], []),
    ("mood", FINE, FINE),
    ("short", "fünf5", "fünf5"),
    ("inet", "10.0.0.1/32", "10.0.0.1"),
    ("inet", "::ffff:1.2.3.4", "::ffff:1.2.3.4"),
    ("inet", "::1.2.3.4/100", "::1.2.3.4/100"),
    ("inet", "::1:2:3/64", "::1:2:3/64"),
    ("inet", "::1", "::1"),
    ("inet", "1:0:0:2::", "1:0:0:2::"),
    ("cidr", "::ffff:1.2.0.0/112", "::ffff:1.2.0.0/112"),
    ("inet", "2001:DB8::1/64", "2001:db8::1/64"),
    ("cidr", "10.0.0.0/8", "10.0.0.0/8"),
    ("macaddr", "08-00-2B-01-02-03", "08:00:2b:01:02:03"),
    ("int4range", "[1,5)", "[1,5)"),
    ("xml", "<a>ä</a>", "<a>ä</a>"),
    ("bits", "10101", "10101"),
    ("point", "(1.5,2)", "(1.5,2)"),
    ("ints", [1, None, -3], [1, None, -3]),
    ("ints", [], []),
    ("ints", ((1, 2), (3, 4)), [[1, 2], [3, 4]]),
    (
        "texts",
        ["", "NULL", 'a"b\\c,{}', " ", None, "é"],
        ["", "NULL", 'a"b\\c,{}', " ", None, "é"],
    ),
    ("moods", ["ok", FINE], ["ok", FINE]),
    ("numbers", [Decimal("1.5"), 2], [Decimal("1.5"), Decimal("2.0")]),
    ("days", [date(2026, 1, 2), "infinity"], [date(2026, 1, 2), "infinity"]),
    ("documents", [{"a": None}, JsonNull.NULL, None], [{"a": None}, JsonNull.NULL, None]),
    ("blobs", [b"\x00", b""], [b"\x00", b""]),
    ("moments", [datetime(2026, 1, 1, tzinfo=UTC)], [datetime(2026, 1, 1, tzinfo=UTC)]),
    ("flags", [True, False, None], [True, False, None]),
    ("oid", 2**32 - 1, 2**32 - 1),
    ("shorts", ["a", None, ""], ["a", None, ""]),
    ("counts", [1, 2], [1, 2]),
]

REFUSED: list[tuple[str, object]] = [
    ("int2", 32768),
    ("int4", -(2**31) - 1),
    ("int8", 2**63),
    ("int8", 1.5),
    ("int8", "1"),
    ("int8", Decimal("1e30")),
    ("numeric", Decimal("NaN")),
    ("numeric", Decimal("Infinity")),
    ("numeric", float("nan")),
    ("numeric", "1"),
    ("numeric", Decimal("1e200000")),
    ("price", Decimal("12.345")),
    ("price", 100_000_000),
    ("hundreds", 12345),
    ("float4", 0.1 + 2**-40),
    ("float4", 1e39),
    ("float4", 16777217),
    ("float8", float("inf")),
    ("float8", 2**53 + 1),
    ("text", "a\x00b"),
    ("text", "\ud800"),
    ("text", 1),
    ("text", b"a"),
    ("varchar3", "abcd"),
    ("varchar3", "abc "),
    ("char3", "a "),
    ("char3", "abcd"),
    ("name", "é" * 32),
    ("uuid", "{00000000-0000-0000-0000-00000000000a}"),
    ("bool", 2),
    ("bool", "true"),
    ("bytea", "text"),
    ("date", datetime(2026, 1, 2, 3, tzinfo=UTC)),
    ("date", "yesterday"),
    ("time", time(1, tzinfo=UTC)),
    ("time0", time(1, 2, 3, 4)),
    ("timetz", time(1)),
    ("timestamp", datetime(2026, 1, 1, tzinfo=UTC)),
    ("timestamp", "now"),
    ("timestamp3", datetime(2026, 1, 1, 0, 0, 0, 1)),  # noqa: DTZ001 - has no zone
    ("timestamptz", datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the point
    ("timestamptz", "999999-01-01 00:00:00+00"),
    ("interval", "1 day"),
    ("json", {"a": float("nan")}),
    ("json", {1: 2}),
    ("json", {"a": b"x"}),
    ("jsonb", {"a": "\x00"}),
    ("jsonb", "\ud800"),
    ("jsonb", Decimal("1e100000")),
    ("jsonb", datetime(2026, 1, 1, tzinfo=UTC)),
    ("mood", "angry"),
    ("short", "evil"),
    ("short", "toolong"),
    ("inet", "300.0.0.1"),
    ("cidr", "10.0.0.1/8"),
    ("macaddr", "x"),
    ("int4range", "[5,1)"),
    ("xml", "<a>"),
    ("bits", "102"),
    ("ints", [1, [2]]),
    ("ints", [[1], [2, 3]]),
    ("ints", [[]]),
    ("ints", [2**31]),
    ("ints", "{1}"),
    ("texts", ["\x00"]),
    ("numbers", [Decimal("1.55")]),
    ("shorts", ["evil"]),
    ("counts", [-1]),
]


@pytest.fixture(scope="module")
def things(postgres_server: str) -> Any:  # noqa: ANN401 - an iterator, for pytest
    """A table with a column of every kind, made once: no test needs what another one left."""
    with postgres_database(postgres_server) as url:
        run(url, *SCHEMA)
        yield SqlTable(url, "thing", key="id")


@pytest.fixture(autouse=True)
def _empty(things: SqlTable) -> None:
    run(things.url, "TRUNCATE thing", "DROP TABLE IF EXISTS crossfade_fence, crossfade_epoch")


async def test_every_value_is_read_as_it_was_foretold(things: SqlTable) -> None:
    """Alone and in a batch; putting it again writes nothing."""
    records = [((place,), {name: value}) for place, (name, value, _) in enumerate(KEPT)]
    wanted = {(place,): (name, value) for place, (name, _, value) in enumerate(KEPT)}
    async with opened_store(things) as store:
        results = [(record, await store.put(key, record, FENCE)) for key, record in records]
        bad = [(record, result.reason) for record, result in results if result != OK]
        assert bad == []
        versions = run(things.url, "SELECT id, xmin::text FROM thing ORDER BY id")
        batch = await store.put_many(records, FENCE)
        assert batch.result.status is PutStatus.OK, batch.result.reason

        found = dict(await store.read_range(EVERY_KEY, 999))
        read = [(name, found[key][name]) for key, (name, _) in wanted.items()]
        pairs = zip(read, wanted.values(), strict=True)
        assert [(one, other) for one, other in pairs if repr(one) != repr(other)] == []
        for key, record in records:
            name, value = wanted[key]
            foretold = [store.as_read(key, record), store.as_read(key, {name: value})]
            assert foretold == [{"id": key[0], name: value}] * 2
    assert run(things.url, "SELECT id, xmin::text FROM thing ORDER BY id") == versions


async def test_what_would_be_changed_is_refused(things: SqlTable) -> None:
    """With a reason, alone and in a batch, and nothing of it is stored."""
    async with opened_store(things) as store:
        taken = []
        for name, value in REFUSED:
            result = await store.put((1,), {name: value}, FENCE)
            if result.status is not PutStatus.REFUSED:
                taken.append((name, value))
                continue
            assert result.reason
            batch = await store.put_many([((1,), {name: value})], FENCE)
            assert batch.result.status is PutStatus.REFUSED

        assert taken == []
        assert await store.read((1,)) is None


async def test_every_column_holds_null_and_a_json_null_is_none_of_it(things: SqlTable) -> None:
    """SQL has a missing value, JSON has a null."""
    async with opened_store(things) as store:
        await store.put((1,), dict.fromkeys(["json", "jsonb", "ints", "timetz"]), FENCE)
        await store.put((2,), {"jsonb": JsonNull.NULL}, FENCE)

        found = await store.read((1,))
    assert found is not None
    assert {name for name, value in found.items() if value is not None} == {"id"}
    assert run(things.url, "SELECT id FROM thing WHERE jsonb IS NULL") == [(1,)]
    assert run(things.url, "SELECT id FROM thing WHERE jsonb = 'null'") == [(2,)]


async def test_what_a_service_wrote_beyond_pythons_types_is_read(things: SqlTable) -> None:
    """Infinite dates, a time zone of the session's own, numbers that are none."""
    run(
        things.url,
        "SET timezone = 'Asia/Tokyo'",
        "INSERT INTO thing (id, date, timestamptz, time, days, numeric, float8) VALUES (1, "
        "'infinity', '0001-01-01 00:00+09 BC', '24:00', '{-infinity,2026-01-01}', 'NaN', 'inf')",
        "INSERT INTO thing (id, timestamptz) VALUES (2, '2026-01-01 09:00')",
    )
    async with opened_store(things) as store:
        found = await store.read((1,))
        other = await store.read((2,))

    assert found is not None
    assert other is not None
    assert [found[name] for name in ("date", "timestamptz", "time", "days")] == [
        "infinity",
        "0002-12-31 15:00:00+00 BC",
        "24:00:00",
        ["-infinity", date(2026, 1, 1)],
    ]
    assert other["timestamptz"] == datetime(2026, 1, 1, tzinfo=UTC)


async def test_text_that_the_encoding_does_not_have_is_refused(postgres_server: str) -> None:
    """A database of another encoding takes what it has, and only that."""
    with postgres_database(postgres_server) as url:
        name = url.rpartition("/")[2]
        run(
            f"{postgres_server}/postgres",
            f'DROP DATABASE "{name}"',
            f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING LATIN1 LOCALE "C"',
        )
        run(url, "CREATE TABLE t (id bigint PRIMARY KEY, a text, b varchar(9), c jsonb, d text[])")
        async with opened_store(SqlTable(url, "t", key="id")) as store:
            kept = {"a": "é", "b": "ü", "c": {"ö": "ä"}, "d": ["ß"]}
            assert (await store.put((1,), kept, FENCE)).status is PutStatus.OK
            assert await store.read((1,)) == {"id": 1, **kept}
            for record in ({"a": "€"}, {"b": "€"}, {"c": ["€"]}, {"d": ["€"]}):
                result = await store.put((2,), record, FENCE)
                assert result.status is PutStatus.REFUSED
                assert "encoding" in result.reason
