"""Whatever a company does, and however attempts interleave, both sides agree once it is quiet."""

import asyncio
import random
from collections import deque
from functools import partial

import pytest

from crossfade.convergence.converge import ConvergeEnd, Convergence
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.entity import Entity
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason, KeyState
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.seams.randomness import SeededRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.base import StoreEpoch
from crossfade.store.memory import MemoryDatabase, MemoryTable
from crossfade.store.memory_faults import Applied
from crossfade.store.memory_store import MemoryStore
from crossfade.testing.manual_clock import ManualClock
from tests.random_company import ENTITIES, POINTERS, UNIQUE, RandomCompany, changed_keys

SEEDS = 60
STEPS = 60
ROUNDS_MAX = 60


class TwinCompany:
    """A company in memory; between any two steps of an attempt others may run."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.work = RandomCompany(self.dice)
        self.ledger = MemoryLedger()
        state = MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True)
        self.ledger.apply(lambda rows: rows.set_migration(state))
        self.databases = {side: MemoryDatabase(name=str(side), pause=self._turn) for side in Side}
        self.stores = {
            side: {name: MemoryStore(database, name, _table(name, side)) for name in ENTITIES}
            for side, database in self.databases.items()
        }
        entities = {
            name: EntityStores(
                Entity(name, None, None, dict, dict),
                self.stores[Side.LEGACY][name],
                self.stores[Side.NEW][name],
            )
            for name in ENTITIES
        }
        databases = {side: (database,) for side, database in self.databases.items()}
        sides = Sides(entities, dict(databases), dict.fromkeys(Side, 10.0))
        seams = Seams(ManualClock(), SeededRandomness(seed), TaskOwner(), self._turn)
        self.convergence = Convergence(self.ledger, sides, Hooks(), seams, "node-1")
        self.other = Convergence(self.ledger, sides, Hooks(), seams, "node-2")

    async def _turn(self, name: str) -> None:
        del name
        for _ in range(self.dice.randint(0, 2)):
            await asyncio.sleep(0)

    async def prepare(self) -> None:
        """Fence both sides."""
        identity = self.ledger.identity
        for database in self.databases.values():
            database.disk.prepared = True
            epoch = StoreEpoch(identity.ledger_id, identity.incarnation, 1)
            await database.raise_epoch(epoch)

    def commit(self) -> None:
        """One transaction of legacy, between the two marks that an intent makes."""
        after = self.work.transaction()
        changed = changed_keys(self.work.rows, after)
        self._mark(changed)
        for entity, key in changed:
            rows = self.stores[Side.LEGACY][entity].rows
            rows.pop(key, None)
            if key in after[entity]:
                rows[key] = after[entity][key]
        self.work.rows = after
        self._mark(changed)

    def _mark(self, names: list[tuple[str, Key]]) -> None:
        for entity, key in names:
            mark = partial(mark_dirty, entity=entity, reason=DirtyReason.WRITE, at=0.0)
            self.ledger.apply(partial(mark, keys=[key]))

    async def attempts(self, count: int) -> list[ConvergeEnd]:
        """Try some dirty keys at once, on either node, while legacy goes on writing."""
        dirty = self.ledger.look(lambda rows: rows.dirty_keys(None, 100, ready=True))
        chosen = self.dice.sample(list(dirty), min(len(dirty), count))
        tries = [
            self.dice.choice([self.convergence, self.other]).converge(one.entity, one.key)
            for one in chosen
        ]
        return await asyncio.gather(*tries)

    async def write_meanwhile(self) -> None:
        """Transactions while attempts are under way."""
        for _ in range(self.dice.randint(1, 3)):
            await self._turn("")
            self.commit()

    async def settle(self) -> None:
        """Converge one after the other until nothing is dirty."""
        for _ in range(ROUNDS_MAX):
            dirty = self.ledger.look(lambda rows: rows.dirty_keys(None, 100, ready=True))
            if not dirty:
                return
            for one in dirty:
                await self.convergence.converge(one.entity, one.key)
        raise AssertionError("keys stay dirty")

    def clean_but_different(self) -> deque[tuple[str, Key]]:
        """Keys that the ledger calls clean and that differ: there must never be one."""
        found: deque[tuple[str, Key]] = deque(maxlen=5)
        for entity in ENTITIES:
            ours, theirs = (self.stores[side][entity].rows for side in (Side.LEGACY, Side.NEW))
            for key in {*ours, *theirs}:
                state = self.ledger.look(partial(_key_state, entity=entity, key=key))
                if not state.dirty and ours.get(key) != theirs.get(key):
                    found.append((entity, key))
        return found


def _key_state(rows: RowsQueries, entity: str, key: Key) -> KeyState:
    return rows.key(entity, key)


_STEPS = {"steps": MemoryTable("step", key=("job", "number"), parent=("job",))}


def _table(name: str, side: Side) -> MemoryTable:
    children = _STEPS if name == "job" else {}
    if side is Side.LEGACY:
        return MemoryTable(name, key=("id",), children=children)
    return MemoryTable(
        name,
        key=("id",),
        children=children,
        unique=tuple((column,) for entity, column in UNIQUE if entity == name),
        references={column: there for entity, column, there in POINTERS if entity == name},
    )


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_company_at_work_converges(seed: int) -> None:
    """Two nodes, lost answers, writes in between: never a false clean, nobody quarantined."""
    company = TwinCompany(seed)
    await company.prepare()
    for _ in range(STEPS):
        if company.dice.random() < 0.1:
            applied = company.dice.choice(list(Applied))
            company.databases[Side.NEW].faults.lose_answers(applied)
        if company.dice.random() < 0.1:
            company.databases[Side.NEW].faults.apply_late()
        company.commit()
        count = company.dice.randint(1, 5)
        await asyncio.gather(company.attempts(count), company.write_meanwhile())
        assert not company.clean_but_different()

    await company.settle()
    company.databases[Side.NEW].faults.apply_late()

    assert company.ledger.look(lambda rows: rows.quarantined_keys(None, 10)) == []
    for entity in ENTITIES:
        assert company.stores[Side.NEW][entity].rows == company.stores[Side.LEGACY][entity].rows
