"""Intents inside a user's own transaction: committed with the write, or never there."""

import asyncio
from functools import partial

import psycopg
import pytest

from crossfade.errors import (
    ConfigurationError,
    LedgerError,
    LedgerUnavailableError,
    WritesHeldError,
)
from crossfade.ledger.postgres_within import (
    lives_in_async,
    look_within,
    look_within_async,
    transact_within,
    transact_within_async,
)
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import (
    WriteRequest,
    close_intent,
    note_written,
    open_intent,
)
from crossfade.ledger.transitions.keys import release_lease, take_lease
from crossfade.ledger.transitions.moves import remove_hold, set_hold
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import Hold
from crossfade.model.stage import Stage
from tests.contract.ledger.postgres_ledgers import DECISION, ENTITY, opened

REQUEST = WriteRequest(ENTITY, ((1,),), "PUT", "node")
WRITTEN = partial(note_written, request=REQUEST, at=1.0)
OPENED = partial(open_intent, request=REQUEST, at=1.0)


async def test_what_the_user_commits_is_there_at_once(postgres_url: str) -> None:
    """The intent and the dirty key come with the commit, not before."""
    async with opened(postgres_url, "a") as (ledger,):
        with psycopg.connect(postgres_url) as user:
            intent = transact_within(ledger, user, OPENED).intent
            assert ledger.look(lambda rows: rows.intent(intent.id)) is None
            assert ledger.look(lambda rows: rows.counts()).dirty == 0
            user.commit()

        assert ledger.look(lambda rows: rows.intent(intent.id)) == intent
        assert ledger.look(lambda rows: rows.key(ENTITY, (1,))).open_intents == 1
        keys = await ledger.transact(partial(close_intent, intent_id=intent.id, at=2.0))
        assert keys == ((1,),)
        assert ledger.look(lambda rows: rows.counts()).open_intents == 0


async def test_a_write_without_replay_leaves_a_dirty_key_and_no_intent(postgres_url: str) -> None:
    """Nobody has to settle anything; several writes of one transaction count one by one."""
    async with opened(postgres_url, "a") as (ledger,):
        async with await psycopg.AsyncConnection.connect(postgres_url) as user:
            assert await lives_in_async(ledger, user)
            await look_within_async(ledger, user)
            first = await transact_within_async(ledger, user, WRITTEN)
            second = await transact_within_async(ledger, user, WRITTEN)

        state = ledger.look(lambda rows: rows.key(ENTITY, (1,)))
        assert (state.dirty, state.open_intents) == (True, 0)
        assert state.seq > second.seqs[0] > first.seqs[0]
        assert ledger.look(lambda rows: rows.counts()).open_intents == 0


async def test_a_roll_back_leaves_nothing(postgres_url: str) -> None:
    """As if the write had never been asked for; its numbers are not given again."""
    async with opened(postgres_url, "a") as (ledger,):
        with psycopg.connect(postgres_url) as user:
            lost = transact_within(ledger, user, OPENED)
            user.rollback()

        counts = ledger.look(lambda rows: rows.counts())
        assert (counts.open_intents, counts.dirty) == (0, 0)
        assert ledger.look(lambda rows: rows.forgettable_keys(ENTITY, 9)) == []
        assert await ledger.transact(lambda rows: rows.next_sequence()) > max(lost.seqs)


async def test_a_lease_taken_before_never_clears_after(postgres_url: str) -> None:
    """The key changed in a user's transaction under way while its old record was copied."""
    async with opened(postgres_url, "a") as (ledger,):
        with psycopg.connect(postgres_url) as user:
            transact_within(ledger, user, WRITTEN)
            user.commit()
            grant = await ledger.transact(
                partial(take_lease, entity=ENTITY, key=(1,), owner="me", at=1.0)
            )
            assert grant is not None
            transact_within(ledger, user, WRITTEN)
            releasing = asyncio.ensure_future(ledger.transact(partial(release_lease, grant=grant)))
            await asyncio.sleep(0.3)
            assert not releasing.done(), "the row is the user's until the user commits"
            user.commit()

        assert await releasing is False
        assert ledger.look(lambda rows: rows.key(ENTITY, (1,))).dirty


async def test_a_new_key_is_not_written_over(postgres_url: str) -> None:
    """Neither side knew a row: the one that comes second sees what the first has made."""
    async with opened(postgres_url, "a") as (ledger,):
        with psycopg.connect(postgres_url) as user:
            transact_within(ledger, user, OPENED)
            opening = asyncio.ensure_future(ledger.transact(OPENED))
            await asyncio.sleep(0.2)
            user.commit()
        await opening

        assert ledger.look(lambda rows: rows.key(ENTITY, (1,))).open_intents == 2


async def test_others_go_on_while_one_key_is_the_users(postgres_url: str) -> None:
    """Only the transition that needs the row waits; its neighbours in the group do not."""
    async with opened(postgres_url, "a", blocked_seconds_max=0.5) as (ledger,):
        with psycopg.connect(postgres_url) as user:
            transact_within(ledger, user, WRITTEN)
            blocked = asyncio.ensure_future(ledger.transact(OPENED))
            others = [
                partial(open_intent, request=WriteRequest(ENTITY, ((n,),), "PUT", "node"), at=1.0)
                for n in range(2, 12)
            ]
            done = await asyncio.gather(*(ledger.transact(one) for one in others))
            assert len(done) == 10
            with pytest.raises(LedgerUnavailableError, match="transactions of the application"):
                await blocked
            user.commit()

        await ledger.transact(OPENED)


async def test_numbers_of_users_and_groups_never_go_back(postgres_url: str) -> None:
    """A key's number only rises, whoever touches it, in whatever order."""
    async with opened(postgres_url, "a", "b") as (first, second):
        seen = 0
        with psycopg.connect(postgres_url) as user:
            for step in range(40):
                match step % 4:
                    case 0 | 2:
                        transact_within(first, user, WRITTEN)
                        user.commit()
                    case 1:
                        await first.transact(partial(_touch, step=step))
                    case _:
                        await second.transact(partial(_touch, step=step))
                seq = first.look(lambda rows: rows.key(ENTITY, (1,))).seq
                assert seq > seen
                seen = seq


def _touch(rows: Rows, step: int) -> None:
    grant = take_lease(rows, ENTITY, (1,), f"node {step}", 1.0)
    assert grant is not None


async def test_a_hold_waits_for_users_and_users_see_it(postgres_url: str) -> None:
    """The stage cannot change under a transaction that relies on it; afterwards it is held."""
    hold = Hold("freeze", "a test")
    async with opened(postgres_url, "a") as (ledger,):
        with psycopg.connect(postgres_url) as user:
            assert look_within(ledger, user).stage is Stage.SHADOW
            holding = asyncio.ensure_future(
                ledger.transact(partial(set_hold, hold=hold, decision=DECISION))
            )
            await asyncio.sleep(0.3)
            assert not holding.done()
            transact_within(ledger, user, WRITTEN)
            user.commit()
            await holding

            with pytest.raises(WritesHeldError, match="a test"):
                transact_within(ledger, user, WRITTEN)
            assert user.execute("SELECT 1").fetchone() == (1,)
            user.rollback()
            await ledger.transact(partial(remove_hold, name="freeze", decision=DECISION))
            transact_within(ledger, user, WRITTEN)


async def test_a_snapshot_from_before_a_hold_is_refused(postgres_url: str) -> None:
    """A transaction with one snapshot does not write by a stage that is over."""
    async with opened(postgres_url, "a") as (ledger,):
        with psycopg.connect(postgres_url) as user:
            user.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            user.execute("SELECT 1")
            hold = Hold("freeze", "a test")
            await ledger.transact(partial(set_hold, hold=hold, decision=DECISION))
            with pytest.raises(psycopg.errors.SerializationFailure):
                transact_within(ledger, user, WRITTEN)


async def test_what_is_not_possible_within_is_refused(postgres_url: str) -> None:
    """No transaction, lists, and whatever needs the whole ledger; another database."""

    def move(rows: Rows) -> None:
        rows.set_migration(rows.migration())

    async with opened(postgres_url, "a") as (ledger,):
        with psycopg.connect(postgres_url, autocommit=True) as user:
            with pytest.raises(ConfigurationError, match="two transactions"):
                transact_within(ledger, user, WRITTEN)
            with user.transaction(), pytest.raises(LedgerError, match="set_migration"):
                transact_within(ledger, user, move)
            with user.transaction(), pytest.raises(LedgerError, match="counts"):
                transact_within(ledger, user, lambda rows: rows.counts())
            assert ledger.lives_in(user)
        elsewhere = postgres_url.rpartition("/")[0] + "/postgres"
        with psycopg.connect(elsewhere) as other:
            assert not ledger.lives_in(other)


async def test_many_users_and_groups_on_few_keys_lose_nothing(postgres_url: str) -> None:
    """Every write is counted once; nobody deadlocks for good."""
    async with opened(postgres_url, "a", blocked_seconds_max=30.0) as (ledger,):

        def use(number: int) -> int:
            done = 0
            with psycopg.connect(postgres_url) as user:
                for step in range(15):
                    keys = tuple(sorted({(number % 3,), (step % 3,)}))
                    request = WriteRequest(ENTITY, keys, "PUT", "node")
                    transact_within(ledger, user, partial(open_intent, request=request, at=1.0))
                    user.commit()
                    done += len(keys)
            return done

        async def group(number: int) -> int:
            for _ in range(15):
                request = WriteRequest(ENTITY, ((number % 3,),), "PUT", "node")
                await ledger.transact(partial(open_intent, request=request, at=1.0))
            return 15

        users = [asyncio.to_thread(use, number) for number in range(4)]
        written = await asyncio.gather(*users, *(group(number) for number in range(4)))

        states = [ledger.look(partial(_state, number=number)) for number in range(3)]
        assert sum(state.open_intents for state in states) == sum(written)
        assert ledger.look(lambda rows: rows.counts()).open_intents == 15 * 8


def _state(rows: object, number: int) -> KeyState:
    state: KeyState = rows.key(ENTITY, (number,))  # type: ignore[attr-defined] # it has it, its type does not
    return state
