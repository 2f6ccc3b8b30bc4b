"""The use cases that change something, over a node with memory stores."""

from functools import partial

import pytest
from msgspec import structs

from crossfade.backfill.worker import BackfillWorker
from crossfade.control.copying import Copying
from crossfade.control.key_cases import KeyCases
from crossfade.control.moves import Moves
from crossfade.control.outline import EntityOutline, Level, Outline
from crossfade.control.requests import (
    BackfillAsked,
    CanaryAsked,
    EntitiesAsked,
    FreezeAsked,
    KeysAsked,
    MoveAsked,
    RetireAsked,
    VerifyAsked,
)
from crossfade.control.telling import Telling
from crossfade.control.verifying import Verifying
from crossfade.errors import ConfigurationError, GateError, IllegalMoveError
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.keys import mark_dirty, quarantine_key, take_lease
from crossfade.model.evidence import GateOptions
from crossfade.model.key_state import DirtyReason, KeyState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.stages.evidence import EvidenceGatherer
from crossfade.stages.stages import Stages
from crossfade.verification.verifier import Verifier
from tests.builders import CUSTOMERS, Node, make_node

OUTLINE = Outline("shop", (EntityOutline(CUSTOMERS, "gateway", Level.L2),))


async def answers(_side: Side) -> bool:
    """Both services are there."""
    return True


class Desk:
    """One node, and every use case over it."""

    def __init__(self) -> None:
        self.node: Node = make_node()
        node, clock = self.node, self.node.seams.clock
        sides = node.convergence._sides  # noqa: SLF001 - the builder keeps them to itself
        gatherer = EvidenceGatherer(
            ledger=node.ledger,
            sides=sides,
            operations={},
            convergence=node.convergence,
            service_answers=answers,
            seams=node.seams,
            options=GateOptions(),
            store_seconds_max=1.0,
        )
        stages = Stages(
            ledger=node.ledger,
            sides=sides,
            flipper=node.flipper,
            epochs=node.epochs,
            gatherer=gatherer,
            hooks=node.hooks,
            seams=node.seams,
            options=node.stage_options,
        )
        told = Telling(node.ledger, OUTLINE, read_from="node")
        self.moves = Moves(stages, node.ledger, node.canary, OUTLINE, clock)
        self.keys = KeyCases(node.ledger, sides, node.convergence, stages, OUTLINE, clock)
        worker = BackfillWorker(node.ledger, sides, node.hooks, node.seams, "node-1")
        self.copying = Copying(node.ledger, worker, told, clock)
        verifier = Verifier(node.ledger, sides, node.hooks, node.seams)
        self.verifying = Verifying(verifier, node.ledger, told, node.tasks, clock)

    async def shadow(self) -> None:
        """Stage `shadow`, the barrier passed."""
        await self.moves.promote(MoveAsked(wanted="shadow", actor="ada", reason="first"))
        while not await self.node.barrier.step():
            await self.node.world.clock.advance(1.0)

    def held(self) -> list[str]:
        """Why writes are held."""
        return [hold.reason for hold in self.node.ledger.migration.holds]

    def actions(self) -> list[str]:
        """What the history says, newest first."""
        return [entry.action for entry in self.node.ledger.look(lambda rows: rows.audit(99))]


@pytest.fixture
async def desk() -> Desk:
    """A node in stage `off`."""
    return Desk()


async def test_a_plan_changes_nothing_and_names_its_command(desk: Desk) -> None:
    """Without a stage it is the next one forward."""
    before = desk.actions()
    planned = await desk.moves.plan()

    assert (planned["current"], planned["wanted"]) == ("off", "shadow")
    assert (planned["allowed"], planned["command"]) == (True, "crossfade stage promote shadow")
    assert planned["entities"][0]["level"] == "L2"
    assert desk.actions() == before


async def test_a_move_is_told_and_kept_with_its_reason(desk: Desk) -> None:
    """Who and why are in the history."""
    moved = await desk.moves.promote(MoveAsked(wanted="shadow", actor="ada", reason="first"))

    assert (moved["current"], moved["wanted"], moved["decision"]) == ("off", "shadow", 1)
    (entry,) = desk.node.ledger.look(lambda rows: rows.audit(1))
    assert (entry.actor, entry.detail["reason"]) == ("ada", "first")
    with pytest.raises(IllegalMoveError):
        await desk.moves.rollback(MoveAsked(wanted="live"))


async def test_writes_are_frozen_and_let_go_again(desk: Desk) -> None:
    """A dry run only says; letting go twice is no error."""
    await desk.moves.freeze(FreezeAsked(dry_run=True))
    assert desk.held() == []

    await desk.moves.freeze(FreezeAsked(reason="restoring"))
    assert desk.held() == ["restoring"]

    await desk.moves.freeze(FreezeAsked(off=True))
    assert (await desk.moves.freeze(FreezeAsked(off=True)))["summary"] == "Nothing was frozen."


async def test_a_canary_share_is_kept_for_the_next_node(desk: Desk) -> None:
    """And at once for this one; a share that is none is refused."""
    await desk.moves.set_canary(CanaryAsked(entity=CUSTOMERS, percent=5, dry_run=True))
    assert desk.node.canary.shares() == {}

    told = await desk.moves.set_canary(CanaryAsked(entity=CUSTOMERS, percent=5))

    assert desk.node.canary.shares() == {CUSTOMERS: 5}
    assert desk.node.ledger.look(lambda rows: rows.document("canary", CUSTOMERS)) == 5
    assert "once the stage is shadow" in told["summary"]
    for entity, percent in ((CUSTOMERS, 101), (CUSTOMERS, -1), ("order", 5)):
        with pytest.raises(ConfigurationError):
            await desk.moves.set_canary(CanaryAsked(entity=entity, percent=percent))


async def test_retiring_needs_the_name_and_the_stage(desk: Desk) -> None:
    """Neither alone is enough."""
    with pytest.raises(ConfigurationError, match="not"):
        await desk.moves.retire(RetireAsked(name="ship"))
    with pytest.raises(GateError, match="completed"):
        await desk.moves.retire(RetireAsked(name="shop"))
    with pytest.raises(GateError, match="completed"):
        await desk.moves.retire(RetireAsked(name="shop", dry_run=True))

    assert not desk.node.ledger.migration.retired


async def test_nothing_is_copied_in_off(desk: Desk) -> None:
    """Neither by a backfill nor by a repair."""
    with pytest.raises(GateError, match="promote shadow"):
        await desk.copying.start_backfill(BackfillAsked())
    with pytest.raises(GateError):
        await desk.keys.repair(KeysAsked(entity=CUSTOMERS, keys=((1,),)))
    with pytest.raises(GateError):
        await desk.copying.pause_backfill(EntitiesAsked())


async def test_a_backfill_is_asked_for_and_paused(desk: Desk) -> None:
    """It waits in the ledger for whichever node runs."""
    await desk.shadow()
    await desk.copying.start_backfill(BackfillAsked(dry_run=True))
    assert (await desk.copying.backfill())["entities"][0]["sweep"] is None

    await desk.copying.start_backfill(BackfillAsked(rows_per_second_max=7.0))
    sweep = (await desk.copying.backfill())["entities"][0]["sweep"]
    assert (sweep["state"], sweep["rows_per_second_max"]) == ("running", 7.0)

    await desk.copying.pause_backfill(EntitiesAsked(entities=(CUSTOMERS,)))
    assert (await desk.copying.backfill())["entities"][0]["sweep"]["state"] == "paused"
    with pytest.raises(ConfigurationError, match=CUSTOMERS):
        await desk.copying.start_backfill(BackfillAsked(entities=("order",)))


async def test_repaired_keys_agree(desk: Desk) -> None:
    """A key that is typed as text is the entity's number; a wrong one is refused whole."""
    await desk.shadow()
    told = await desk.keys.repair(KeysAsked(entity=CUSTOMERS, keys=(("1",), (2,))))

    assert (told["agreed"], told["still_open"], told["keys"]) == (2, [], [[1], [2]])
    for keys in ((("x",),), ((1, 2),), ()):
        with pytest.raises(ConfigurationError):
            await desk.keys.repair(KeysAsked(entity=CUSTOMERS, keys=keys))
    with pytest.raises(ConfigurationError, match=CUSTOMERS):
        await desk.keys.repair(KeysAsked(entity="order", keys=((1,),)))


async def test_what_cannot_be_repaired_is_named_with_its_reason(desk: Desk) -> None:
    """The others are repaired all the same."""
    await desk.shadow()
    desk.node.world.faults[Side.NEW].dead = True

    told = await desk.keys.repair(KeysAsked(entity=CUSTOMERS, keys=((1,),)))

    assert (told["agreed"], told["still_open"][0]["key"]) == (0, [1])


async def test_only_quarantined_keys_are_waived_and_all_or_none(desk: Desk) -> None:
    """A key that is not quarantined waives nothing."""
    await desk.shadow()
    rows = desk.node.world.rows
    rows.apply(
        partial(mark_dirty, entity=CUSTOMERS, keys=[(1,)], reason=DirtyReason.REPAIR, at=1.0)
    )
    grant = rows.apply(partial(take_lease, entity=CUSTOMERS, key=(1,), owner="x", at=1.0))
    assert grant is not None
    rows.apply(partial(quarantine_key, grant=grant, reason="too long"))

    with pytest.raises(GateError):
        await desk.keys.waive(KeysAsked(entity=CUSTOMERS, keys=((1,), (2,))))
    assert desk.node.world.counts().waived == 0
    await desk.keys.waive(KeysAsked(entity=CUSTOMERS, every=True))
    assert desk.node.world.counts().waived == 1
    told = await desk.keys.retry(KeysAsked(entity=CUSTOMERS, every=True))
    assert (told["agreed"], desk.node.world.counts().waived) == (1, 0)


async def test_all_means_all_however_many_there_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more keys than one answer lists, the node goes on with the rest by itself."""
    monkeypatch.setattr("crossfade.control.key_cases.LIST_ROWS_MAX", 2)
    await desk.shadow()
    rows = desk.node.world.rows
    keys = [(number,) for number in range(1, 6)]
    rows.apply(partial(mark_dirty, entity=CUSTOMERS, keys=keys, reason=DirtyReason.REPAIR, at=1.0))
    for key in keys:
        grant = rows.apply(partial(take_lease, entity=CUSTOMERS, key=key, owner="x", at=1.0))
        assert grant is not None
        rows.apply(partial(quarantine_key, grant=grant, reason="too long"))

    await desk.keys.waive(KeysAsked(entity=CUSTOMERS, every=True))
    waived = desk.node.world.counts().waived
    told = await desk.keys.retry(KeysAsked(entity=CUSTOMERS, every=True))

    assert waived == 5
    assert (told["agreed"], len(told["keys"])) == (2, 2)
    assert "goes on with the other 3" in told["summary"]
    counts = desk.node.world.counts()
    assert (counts.quarantined, counts.waived, counts.dirty) == (0, 0, 3)
    for key in keys:
        held = structs.replace(desk.node.world.key(key), held_authority=Side.NEW)
        rows.apply(partial(_set_key, state=held))
    await desk.node.epochs.raise_to(desk.node.ledger.migration.epoch, Side)
    told = await desk.keys.release(KeysAsked(entity=CUSTOMERS, every=True))
    assert "5 keys" in told["summary"]
    assert desk.node.world.counts().held == 0


def _set_key(rows: Rows, state: KeyState) -> None:
    rows.set_key(state)


async def test_a_key_that_is_not_held_cannot_be_released(desk: Desk) -> None:
    """And with --all there may be none."""
    with pytest.raises(GateError, match="not held"):
        await desk.keys.release(KeysAsked(entity=CUSTOMERS, keys=((1,),)))
    told = await desk.keys.release(KeysAsked(entity=CUSTOMERS, every=True))

    assert told["keys"] == []


async def test_a_verification_runs_beside_and_says_how_it_ended(desk: Desk) -> None:
    """One at a time; what stops it is kept in the job."""
    with pytest.raises(ConfigurationError):
        await desk.verifying.start_verification(VerifyAsked(fraction=0.0))
    await desk.verifying.start_verification(VerifyAsked(dry_run=True))
    assert (await desk.verifying.verification())["job"] is None

    await desk.verifying.start_verification(VerifyAsked())
    with pytest.raises(GateError, match="--stop"):
        await desk.verifying.start_verification(VerifyAsked())
    await desk.node.quiet()

    job = (await desk.verifying.verification())["job"]
    assert (job["state"], job["exit_code"]) == ("failed", 5)
    assert job["error"]


async def test_a_verification_can_be_stopped(desk: Desk) -> None:
    """Stopping what does not run is no error."""
    await desk.verifying.start_verification(VerifyAsked())
    await desk.verifying.stop_verification(EntitiesAsked())
    told = await desk.verifying.stop_verification(EntitiesAsked())

    assert "none is under way" in told["summary"]
    assert desk.node.ledger.migration.stage is Stage.OFF
