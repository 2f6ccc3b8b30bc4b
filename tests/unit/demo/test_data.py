"""The demo's data are the same from the same seed, and hold what makes a copy hard."""

import sqlite3
from pathlib import Path

import pytest

from crossfade.demo.data import DemoData, create_databases, keep_snapshot

SMALL = DemoData(seed=3, customers=600, orders=600)


def test_the_same_seed_gives_the_same_rows() -> None:
    """A demo can be repeated; another seed is another shop."""
    again = DemoData(seed=3, customers=600, orders=600)
    other = DemoData(seed=4, customers=600, orders=600)

    assert list(SMALL.customer_rows()) == list(again.customer_rows())
    assert list(SMALL.order_rows()) == list(again.order_rows())
    assert list(SMALL.customer_rows()) != list(other.customer_rows())


def test_the_rows_hold_what_makes_a_copy_hard() -> None:
    """NULL, empty text, other scripts, orders without lines, prices that are no exact float."""
    customers = list(SMALL.customer_rows())
    orders = list(SMALL.order_rows())

    assert any(row[3] is None for row in customers)
    assert any(row[4] == "" for row in customers)
    assert any(not row[1].isascii() for row in customers)
    assert any(int(row[5] * 100) != round(row[5] * 100) for row in customers)
    assert any(not lines for _order, lines in orders)
    assert any(len(lines) > 1 for _order, lines in orders)


def test_totals_are_the_sum_of_the_lines_to_the_cent() -> None:
    """Both services would compute the same."""
    for order, lines in SMALL.order_rows():
        assert order[4] == round(sum(line[3] * line[4] for line in lines) + 0.0, 2)


def test_both_databases_stand_ready(tmp_path: Path) -> None:
    """Legacy is filled, new has its empty tables, both take readers beside a writer."""
    legacy, new = tmp_path / "legacy.db", tmp_path / "new.db"

    create_databases(SMALL, legacy=legacy, new=new)

    assert _scalar(legacy, "SELECT count(*) FROM Customer") == 600
    assert _scalar(legacy, 'SELECT count(*) FROM "Order"') == 600
    assert _scalar(legacy, "SELECT count(*) FROM OrderLine") == sum(
        len(lines) for _order, lines in SMALL.order_rows()
    )
    assert _scalar(new, "SELECT count(*) FROM customers") == 0
    assert _scalar(new, "SELECT count(*) FROM orders") == 0
    assert _scalar(legacy, "PRAGMA journal_mode") == "wal"
    assert _scalar(new, "PRAGMA journal_mode") == "wal"


def test_filling_twice_is_refused(tmp_path: Path) -> None:
    """Rows that are there are never mixed with generated ones."""
    create_databases(SMALL, legacy=tmp_path / "legacy.db", new=tmp_path / "new.db")

    with pytest.raises(sqlite3.IntegrityError):
        create_databases(SMALL, legacy=tmp_path / "legacy.db", new=tmp_path / "new.db")


def test_a_snapshot_stays_as_it_was(tmp_path: Path) -> None:
    """What is written later is not in it."""
    legacy = tmp_path / "legacy.db"
    create_databases(SMALL, legacy=legacy, new=tmp_path / "new.db")

    keep_snapshot(legacy, tmp_path / "initial.db")
    _scalar(legacy, "DELETE FROM Customer")

    assert _scalar(legacy, "SELECT count(*) FROM Customer") == 0
    assert _scalar(tmp_path / "initial.db", "SELECT count(*) FROM Customer") == 600


def _scalar(file: Path, query: str) -> object:
    connection = sqlite3.connect(file)
    try:
        row = connection.execute(query).fetchone()
        connection.commit()
    finally:
        connection.close()
    return row[0] if row else None
