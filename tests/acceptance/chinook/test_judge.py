"""The judge of Chinook sees what is lost, too much, different, and what no order explains."""

import sqlite3
from contextlib import closing

import pytest

from tests.acceptance.chinook.judge import Judge, rows_at
from tests.acceptance.chinook.settled import settle
from tests.acceptance.chinook.writes import Change, Outcome, Told, Write


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM PlaylistTrack WHERE PlaylistId = 1 AND TrackId = 3402",
         "legacy: playlist_track (1, 3402) is missing"),
        ("INSERT INTO Genre VALUES (26, 'Noise')",
         "legacy: genre (26,) should not be there"),
        ("UPDATE InvoiceLine SET UnitPrice = 0.98 WHERE InvoiceLineId = 7",
         "legacy: invoice_line (7,).unit_price is '0.98', not '0.99'"),
        ("UPDATE Artist SET Name = NULL WHERE ArtistId = 1",
         "legacy: artist (1,).name is None, not 'AC/DC'"),
    ],
)  # fmt: skip
def test_a_row_that_is_not_as_it_must_be_is_named(
    legacy: str, judge: Judge, statement: str, told: str
) -> None:
    """One line with key and column."""
    assert judge.differences(legacy) == []
    with closing(sqlite3.connect(legacy.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(statement)

    (line,) = judge.differences(legacy)

    assert line.startswith(told)


def test_an_acknowledged_write_that_is_not_there_is_lost(legacy: str, judge: Judge) -> None:
    """A refused one is not missed; one of unknown outcome may be there or not."""
    renames = [
        _rename(1, "done", "Done"), _rename(2, "refused", "Refused"), _rename(3, "unknown", "Who")
    ]  # fmt: skip
    settled = settle(Told(renames), rows_at(legacy))

    judge.apply(settled)

    assert settled.wrong == []
    (line,) = judge.differences(legacy)
    assert line == "legacy: artist (1,).name is 'AC/DC', not 'Done'"


def test_one_id_for_two_records_is_wrong(legacy: str) -> None:
    """Unless the first of them was deleted, whichever writer was told of it later."""
    made = [_make("a", 1), _make("b", 1)]
    assert settle(Told(made), rows_at(legacy)).wrong != []

    deleted = Write("a", 2, 0, [Change("artist", "delete", (900,))], outcome="done")
    settled = settle(Told([*made, deleted]), rows_at(legacy))

    assert settled.wrong == []
    assert settled.made == {("artist", (900,)): {"artist_id": 900, "name": "b"}}


def test_the_last_word_on_a_contested_record_is_of_no_earlier_write(legacy: str) -> None:
    """What is there was written before a write that began after it was acknowledged: stale."""
    early, late = _contested(1, 2, "Rock"), _contested(3, 4, "Later")
    beside = _contested(1, 5, "Beside")

    assert settle(Told([early, beside]), rows_at(legacy)).wrong == []
    assert settle(Told([early, late]), rows_at(legacy)).wrong != []


def _rename(artist: int, outcome: Outcome, name: str) -> Write:
    change = Change("artist", "update", (artist,), {"name": name})
    return Write("a", artist, 0, [change], outcome=outcome)


def _make(writer: str, number: int) -> Write:
    change = Change("artist", "insert", (900,), {"artist_id": 900, "name": writer})
    return Write(writer, number, 0, [change], outcome="done")


def _contested(began: int, ended: int, name: str) -> Write:
    change = Change("genre", "update", (1,), {"name": name})
    return Write(name, 1, began, [change], contested=True, outcome="done", ended=ended)
