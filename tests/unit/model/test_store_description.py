"""A description is a value that shows no secret and refuses what cannot be meant."""

import pytest

from crossfade.errors import DefinitionError
from crossfade.model.store_description import SqlTable, without_secrets

URL = "sqlite:///shop.db"


def test_it_is_written_as_the_design_shows() -> None:
    """URL and table by position; one key column needs no tuple."""
    child = SqlTable(URL, "InvoiceLine", parent="InvoiceId")
    invoice = SqlTable(URL, "Invoice", key="InvoiceId", children={"lines": child})

    assert invoice.key_columns == ("InvoiceId",)
    assert (child.key_columns, child.parent_columns) == ((), ("InvoiceId",))
    assert SqlTable(URL, "Price", key=("a", "b")).key_columns == ("a", "b")
    assert SqlTable(URL, "Price", key="a").parent_columns == ()
    assert SqlTable(URL, "Part", parent=("a", "b")).parent_columns == ("a", "b")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("shop.db", "shop.db"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
        ("postgresql://ada:hunter2@host:5432/db", "postgresql://ada:***@host:5432/db"),
        ("postgresql://ada@host/db", "postgresql://ada@host/db"),
        ("mysql://u:p%40x@h/db?ssl=1", "mysql://u:***@h/db?ssl=1"),
        ("pg://h/db?user=a&password=hunter2", "pg://h/db?user=a&password=***"),
        ("pg://u:a@b:c@h/db", "pg://u:***@h/db"),
        ("${env:NEW_DB}", "${env:NEW_DB}"),
        ("pg://[u:hunter2@h/db", "(an unreadable URL)"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    """Neither a password before the host nor one among the parameters."""
    assert without_secrets(url) == shown
    assert "hunter2" not in repr(SqlTable(url, "t", key="id"))
    assert "hunter2" not in str(SqlTable(url, "t", key="id"))


def test_the_text_of_a_description_tells_all_but_secrets_and_values() -> None:
    """Defaults may be secrets of somebody, so only their columns are named."""
    described = SqlTable(
        URL,
        "Order",
        key="Id",
        children={"lines": SqlTable(URL, "Line", parent="OrderId")},
        columns=("Name",),
        defaults={"Rank": "hunter2"},
    )

    assert repr(described) == (
        "SqlTable('sqlite:///shop.db', 'Order', key='Id', children={'lines': SqlTable("
        "'sqlite:///shop.db', 'Line', parent='OrderId')}, columns=('Name',), "
        "defaults for ['Rank'])"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SqlTable(URL, ""), "names no table"),
        (lambda: SqlTable(URL, "a\0b", key="id"), "NUL"),
        (lambda: SqlTable(URL, "t", key="i\0d"), "NUL"),
        (lambda: SqlTable(URL, "t", key=("a", "a")), "key= .*twice"),
        (lambda: SqlTable(URL, "t", parent=("a", "a")), "parent= .*twice"),
        (lambda: SqlTable(URL, "t", key=("a", "")), "names no column"),
        (lambda: _parent(SqlTable(URL, "Line")), "needs parent="),
        (lambda: _parent(SqlTable("other.db", "Line", parent="a")), "another database"),
        (lambda: _parent(SqlTable(URL, "Line", parent=("a", "b"))), "Name as many"),
        (lambda: _parent(_parent(SqlTable(URL, "x", parent="y"))), "needs parent="),
        (
            lambda: _parent(
                SqlTable(
                    URL, "x", key="k", parent="y", children={"z": SqlTable(URL, "z", parent="w")}
                )
            ),
            "children of its own",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(make: object, message: str) -> None:
    """When the definition is read, not when the first row is copied."""
    assert callable(make)
    with pytest.raises(DefinitionError, match=message) as caught:
        make()

    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def _parent(child: SqlTable) -> SqlTable:
    return SqlTable(URL, "Order", key="Id", children={"lines": child})
