"""Errors of MariaDB and MySQL that no test can make a server raise, in our words."""

import pytest
from pymysql.err import DataError, IntegrityError, InterfaceError, MySQLError, OperationalError

from crossfade.errors import (
    ConfigurationError,
    CrossfadeError,
    NoDatabaseError,
    StoreError,
    StoreUnreachableError,
)
from crossfade.store.base import PutStatus
from crossfade.store.mariadb_connection import StatementError, literals
from crossfade.store.mariadb_errors import failure_of, is_refused_commit, violation_of
from crossfade.store.mariadb_types import Declared
from crossfade.store.mariadb_values import listed_values, mariadb_values
from crossfade.store.sql_dialect import CannotHoldError

KEYS = {("shop.t", "mail"): ("mail",), ("t", "PRIMARY"): ("a", "b")}


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        pytest.param(InterfaceError(0, ""), StoreUnreachableError, "lost", id="closed-here"),
        pytest.param(OperationalError(2006, ""), StoreUnreachableError, "lost", id="gone-away"),
        pytest.param(OperationalError(2013, ""), StoreUnreachableError, "lost", id="lost"),
        pytest.param(
            OperationalError(1040, ""), StoreUnreachableError, "max_connections", id="many"
        ),
        pytest.param(OperationalError(1053, ""), StoreUnreachableError, "shutting", id="shutdown"),
        pytest.param(OperationalError(1021, ""), StoreUnreachableError, "full", id="disk-full"),
        pytest.param(OperationalError(1114, ""), StoreUnreachableError, "full", id="table-full"),
        pytest.param(
            OperationalError(1290, ""), StoreUnreachableError, "read-only", id="read-only"
        ),
        pytest.param(OperationalError(1049, ""), NoDatabaseError, "no database", id="no-database"),
        pytest.param(OperationalError(1665, ""), ConfigurationError, "ROW or MIXED", id="binlog"),
        pytest.param(
            OperationalError(1044, ""), ConfigurationError, "GRANT", id="no-rights-at-all"
        ),
        pytest.param(OperationalError(1045, ""), ConfigurationError, "password", id="password"),
        pytest.param(
            OperationalError(1227, "hunter2"), ConfigurationError, "doctor", id="privilege"
        ),
        pytest.param(
            OperationalError(
                1143, "UPDATE command denied to user 'u'@'h' for column 'c' in table 't'"
            ),
            ConfigurationError,
            "GRANT UPDATE ON t",
            id="column",
        ),
        pytest.param(
            OperationalError(1146, "Table 'shop.crossfade_fence' doesn't exist"),
            ConfigurationError,
            "crossfade doctor --apply",
            id="no-fence",
        ),
        pytest.param(
            OperationalError(1146, "Table 'crossfade_shop.t' doesn't exist"),
            StoreError,
            "error 1146",
            id="no-table",
        ),
        pytest.param(MySQLError("hunter2"), StoreError, "MySQLError", id="no-number"),
    ],
)
def test_a_failure_says_what_to_do(
    error: Exception, kind: type[CrossfadeError], words: str
) -> None:
    """Never with the server's text."""
    failure = failure_of(error, "mariadb://h:3306/shop")

    assert isinstance(failure, kind)
    assert words in str(failure)
    assert "hunter2" not in str(failure)
    assert violation_of(error, KEYS) is None


@pytest.mark.parametrize(
    ("error", "table", "place"),
    [
        pytest.param(
            "Duplicate entry 'x' for key 'shop.t.mail'", "shop.t", "shop.t.mail", id="mysql"
        ),
        pytest.param("Duplicate entry 'x' for key 'PRIMARY'", "t", "t.a, t.b", id="mariadb"),
        pytest.param(
            "Duplicate entry 'a' for key 'b' for key 'PRIMARY'", "t", "t.a, t.b", id="sly"
        ),
        pytest.param("Duplicate entry 'hunter2' for key 'other'", "t", "", id="unknown-index"),
        pytest.param("Dubbel veld", "t", "", id="another-language"),
    ],
)
def test_a_duplicate_is_placed_by_its_index(error: str, table: str, place: str) -> None:
    """Whatever its value looks like."""
    raised = IntegrityError(1062, error)
    raised.table = table  # type: ignore[attr-defined] # it has it, its type does not

    violation = violation_of(raised, KEYS)

    assert violation is not None
    assert (violation.status, violation.place) == (PutStatus.UNIQUE, place)
    assert "hunter2" not in violation.reason


def test_a_key_that_the_fence_cannot_hold_is_named_as_such() -> None:
    """No column of the service's table is to blame."""
    raised = DataError(1406, "Data too long for column 'key' at row 1")
    raised.table = "crossfade_fence"  # type: ignore[attr-defined] # it has it, its type does not

    violation = violation_of(raised, KEYS)

    assert violation is not None
    assert "crossfade_fence" in violation.reason


@pytest.mark.parametrize(("number", "refused"), [(1213, True), (1047, True), (2013, False), (1180, False)])  # fmt: skip # noqa: E501 - one table of cases
def test_only_a_clear_answer_to_a_commit_counts(number: int, *, refused: bool) -> None:
    """All else may have been applied."""
    assert is_refused_commit(OperationalError(number, "")) is refused


def test_a_value_without_a_form_is_not_sent() -> None:
    """A set, a class of one's own, numbers that are none."""
    for value in (set(), object(), float("nan"), float("-inf")):
        with pytest.raises(StatementError):
            literals([value])


def test_an_unknown_type_holds_null_alone() -> None:
    """Whoever needs the rest leaves the column out."""
    values = mariadb_values(Declared("vector", "3"))

    assert values.to_raw(None) is None
    with pytest.raises(CannotHoldError, match="columns="):
        values.to_raw([1.0, 2.0, 3.0])


def test_mysql_writes_json_in_its_own_order() -> None:
    """By length of the name, then by its bytes; with a space behind colons and commas."""
    values = mariadb_values(Declared("json"))

    assert values.to_raw('{"bb":1,"a":[true,null]}') == '{"a": [true, null], "bb": 1}'
    with pytest.raises(CannotHoldError):
        values.to_raw("{")


def test_declared_values_are_read_as_the_catalogue_writes_them() -> None:
    """Quotes are doubled, a backslash and control characters escaped."""
    assert listed_values(r"'a','b''c','d,e','f\\g','h\ni','j\0'") == [
        *("a", "b'c", "d,e", "f\\g", "h\ni", "j\0")
    ]
