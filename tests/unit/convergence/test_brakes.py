"""Brakes that may ask a worker to rest: each is enough, and silence counts as a wish to rest."""

import asyncio
from pathlib import Path

import pytest

from crossfade.convergence.brakes import Brakes, FlagFile, QueryLimit
from crossfade.errors import StoreError
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_options import SqlOptions
from crossfade.testing.manual_clock import ManualClock


class Told:
    """A brake that says what it is told to say."""

    def __init__(self, name: str, says: str | Exception | None = None) -> None:
        self.name = name
        self.says = says
        self.asked = 0

    async def reason(self) -> str | None:
        """What was told."""
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Silent(Told):
    """A brake that never answers."""

    async def reason(self) -> str | None:
        """Nothing, ever."""
        await asyncio.Event().wait()
        return None


def _brakes(*told: Told) -> tuple[Brakes, ManualClock]:
    clock = ManualClock()
    found = Brakes(told, clock, poll_seconds=2.0, answer_seconds_max=0.05)
    return found, clock


async def test_any_one_brake_is_enough() -> None:
    """And every reason is told."""
    brakes, _ = _brakes(Told("a"), Told("b", "b is busy"), Told("c", "c is late"))

    assert await brakes.reason() == "b is busy; c is late"


async def test_nothing_asks_for_rest() -> None:
    """Then there is no reason."""
    brakes, _ = _brakes(Told("a"), Told("b"))

    assert await brakes.reason() is None


async def test_an_answer_counts_for_a_while() -> None:
    """A brake is not asked for every chunk."""
    one = Told("a", "busy")
    brakes, clock = _brakes(one)

    await brakes.reason()
    one.says = None
    assert await brakes.reason() == "busy"
    await clock.advance(2.0)

    assert await brakes.reason() is None
    assert one.asked == 2


@pytest.mark.parametrize(
    ("brake", "expected"),
    [
        (Told("the lag", StoreError("the database is away.")), "the lag cannot be told"),
        (Silent("the lag"), "the lag does not answer within 0.05 s"),
    ],
)
async def test_a_brake_that_cannot_tell_asks_for_rest(brake: Told, expected: str) -> None:
    """Whoever named it did so to protect something."""
    brakes, _ = _brakes(brake)

    assert expected in (await brakes.reason() or "")


async def test_a_flag_file_pauses_as_long_as_it_is_there(tmp_path: Path) -> None:
    """Anybody can make one; a link that leads nowhere is one, too."""
    file = tmp_path / "pause"
    flag = FlagFile(file)

    assert await flag.reason() is None
    file.symlink_to("nowhere")
    assert await flag.reason() == f"the flag file {file} is there"
    file.unlink()
    assert await flag.reason() is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 10", None),
        ("SELECT 10.5", "the lag is 10.5, more than 10"),
        ("SELECT '11'", "the lag is 11, more than 10"),
        ("SELECT 10 WHERE '%' LIKE '%'", None),
    ],
)
async def test_a_query_gives_a_number(tmp_path: Path, query: str, expected: str | None) -> None:
    """More than the limit asks for rest."""
    database = SqlDatabase(_file(tmp_path), migration="", options=SqlOptions())
    try:
        assert await QueryLimit("the lag", database, query, 10.0).reason() == expected
    finally:
        await database.close()


@pytest.mark.parametrize(
    "query",
    ["SELECT NULL", "SELECT 'much'", "SELECT 1 WHERE 0", "SELECT nothing", "SELECT 9e999 - 9e999"],
)
async def test_a_query_without_a_number_is_an_error(tmp_path: Path, query: str) -> None:
    """Which counts as a wish to rest."""
    database = SqlDatabase(_file(tmp_path), migration="", options=SqlOptions())
    try:
        limit = QueryLimit("the lag", database, query, 10.0)
        brakes = Brakes([limit], ManualClock(), poll_seconds=1, answer_seconds_max=5)
        assert "the lag cannot be told" in (await brakes.reason() or "")
    finally:
        await database.close()


def _file(folder: Path) -> str:
    file = folder / "load.db"
    file.touch()
    return str(file)
