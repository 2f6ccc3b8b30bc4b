"""SQLite's own rules on what it makes of a value are the ones we foretell."""

import sqlite3
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.store.sql_dialect import CannotHoldError, KeyKind
from crossfade.store.sqlite_values import Affinity, affinity_of, sqlite_values

TYPES = [
    "INTEGER",
    "TEXT",
    "VARCHAR(10)",
    "REAL",
    "BLOB",
    "",
    "NUMERIC(10,2)",
    "DECIMAL",
    "BOOLEAN",
    "DATETIME",
]


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    """A table with a column of each type."""
    opened = sqlite3.connect(":memory:")
    for number, declared in enumerate(TYPES):
        opened.execute(f"CREATE TABLE t{number} (value {declared})")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("declared", "affinity"),
    [
        ("INT", Affinity.INTEGER),
        ("bigint unsigned", Affinity.INTEGER),
        ("FLOATING POINT", Affinity.INTEGER),
        ("CHARACTER(20)", Affinity.TEXT),
        ("nclob", Affinity.TEXT),
        ("", Affinity.BLOB),
        ("blob", Affinity.BLOB),
        ("DOUBLE PRECISION", Affinity.REAL),
        ("DECIMAL(10,5)", Affinity.NUMERIC),
        ("STRING", Affinity.NUMERIC),
    ],
)
def test_the_affinity_follows_the_declared_type(declared: str, affinity: Affinity) -> None:
    """The five rules of SQLite, oddities included."""
    assert affinity_of(declared, strict=False) is affinity


def test_any_converts_nothing_in_a_strict_table() -> None:
    """Elsewhere ANY is just another unknown type."""
    assert affinity_of("ANY", strict=True) is Affinity.BLOB
    assert affinity_of("ANY", strict=False) is Affinity.NUMERIC


@given(
    value=st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(-(2.0**64), 2.0**64).map(float.__floor__).map(float),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.decimals(-(10**6), 10**6, places=2),
        st.from_regex(r"[ \t]?[+-]?[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?[ \n]?", fullmatch=True),
        st.text(),
        st.binary(),
        st.booleans(),
    )
)
def test_what_is_stored_is_what_was_foretold(
    connection: sqlite3.Connection, value: object
) -> None:
    """In each kind of column: refused, or stored in just the form that `to_raw` gives."""
    for number, declared in enumerate(TYPES):
        values = sqlite_values(declared, strict=False)
        try:
            raw = values.to_raw(value)
        except CannotHoldError:
            continue
        connection.execute(f"DELETE FROM t{number}")  # noqa: S608 - our own name
        connection.execute(f"INSERT INTO t{number} VALUES (?)", (raw,))  # noqa: S608
        stored = connection.execute(f"SELECT value FROM t{number}").fetchone()[0]  # noqa: S608
        assert stored == raw
        assert type(stored) is type(raw)
        assert values.from_raw(stored) == values.from_raw(raw)
        assert values.to_raw(raw) == raw


@pytest.mark.parametrize("value", ["1", " 1.5\n", "+.5", "1e3", "9" * 30, "1."])
@pytest.mark.parametrize("declared", ["INTEGER", "REAL", "NUMERIC", "BOOLEAN"])
def test_text_that_would_become_a_number_is_refused(declared: str, value: str) -> None:
    """A postal code in a column of numbers would lose its zeros."""
    with pytest.raises(CannotHoldError, match="would turn the text into a number"):
        sqlite_values(declared, strict=False).to_raw(value)


@pytest.mark.parametrize("value", ["0x10", "1_0", "N/A", "1\x00", "", " ", "\u0661", "\u00a01"])
def test_other_text_stays_text_in_a_column_of_numbers(value: str) -> None:
    """SQLite keeps it, so it is exact."""
    assert sqlite_values("INTEGER", strict=False).to_raw(value) == value


@pytest.mark.parametrize(
    "value",
    [
        Decimal("0.1234567890123456789"),
        Decimal(2**63) + Decimal("0.5"),
        Decimal("1e400"),
        Decimal("1e999999999"),
        Decimal("1" + "0" * 39 + "1"),
        Decimal("NaN"),
        Decimal("-Infinity"),
        Decimal("sNaN"),
    ],
)
def test_a_decimal_that_cannot_be_read_back_equal_is_refused(value: Decimal) -> None:
    """SQLite has no decimals, only whole numbers and floats."""
    with pytest.raises(CannotHoldError):
        sqlite_values("DECIMAL(38,12)", strict=False).to_raw(value)


def test_a_decimal_is_its_text_in_a_text_column() -> None:
    """With every digit, and its trailing zeros."""
    value = Decimal("0.12345678901234567890")

    assert sqlite_values("TEXT", strict=False).to_raw(value) == "0.12345678901234567890"


def test_stored_numbers_are_exact_decimals() -> None:
    """The shortest text that means the stored float, never its binary expansion."""
    values = sqlite_values("numeric(10,2)", strict=False)

    read = [values.from_raw(raw) for raw in (12.34, 5, 1e20, "N/A", b"x", None)]

    assert read == [Decimal("12.34"), Decimal(5), Decimal(10) ** 20, "N/A", b"x", None]


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("INTEGER", KeyKind.WHOLE),
        ("NUMERIC", KeyKind.WHOLE),
        ("TEXT", KeyKind.TEXT),
        ("", KeyKind.EITHER),
        ("REAL", None),
    ],
)
def test_keys_are_of_one_kind_where_the_column_is(declared: str, kind: KeyKind | None) -> None:
    """A float identifies nothing."""
    assert sqlite_values(declared, strict=False).key_kind is kind
