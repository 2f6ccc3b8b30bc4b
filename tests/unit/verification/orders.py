"""Orders with lines, copied and verified: records of many types to sow corruption in."""

from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from crossfade.convergence.converge import Convergence
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.sweeps import start_sweep
from crossfade.model.entity import Entity
from crossfade.model.key import EVERY_KEY, Key
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.model.store_description import SqlTable
from crossfade.observability.events import Event
from crossfade.observability.hooks import Hooks
from crossfade.reconciler.worker import Reconciler, ThisProcess
from crossfade.seams.bundle import Seams
from crossfade.seams.randomness import SeededRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.base import Record, StoreEpoch
from crossfade.store.memory import MemoryDatabase, MemoryTable
from crossfade.store.memory_store import MemoryStore
from crossfade.testing.manual_clock import ManualClock
from crossfade.verification.options import VerificationOptions
from crossfade.verification.verifier import Verifier
from tests.fake_seams import CrashingFailpoint, Life, Turns
from tests.repairing import Repair

ORDERS = "orders"
PLACED = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
URL = "sqlite:////nowhere.db"
LEGACY = SqlTable(
    URL,
    "orders",
    key="id",
    children={"lines": SqlTable(URL, "lines", key=("order", "line"), parent="order")},
)
NEW = SqlTable(
    URL,
    "new_orders",
    key="id",
    children={"items": SqlTable(URL, "items", key=("order_id", "n"), parent="order_id")},
)


def make_order(number: int) -> Record:
    """An order as legacy has it; every third has no note, every fifth an empty one."""
    note = (
        None if number % 3 == 0 else "" if number % 5 == 0 else f"Ku\u0308che {number} \U0001f373"
    )
    return {
        "id": number,
        "owner": 100 + number % 7,
        "note": note,
        "placed": PLACED + timedelta(minutes=number),
        "weight": number / 7,
        "total": Decimal(number) / 4,
        "code": str(number),
        "lines": [
            {"order": number, "line": line, "sku": f"SKU-{number}-{line}", "count": line}
            for line in (1, 2, 3)
        ],
    }


def order_to_new(order: Record) -> Record:
    """Other names; nothing lost."""
    return {
        "id": order["id"],
        "customer_id": order["owner"],
        "remark": order["note"],
        "placed_at": order["placed"],
        "weight": order["weight"],
        "total": order["total"],
        "code": order["code"],
        "items": [
            {
                "order_id": one["order"],
                "n": one["line"],
                "sku": one["sku"],
                "quantity": one["count"],
            }
            for one in order["lines"]
        ],
    }


def order_to_legacy(order: Record) -> Record:
    """The way back."""
    return {
        "id": order["id"],
        "owner": order["customer_id"],
        "note": order["remark"],
        "placed": order["placed_at"],
        "weight": order["weight"],
        "total": order["total"],
        "code": order["code"],
        "lines": [
            {
                "order": one["order_id"],
                "line": one["n"],
                "sku": one["sku"],
                "count": one["quantity"],
            }
            for one in order["items"]
        ],
    }


@dataclass(slots=True)
class Orders:
    """A migration of orders that is copied, and what verifies it."""

    clock: ManualClock
    ledger: MemoryLedger
    sides: Sides
    life: Life
    failpoint: CrashingFailpoint
    databases: dict[Side, MemoryDatabase]
    events: list[Event]
    hooks: Hooks
    seams: Seams
    reconciler: Reconciler
    repair: Repair

    def rows(self, side: Side) -> dict[Key, Record]:
        """The rows themselves, to sow corruption in."""
        store = self.sides.entities[ORDERS].side(side)
        assert isinstance(store, MemoryStore)
        return store.rows

    def verifier(self, **options: Any) -> Verifier:  # noqa: ANN401 - whatever the options have
        """A verifier with these options."""
        made = VerificationOptions(**{"page_rows": 7, **options})
        return Verifier(self.ledger, self.sides, self.hooks, self.seams, made)

    def agrees(self) -> bool:
        """Whether new has what legacy has, in the mapped columns."""
        wanted = {key: order_to_new(row) for key, row in self.rows(Side.LEGACY).items()}
        found = {
            key: {name: row[name] for name in wanted.get(key, row)}
            for key, row in self.rows(Side.NEW).items()
        }
        return wanted == found

    async def converge(self) -> None:
        """Until nothing is dirty."""
        for _ in range(50):
            await self.reconciler.step()
            if self.ledger.look(lambda rows: rows.counts()).dirty == 0:
                return
            await self.clock.advance(1.0)
        raise AssertionError("keys stay dirty")


async def make_orders(count: int = 40, *, ordered: bool = True, covered: bool = True) -> Orders:
    """So many orders on both sides, every key covered and clean."""
    clock, ledger, events = ManualClock(), MemoryLedger(), list[Event]()
    hooks, life = Hooks(events.append), Life()
    failpoint = CrashingFailpoint(life, Turns())
    seams = Seams(clock, SeededRandomness(1), TaskOwner(), failpoint)
    databases = {side: MemoryDatabase(name=str(side)) for side in Side}
    tables = {
        Side.LEGACY: _table("orders", "lines", ("order", "line")),
        Side.NEW: _table("new_orders", "items", ("order_id", "n")),
    }
    stores = {
        side: MemoryStore(databases[side], ORDERS, tables[side], ordered=ordered) for side in Side
    }
    entity = Entity(ORDERS, LEGACY, NEW, order_to_new, order_to_legacy)
    sides = Sides(
        {ORDERS: EntityStores(entity, stores[Side.LEGACY], stores[Side.NEW])},
        {side: (databases[side],) for side in Side},
        dict.fromkeys(Side, 10.0),
    )
    for number in range(1, count + 1):
        order = make_order(number)
        stores[Side.LEGACY].rows[(number,)] = order
        stores[Side.NEW].rows[(number,)] = {**deepcopy(order_to_new(order)), "only_new": "kept"}
    for database in databases.values():
        await database.prepare()
        await database.raise_epoch(StoreEpoch(ledger.identity.ledger_id, 1, 1))
    state = MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True)
    ledger.apply(lambda rows: rows.set_migration(state))
    if covered:
        ledger.apply(partial(start_sweep, entity=ORDERS, at=1.0))
        ledger.apply(_cover)
    convergence = Convergence(ledger, sides, hooks, seams, "node-1")
    process = ThisProcess("node-1", lambda _: False)
    reconciler = Reconciler(ledger, sides, convergence, hooks, seams, process)
    return Orders(
        clock, ledger, sides, life, failpoint, databases, events, hooks, seams, reconciler,
        Repair(ledger),
    )  # fmt: skip


def _table(name: str, child: str, key: tuple[str, ...]) -> MemoryTable:
    children = {child: MemoryTable(child, key=key, parent=key[:1])}
    return MemoryTable(name, key=("id",), children=children)


def _cover(rows: Rows) -> None:
    rows.set_entity(replace(rows.entity(ORDERS), coverage=(EVERY_KEY,), covered_at=1))
