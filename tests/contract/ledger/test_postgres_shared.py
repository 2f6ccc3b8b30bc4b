"""Several processes on one PostgreSQL ledger, and what may happen to its connections."""

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial

import psycopg
import pytest

from crossfade.errors import ConfigurationError, LedgerUnavailableError, LedgerVersionError
from crossfade.ledger.from_url import (
    committed_sequence,
    ledger_exists,
    ledger_from_url,
    reader_from_url,
)
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_place import place_of
from crossfade.ledger.postgres_session import PostgresSession, open_session
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import WriteRequest, close_intent, open_intent
from crossfade.ledger.transitions.moves import move_stage
from crossfade.model.migration_state import MigrationState
from crossfade.model.stage import Stage
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SeededRandomness
from tests.contract.ledger.postgres_ledgers import (
    DECISION,
    ENTITY,
    end_connections,
    open_one,
    opened,
)
from tests.contract.ledger.rows_to_write import write_key


async def _until(done: Callable[[], object], seconds_max: float = 10.0) -> None:
    async with asyncio.timeout(seconds_max):
        while not done():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.01)


async def test_processes_take_turns_on_the_same_keys(postgres_url: str) -> None:
    """Every intent of either process is opened, closed and counted; no number is given twice."""
    async with opened(postgres_url, "a", "b", "c") as ledgers:
        numbers: list[int] = []

        async def caller(number: int) -> None:
            ledger = ledgers[number % 3]
            for step in range(6):
                request = WriteRequest(ENTITY, (((number + step) % 4,),), "PUT", "node")
                one = await ledger.transact(partial(open_intent, request=request, at=1.0))
                numbers.extend((one.intent.id, *one.seqs))
                await ledger.transact(partial(close_intent, intent_id=one.intent.id, at=2.0))
                numbers.append(await ledger.transact(lambda rows: rows.next_sequence()))

        await asyncio.gather(*(caller(number) for number in range(24)))

        assert len(set(numbers)) == len(numbers)
        for ledger in ledgers:
            counts = ledger.look(lambda rows: rows.counts())
            assert (counts.open_intents, counts.dirty) == (0, 4)
            keys = ledger.look(lambda rows: rows.dirty_keys(ENTITY, 9))
            assert [state.open_intents for state in keys] == [0] * 4


async def test_what_one_process_moves_the_others_route_by(postgres_url: str) -> None:
    """Told at once, at the latest when the route lease is over; they say that they know."""
    async with opened(postgres_url, "a", "b") as (first, second):
        assert second.migration.stage is Stage.SHADOW
        moved = await first.transact(partial(move_stage, wanted=Stage.OFF, decision=DECISION))

        assert first.migration == moved
        await _until(lambda: second.migration == moved, 0.6)
        await _until(lambda: not any(one.behind for one in first.nodes.others()), 0.6)
        assert [one.node for one in first.nodes.others()] == ["b"]


async def test_one_process_works_and_another_takes_over(postgres_url: str) -> None:
    """When the worker leaves, or shows nothing any more, the next one is it."""
    async with opened(postgres_url, "a", "b") as (first, second):
        await _until(lambda: first.nodes.works or second.nodes.works)
        await _until(lambda: first.nodes.works is not second.nodes.works)
        worker, other = (first, second) if first.nodes.works else (second, first)
        await _until(lambda: other.nodes.is_elsewhere(str(worker.nodes.name)))
        await worker.close()

        await _until(lambda: other.nodes.works)
        await _until(lambda: not other.nodes.is_elsewhere(str(worker.nodes.name)))
        assert other.nodes.dead() == 0


async def test_a_process_that_was_taken_for_dead_hears_of_it_first(postgres_url: str) -> None:
    """Before it routes anything again: what it had begun is somebody else's now."""
    async with opened(postgres_url, "a", "b") as (first, second):
        heard: list[str] = []
        second.nodes.tell(untracked=lambda: False, forsaken=lambda: heard.append("forsaken"))
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DELETE FROM crossfade_nodes WHERE node = 'b'")

        assert second.nodes.refresh() == first.migration
        assert heard == ["forsaken"]
        assert [one.node for one in first.nodes.others()] == ["b"]


async def test_the_others_see_at_once_who_serves(postgres_url: str) -> None:
    """A command that comes right after `up` has begun must not say that no node is running."""
    slow = {"poll_seconds": 5.0, "beat_seconds": 5.0, "dead_seconds": 60.0, "route_seconds": 10.0}
    async with opened(postgres_url, "a", "b", **slow) as (first, second):
        assert [one.serving for one in first.nodes.others()] == [False]

        second.nodes.tell(untracked=lambda: False, forsaken=lambda: None)

        assert [one.serving for one in first.nodes.others()] == [True]


async def test_lost_connections_are_opened_again(postgres_url: str) -> None:
    """A server that ends idle connections is no failure: nobody notices."""
    async with opened(postgres_url, "a") as (ledger,):
        for number in range(3):
            for purpose in ("writer", "reader", "nodes"):
                end_connections(postgres_url, purpose)
            await ledger.transact(partial(write_key, number=number))
            assert ledger.look(lambda rows: rows.counts()).dirty == number + 1
            assert ledger.migration.stage is Stage.SHADOW


async def test_a_connection_that_is_cut_in_a_transaction_loses_nothing(postgres_url: str) -> None:
    """While groups run, the writer's connection is ended again and again; all take place once."""
    async with opened(postgres_url, "a") as (ledger,):

        async def cut() -> None:
            for _ in range(12):
                await asyncio.to_thread(end_connections, postgres_url, "writer")
                await asyncio.sleep(0.03)

        async def add(number: int) -> int:
            done = 0
            for _ in range(30):
                try:
                    await ledger.transact(partial(_count, name=str(number)))
                except LedgerUnavailableError as error:
                    assert "Nothing was committed" in str(error)  # noqa: PT017 - either outcome is right
                else:
                    done += 1
            return done

        cutting = asyncio.ensure_future(cut())
        done = await asyncio.gather(*(add(number) for number in range(8)))
        await cutting

        found = ledger.look(lambda rows: [rows.document("n", str(n)) or 0 for n in range(8)])
        assert found == done


def _count(rows: Rows, name: str) -> None:
    rows.set_document("n", name, (rows.document("n", name) or 0) + 1)


@pytest.mark.parametrize("took_place", [True, False])
async def test_a_commit_whose_answer_is_lost_is_looked_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, *, took_place: bool
) -> None:
    """Whether it took place or not: its caller's transition takes place exactly once."""
    commit = PostgresSession.commit
    lost: list[str] = []

    def lose_answer(self: PostgresSession) -> None:
        if not lost:
            lost.append("answer")
            if took_place:
                commit(self)
            self.connection.close()
            raise psycopg.OperationalError("the connection was lost")
        commit(self)

    async with opened(postgres_url, "a", "b") as (ledger, other):
        monkeypatch.setattr(PostgresSession, "commit", lose_answer)
        await ledger.transact(partial(_count, name="x"))
        monkeypatch.undo()

        assert lost == ["answer"]
        assert other.look(lambda rows: rows.document("n", "x")) == 1
        await ledger.transact(partial(_count, name="x"))
        assert other.look(lambda rows: rows.document("n", "x")) == 2


async def test_a_moved_stage_whose_commit_was_lost_is_known(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found out is published like any other commit."""
    commit = PostgresSession.commit

    def lose_answer(self: PostgresSession) -> None:
        monkeypatch.undo()
        commit(self)
        self.connection.close()
        raise psycopg.OperationalError("the connection was lost")

    async with opened(postgres_url, "a") as (ledger,):
        monkeypatch.setattr(PostgresSession, "commit", lose_answer)
        moved = await ledger.transact(partial(move_stage, wanted=Stage.OFF, decision=DECISION))

        assert ledger.migration == moved


async def test_a_process_that_stands_still_in_a_transaction_is_cut_off(postgres_url: str) -> None:
    """Others wait for it for a bounded time; then the server ends its transaction."""
    options = PostgresLedgerOptions(idle_seconds_max=0.5)
    async with opened(postgres_url, "a") as (ledger,):
        stuck = open_session(place_of(postgres_url), options, "writer")
        stuck.run("begin_write")
        stuck.one("lock_ledger")

        async with asyncio.timeout(4.0):
            await ledger.transact(partial(write_key, number=1))

        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            stuck.commit()
        stuck.close()


async def test_a_writer_that_stood_still_begins_anew(postgres_url: str) -> None:
    """Its transaction was ended meanwhile: nothing of it was committed, so it runs again."""
    async with opened(postgres_url, "a", idle_seconds_max=0.2) as (ledger,):
        pauses = [0.6]

        def slow(rows: Rows) -> None:
            _count(rows, "x")
            if pauses:
                time.sleep(pauses.pop())

        await ledger.transact(slow)

        assert ledger.look(lambda rows: rows.document("n", "x")) == 1
        assert pauses == []


async def test_a_server_that_is_gone_fails_closed(postgres_url: str) -> None:
    """Writes are refused, and so is every route once it is too old; afterwards all goes on."""
    name = postgres_url.rpartition("/")[2]
    server = postgres_url.rpartition("/")[0] + "/postgres"
    async with opened(postgres_url, "a", "b") as (ledger, _):
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (name,),
            )
            with pytest.raises((LedgerUnavailableError, ConfigurationError)):
                await ledger.transact(partial(write_key, number=1))
            await asyncio.sleep(0.6)
            with pytest.raises((LedgerUnavailableError, ConfigurationError)):
                _ = ledger.migration
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await asyncio.sleep(0.6)

        await ledger.transact(partial(write_key, number=1))
        assert ledger.migration.stage is Stage.SHADOW
        assert ledger.look(lambda rows: rows.counts()).dirty == 1


async def test_a_server_that_stands_still_is_not_waited_for(postgres_url: str) -> None:
    """It takes what is sent and says nothing: its own limits end nothing then."""
    options = PostgresLedgerOptions(statement_seconds_max=0.2)
    session = open_session(place_of(postgres_url), options, "reader")
    session.run("setting", "statement_timeout", "0")
    began = time.monotonic()

    with pytest.raises(psycopg.OperationalError):
        session.connection.execute("SELECT pg_sleep(20)")

    assert (time.monotonic() - began < 10, session.usable) == (True, False)


async def test_a_forked_copy_is_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its threads are not there: it would wait for ever."""
    async with opened(postgres_url, "a") as (ledger,):
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(ConfigurationError, match="forked"):
            await ledger.transact(lambda rows: rows.next_sequence())
        with pytest.raises(ConfigurationError, match="forked"):
            ledger.look(lambda rows: rows.counts())
        monkeypatch.undo()


async def test_a_ledger_made_for_nothing_is_removed_again(postgres_url: str) -> None:
    """Not if another process uses it, nor if anything was decided."""
    first = open_one(postgres_url, "a")
    second = open_one(postgres_url, "b")
    await first.discard_unused()
    assert ledger_exists(postgres_url)
    await second.close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")

    third = open_one(postgres_url, "c")
    assert third.migration == MigrationState()
    await third.discard_unused()
    assert not ledger_exists(postgres_url)


async def test_processes_that_start_together_find_one_ledger(postgres_url: str) -> None:
    """Each looks, finds none, and waits for the one that makes it; then it sees what was made."""
    for attempt in range(3):
        url = f"{postgres_url}?schema=together_{attempt}"
        ledgers = await asyncio.gather(
            *(asyncio.to_thread(ledger_from_url, url, SystemClock(), SeededRandomness(number))
              for number in range(4))
        )  # fmt: skip
        assert len({ledger.identity.ledger_id for ledger in ledgers}) == 1
        for ledger in ledgers:
            await ledger.close()


async def test_the_ledger_has_a_schema_of_its_own(postgres_url: str) -> None:
    """`?schema=` names it; it is made where it is missing, and read by name."""
    url = f'{postgres_url}?schema=cross"fade'
    assert not ledger_exists(url)
    ledger = ledger_from_url(url, SystemClock(), SeededRandomness(1))
    await ledger.transact(lambda rows: rows.next_sequence())
    await ledger.close()

    assert ledger_exists(url)
    assert not ledger_exists(postgres_url)
    reader = reader_from_url(url)
    assert reader.identity == ledger.identity
    assert committed_sequence(reader) == 1
    assert reader.look(lambda rows: rows.counts()).dirty == 0
    reader.close()


async def test_wrong_places_are_told_in_one_line(postgres_url: str) -> None:
    """A database that is not there, no rights, an older release; never a password."""
    server = postgres_url.rpartition("/")[0]
    with pytest.raises(ConfigurationError, match="does not exist"):
        open_one(f"{server}/nowhere_at_all")
    with pytest.raises(LedgerUnavailableError, match="does not answer") as refused:
        open_one("postgresql://me:secret@127.0.0.1:1/db", connect_seconds_max=1.0)
    assert "secret" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="no ledger in"):
        reader_from_url(postgres_url)

    await open_one(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("INSERT INTO crossfade_schema_version VALUES (99, 'from tomorrow')")
    with pytest.raises(LedgerVersionError, match="schema 99"):
        open_one(postgres_url)
