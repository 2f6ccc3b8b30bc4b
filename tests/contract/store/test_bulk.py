"""A batch put in bulk and one put row by row leave equal tables, on real servers."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossfade.model.key import EVERY_KEY, Key
from crossfade.store.base import Fence, PutStatus, Record
from tests.contract.store.bulk_ways import opened_as, records_of, ways
from tests.contract.store.postgres_stores import FENCE, run

ROWS = 80
BERN = timezone(timedelta(hours=1))

EVERY_TYPE = """
CREATE TABLE "Hostile ""t%%s\\ t" (
  id bigint PRIMARY KEY, "a ""b" text, "%%s" varchar(12), "crossfade_key" integer,
  "crossfade_digest" smallint, flag boolean, cents numeric(10,2), exact numeric, half real,
  whole double precision, raw bytea, tags text[], numbers integer[][], doc jsonb, plain json,
  at timestamptz, local timestamp, day date, clock time, apart timetz, gap interval, who uuid,
  net inet, padded char(5), "Größe" text COLLATE "C",
  doubled bigint GENERATED ALWAYS AS (id * 2) STORED
)""".replace("%%", "%")
TABLE = 'Hostile "t%s\\ t'

NAUGHTY = (
    "",
    "\\",
    "\\N",
    "\\.",
    "\t",
    "\n",
    "\r\n",
    "a\\tb",
    "'",
    '"',
    "%s",
    "\x01",
    "😀",
    " x ",
)

_TEXT = st.sampled_from(NAUGHTY) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    'a "b': _TEXT,
    "%s": _TEXT.map(lambda text: text[:12]),
    "crossfade_key": st.integers(-(2**31), 2**31 - 1),
    "crossfade_digest": st.integers(-(2**15), 2**15 - 1),
    "flag": st.booleans(),
    "cents": st.decimals(-(10**7), 10**7, places=2),
    "exact": st.decimals(allow_nan=False, allow_infinity=False),
    "half": st.sampled_from([0.5, -1.25, 3.0]),
    "whole": st.floats(allow_nan=False, allow_infinity=False),
    "raw": st.binary(max_size=8),
    "tags": st.lists(st.none() | _TEXT, max_size=3),
    "numbers": st.just([[1, 2], [3, 4]]),
    "doc": st.dictionaries(
        _TEXT.filter(lambda text: "\x00" not in text), st.integers(), max_size=2
    ),
    "plain": st.lists(st.booleans(), max_size=3),
    "at": st.datetimes(datetime(2, 1, 1), timezones=st.sampled_from([UTC, BERN])),  # noqa: DTZ001 - the column has no zone
    "local": st.datetimes(),
    "day": st.dates(),
    "clock": st.times(),
    "apart": st.times(timezones=st.just(BERN)),
    "gap": st.timedeltas(timedelta(days=-9999), timedelta(days=9999)),
    "who": st.uuids(),
    "net": st.sampled_from(["10.0.0.1", "10.1.0.0/16", "::1"]),
    "padded": st.sampled_from(["", "abc", "a b"]),
    "Größe": _TEXT,
}
_RECORD = st.fixed_dictionaries({name: st.none() | one for name, one in _VALUES.items()})


@given(records=st.lists(_RECORD, min_size=1, max_size=6))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_both_ways_leave_equal_rows(postgres_url: str, records: list[Record]) -> None:
    """Whatever the values are, they arrive as they would one by one, new and over old ones."""
    run(postgres_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    async with ways(postgres_url, EVERY_TYPE, table=TABLE) as both:
        batch = records_of(ROWS, lambda number: records[number % len(records)])
        other = records_of(ROWS, lambda number: records[(number + 1) % len(records)])
        await both.singly(batch)
        expected = both.content(TABLE)
        both.clear(TABLE)
        assert (await both.bulk(batch)).result.status is PutStatus.OK
        assert both.content(TABLE) == expected

        await both.bulk(other, Fence(6, 1))
        changed = both.content(TABLE)
        both.clear(TABLE)
        await both.singly(other)

        assert changed == both.content(TABLE)


NOTES = "CREATE TABLE notes (id bigint PRIMARY KEY, note text, n integer NOT NULL DEFAULT 7)"


async def test_nothing_is_written_where_nothing_differs(postgres_url: str) -> None:
    """A second run leaves every row where it is, and keeps the higher token."""
    async with ways(postgres_url, NOTES, table="notes") as both:
        batch = records_of(ROWS, lambda number: {"note": f"n{number}", "n": number})
        await both.bulk(batch)
        before = both.rows("notes")

        await both.bulk(batch, Fence(9, 1))

        assert both.rows("notes") == before
        assert set(both.tokens().values()) == {9}


async def test_columns_that_no_record_names_are_left_alone(postgres_url: str) -> None:
    """Neither an update nor the NOT NULL of another column is in the way."""
    strict = "CREATE TABLE notes (id bigint PRIMARY KEY, note text, n integer NOT NULL)"
    async with ways(postgres_url, strict, table="notes", defaults={"n": 3}) as both:
        await both.bulk(records_of(60, lambda number: {"note": "a", "n": number}))

        await both.bulk(records_of(ROWS, lambda _: {"note": "b"}), Fence(6, 1))

        rows = run(postgres_url, "SELECT id, note, n FROM notes ORDER BY id")
        assert rows == [(n, "b", n if n <= 60 else 3) for n in range(1, ROWS + 1)]


async def test_higher_tokens_win_and_are_told(postgres_url: str) -> None:
    """Rows under a higher token are left out, in the range of the others, deleted ones too."""
    async with ways(postgres_url, NOTES, table="notes") as both:
        await both.store.put((3,), {"note": "newer", "n": 1}, Fence(8, 1))
        await both.store.put((4,), None, Fence(8, 1))
        await both.store.put((5,), {"note": "older", "n": 1}, Fence(2, 1))

        result = await both.bulk(records_of(ROWS, lambda number: {"note": "bulk", "n": number}))

        assert result.result.status is PutStatus.OK
        assert set(result.fenced) == {(3,), (4,)}
        rows = dict(run(postgres_url, "SELECT id, note FROM notes"))
        assert (rows[3], rows.get(4), rows[5], len(rows)) == ("newer", None, "bulk", ROWS - 1)
        assert [both.tokens()[f"[{number}]"] for number in (3, 4, 5)] == [8, 8, 5]


async def test_another_epoch_changes_nothing(postgres_url: str) -> None:
    """Neither rows nor tokens."""
    async with ways(postgres_url, NOTES, table="notes") as both:
        result = await both.bulk(records_of(ROWS, lambda n: {"note": "", "n": n}), Fence(5, 2))

        assert result.result.status is PutStatus.FENCED_EPOCH
        assert (both.rows("notes"), both.tokens()) == ([], {})


@pytest.mark.parametrize(
    ("declared", "value", "reason"),
    [
        ("text", "NUL \0 here", "NUL"),
        ("text", "\ud800", "surrogate"),
        ("varchar(3)", "long", "3 character"),
        ("varchar(3)", "abc ", "3 character"),
        ("integer", 2**40, "range"),
        ("integer", "7", "whole numbers"),
        ("numeric(4,1)", Decimal("1.23"), "round"),
        ("text CHECK (v <> 'no')", "no", "CHECK"),
        ("date", "yesterday", "ISO 8601"),
        ("text NOT NULL", None, "NULL"),
    ],
)
async def test_a_value_that_does_not_fit_refuses_the_batch(
    postgres_url: str, declared: str, value: object, reason: str
) -> None:
    """With the column and the reason, never with the value; nothing of it is left behind."""
    table = f"CREATE TABLE things (id bigint PRIMARY KEY, v {declared})"
    async with ways(postgres_url, table, table="things") as both:
        batch = records_of(ROWS, lambda _: {"v": "1" if "char" in declared else None})
        batch[70] = ((71,), {"v": value})

        result = await both.store.put_many(batch, FENCE)

        assert result.result.status is PutStatus.REFUSED
        assert reason in result.result.reason
        assert (both.rows("things"), both.tokens()) == ([], {})


async def test_keys_of_several_parts_and_of_text(postgres_url: str) -> None:
    """Text keys whose collation orders otherwise; some are equal only by their collation."""
    table = (
        (
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', "
            "deterministic = false)"
        ),
        (
            "CREATE TABLE words (lang text, word text COLLATE folded, n integer, "
            "PRIMARY KEY (lang, word))"
        ),
    )
    async with ways(postgres_url, *table, table="words", key=("lang", "word")) as both:
        batch: list[tuple[Key, Record]] = [
            ((f"l{n % 3}", f'w"{n}\\\n'), {"n": n}) for n in range(ROWS)
        ]
        await both.bulk(batch)
        await both.bulk([(key, {"n": record["n"] + 1}) for key, record in batch], Fence(6, 1))
        found = await both.store.read_range(EVERY_KEY, ROWS + 1)
        assert dict(found) == {
            key: {"lang": key[0], "word": key[1], "n": record["n"] + 1} for key, record in batch
        }

        clash = [((lang, str(word).upper()), {"n": 0}) for (lang, word), _ in batch]
        result = await both.store.put_many(clash, Fence(7, 1))
        assert result.result.status is PutStatus.UNIQUE


async def test_uuid_keys_are_not_changed(postgres_url: str) -> None:
    """A key that the column would write otherwise is refused, and the others are put in bulk."""
    table = "CREATE TABLE things (id uuid PRIMARY KEY, n integer)"
    async with ways(postgres_url, table, table="things") as both:
        good: list[tuple[Key, Record]] = [
            ((str(uuid.UUID(int=n)),), {"n": n}) for n in range(ROWS)
        ]
        assert (await both.bulk(good)).result.status is PutStatus.OK

        odd: list[tuple[Key, Record]] = [((str(uuid.UUID(int=255)).upper(),), {"n": 1})]
        result = await both.store.put_many([*good, *odd], Fence(6, 1))

        assert result.result.status is PutStatus.REFUSED


async def test_identity_always_and_triggers(postgres_url: str) -> None:
    """Identity columns take the ids that they are given; triggers run for what is written only."""
    async with ways(
        postgres_url,
        "CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n integer)",
        "CREATE TABLE seen (op text)",
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO seen VALUES (TG_OP); RETURN NEW; END'",
        "CREATE TRIGGER see BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION see()",
        table="things",
    ) as both:
        await both.bulk(records_of(60, lambda number: {"n": number}))
        await both.bulk(records_of(ROWS, lambda number: {"n": max(number, 30)}), Fence(6, 1))

        seen = dict(run(postgres_url, "SELECT op, count(*) FROM seen GROUP BY op"))
        assert seen == {"INSERT": ROWS, "UPDATE": 29}


async def test_a_trigger_that_ignores_rows_is_noticed(postgres_url: str) -> None:
    """A row that silently does not arrive refuses the batch."""
    async with ways(
        postgres_url,
        "CREATE TABLE things (id bigint PRIMARY KEY, n integer)",
        "CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF NEW.id = 7 THEN RETURN NULL; END IF; RETURN NEW; END'",
        "CREATE TRIGGER drop_it BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION drop_it()",
        table="things",
    ) as both:
        result = await both.bulk(records_of(ROWS, lambda number: {"n": number}))

        assert result.result.status is PutStatus.REFUSED
        assert both.rows("things") == []


async def test_records_that_name_other_columns_go_the_ordinary_way(postgres_url: str) -> None:
    """The end is the same."""
    async with ways(postgres_url, NOTES, table="notes") as both:
        batch = records_of(ROWS, lambda number: {"n": number} if number % 2 else {"note": "x"})

        result = await both.store.put_many(batch, FENCE)

        assert result.result.status is PutStatus.OK
        assert len(both.rows("notes")) == ROWS


async def test_without_the_right_to_temporary_tables_rows_go_the_ordinary_way(
    postgres_url: str,
) -> None:
    """A missing right costs speed, nothing else."""
    role = f"crossfade_{uuid.uuid4().hex[:12]}"
    name = postgres_url.rpartition("/")[2]
    async with ways(postgres_url, NOTES, table="notes") as both:
        run(
            postgres_url,
            f"CREATE ROLE {role} LOGIN",
            f'REVOKE TEMP ON DATABASE "{name}" FROM PUBLIC',
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        )
        try:
            url = postgres_url.replace("postgres@", f"{role}@")
            async with opened_as(url) as store:
                batch = records_of(ROWS, lambda number: {"note": "", "n": number})
                assert (await store.put_many(batch, FENCE)).result.status is PutStatus.OK
                assert (await store.put_many(batch, FENCE)).result.status is PutStatus.OK
            assert len(both.rows("notes")) == ROWS
        finally:
            run(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


async def test_digests_are_kept_beside_the_fence(postgres_url: str) -> None:
    """Of the row that was copied and of the row that was put; an ordinary put forgets both."""
    async with ways(postgres_url, NOTES, table="notes") as both:
        batch = records_of(ROWS, lambda number: {"note": "a", "n": number})
        await both.store.put_many(batch, FENCE, [number * 11 for number in range(ROWS)])

        kept = run(
            postgres_url,
            "SELECT authority_digest, mirror_digest IS NULL FROM crossfade_fence "
            "ORDER BY authority_digest",
        )
        assert kept == [(number * 11, False) for number in range(ROWS)]

        await both.bulk(batch, Fence(6, 1))
        kept = run(
            postgres_url, "SELECT DISTINCT authority_digest, mirror_digest FROM crossfade_fence"
        )
        assert kept == [(None, None)]
