"""A read counts only if its route holds when it comes back; a canary serves what agrees."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from crossfade.errors import KeyHeldError, UpstreamFailedError
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.options import ExecutionOptions
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.chunks import declare_entity
from crossfade.ledger.transitions.flips import begin_flip
from crossfade.ledger.transitions.intents import (
    WriteRequest,
    bind_intent,
    close_intent,
    open_intent,
)
from crossfade.ledger.transitions.keys import forget_clean_keys, mark_dirty
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import CanaryFellBack, MismatchFound
from tests.builders import CUSTOMERS, DECISION, Node, make_node
from tests.fake_services import Does, FakeAnswer, create_value, put_value, read_all, read_value
from tests.settling import cover, drain, start_live, start_shadow

KEY: Key = (1,)
OTHER: Key = (2,)
Happening = Callable[[Rows], object]


async def _shadow(percent: float = 0.0) -> Node:
    node = await start_shadow(values={KEY: "old", OTHER: "other"})
    node.canary.set_share(CUSTOMERS, percent)
    return node


def _meanwhile(node: Node, side: Side, happening: Happening) -> None:
    """Let something happen in the ledger while the side answers, once."""
    service = node.world.services[side]

    def happen(_: object) -> None:
        service.after = None
        node.world.rows.apply(happening)

    service.after = happen


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.READ_ONLY, Stage.SHADOW])
async def test_legacy_answers_until_the_flip(stage: Stage) -> None:
    """In `off`, `read_only` and `shadow`."""
    node = make_node()
    node.world.services[Side.LEGACY].rows.set(KEY, "old")
    if stage is not Stage.OFF:
        await node.move(stage)

    assert await node.read(read_value(KEY), KEY) == (FakeAnswer(200, "old"), Side.LEGACY)


async def test_new_answers_after_the_flip() -> None:
    """In `live` and `completed`."""
    node = await start_live(values={KEY: "old"})

    live = await node.read(read_value(KEY), KEY)
    await node.move(Stage.COMPLETED)
    completed = await node.read(read_all)

    assert (live[1], completed) == (Side.NEW, (FakeAnswer(200, ["old"]), Side.NEW))


async def test_reads_go_on_without_a_ledger() -> None:
    """Only writes need it."""
    node = await _shadow(percent=100.0)
    node.ledger.down = True

    assert (await node.read(read_value(KEY), KEY))[1] is Side.NEW
    assert (await node.read(read_all))[1] is Side.LEGACY


async def test_an_authority_that_does_not_answer_fails_the_read() -> None:
    """Another side's answer would be no answer."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(Does.CUT)

    with pytest.raises(UpstreamFailedError):
        await node.read(read_value(KEY), KEY)

    assert node.world.services[Side.NEW].calls == []


def _flip(rows: Rows) -> None:
    state = rows.migration()
    moved = replace(state, stage=Stage.LIVE, epoch=state.epoch + 1, decision=state.decision + 1)
    rows.set_migration(moved)


async def test_a_read_under_way_over_a_flip_is_routed_again() -> None:
    """Rule 11: what legacy answered may be stale the moment new has authority (case 79)."""
    node = await _shadow()
    _meanwhile(node, Side.LEGACY, _flip)
    node.world.services[Side.NEW].rows.set(KEY, "fresh")

    answer, side = await node.read(read_value(KEY), KEY)

    assert (answer.value, side) == ("fresh", Side.NEW)


async def test_a_stage_that_never_stands_still_ends_the_read() -> None:
    """Rerouting is bounded."""
    node = await _shadow()
    node.reader.options = ExecutionOptions(reroutes_max=3)

    def raise_epoch(rows: Rows) -> None:
        rows.set_migration(replace(rows.migration(), epoch=rows.migration().epoch + 1))

    service = node.world.services[Side.LEGACY]
    service.after = lambda _: node.world.rows.apply(raise_epoch)

    with pytest.raises(UpstreamFailedError):
        await node.read(read_value(KEY), KEY)

    assert len(service.calls) == 3


def _hold_key(rows: Rows) -> None:
    rows.set_key(structs.replace(rows.key(CUSTOMERS, KEY), held_authority=Side.NEW))
    rows.set_migration(replace(rows.migration(), holds_keys=True))


def _free_key(rows: Rows) -> None:
    rows.set_key(structs.replace(rows.key(CUSTOMERS, KEY), held_authority=None))


def _hold_entity(rows: Rows) -> None:
    rows.set_entity(replace(rows.entity(CUSTOMERS), held_authority=Side.NEW))
    rows.set_migration(replace(rows.migration(), holds_keys=True))


async def test_a_held_key_is_read_from_nobody() -> None:
    """Its newest value is on a side that does not answer; other keys are read as usual."""
    node = await _shadow(percent=100.0)
    node.world.rows.apply(_hold_key)

    with pytest.raises(KeyHeldError):
        await node.read(read_value(KEY), KEY)

    assert (await node.read(read_value(OTHER), OTHER))[0].value == "other"


async def test_a_list_that_may_show_a_held_key_is_read_from_nobody() -> None:
    """It would show an older value, or leave a record out; the next list is read as usual."""
    node = await _shadow()
    node.world.rows.apply(_hold_key)

    with pytest.raises(KeyHeldError):
        await node.read(read_all)
    assert (await node.write(create_value("made"), method="POST")).acknowledged

    node.world.rows.apply(_free_key)
    assert (await node.read(read_all))[0].acknowledged


async def test_a_list_of_a_held_entity_is_read_from_nobody() -> None:
    """It was not completely copied, so no key of it can be told apart."""
    node = await _shadow()
    node.world.rows.apply(_hold_entity)

    with pytest.raises(KeyHeldError):
        await node.read(read_all)


async def test_a_key_held_under_way_is_not_served() -> None:
    """Case 81: the reroute respects holds."""
    node = await _shadow()
    _meanwhile(node, Side.LEGACY, _hold_key)

    with pytest.raises(KeyHeldError):
        await node.read(read_value(KEY), KEY)


async def test_the_canary_serves_keys_that_agree() -> None:
    """From new, while legacy has authority; a missing record agrees too."""
    node = await _shadow(percent=100.0)

    served = await node.read(read_value(KEY), KEY)
    missing = await node.read(read_value((99,)), (99,))

    assert (served, missing[0].status, missing[1]) == (
        (FakeAnswer(200, "old"), Side.NEW),
        404,
        Side.NEW,
    )
    assert node.world.services[Side.LEGACY].calls == []


async def test_a_read_without_a_key_is_no_canary() -> None:
    """Lists go to the authority."""
    node = await _shadow(percent=100.0)

    assert (await node.read(read_all))[1] is Side.LEGACY


@pytest.mark.parametrize("stage", [Stage.READ_ONLY, Stage.OFF])
async def test_outside_shadow_there_is_no_canary(stage: Stage) -> None:
    """The share may be set; the stage decides."""
    node = await _shadow(percent=100.0)
    await node.move(stage)

    assert (await node.read(read_value(KEY), KEY))[1] is Side.LEGACY


def _open(rows: Rows, *keys: Key) -> int:
    return open_intent(rows, WriteRequest(CUSTOMERS, keys, "PUT", "n"), 0.0).intent.id


def _dirty(rows: Rows) -> None:
    mark_dirty(rows, CUSTOMERS, [KEY], DirtyReason.REPAIR, 0.0)


def _write(rows: Rows) -> None:
    close_intent(rows, _open(rows, KEY), 0.0)


def _create(rows: Rows) -> None:
    bind_intent(rows, _open(rows), KEY, 0.0)


def _new_mapping(rows: Rows) -> None:
    declare_entity(rows, CUSTOMERS, "1")
    declare_entity(rows, CUSTOMERS, "2")


def _written_and_forgotten(rows: Rows) -> None:
    _write(rows)
    state = rows.key(CUSTOMERS, KEY)
    rows.set_key(structs.replace(state, clean_seq=state.seq))
    assert forget_clean_keys(rows, CUSTOMERS, 100)


UNSURE: dict[str, Happening] = {
    "dirty": _dirty,
    "written": _write,
    "being written": lambda rows: _open(rows, KEY),
    "created": _create,
    "an unbound create": _open,
    "not covered any more": _new_mapping,
    "a flip has begun": lambda rows: begin_flip(rows, Stage.LIVE, DECISION),
}


@pytest.mark.parametrize("happening", UNSURE.values(), ids=UNSURE.keys())
async def test_a_key_that_may_not_agree_is_no_canary(happening: Happening) -> None:
    """Cases 72 to 75: new is not even asked."""
    node = await _shadow(percent=100.0)
    node.world.rows.apply(happening)

    assert (await node.read(read_value(KEY), KEY))[1] is Side.LEGACY
    assert node.world.services[Side.NEW].calls == []


@pytest.mark.parametrize(
    "happening",
    [*UNSURE.values(), _written_and_forgotten, _flip],
    ids=[*UNSURE.keys(), "written, clean and forgotten", "flipped"],
)
async def test_a_key_that_changed_under_way_falls_back(happening: Happening) -> None:
    """Cases 76, 77, 95, 96: seq and coverage must be what they were when the read was routed."""
    node = await _shadow(percent=100.0)
    node.world.services[Side.LEGACY].rows.set(KEY, "fresh")
    _meanwhile(node, Side.NEW, happening)

    answer, side = await node.read(read_value(KEY), KEY)

    authority = node.ledger.migration.authority
    assert (side, answer.value) == (authority, node.world.values(authority)[KEY])
    assert node.events_of(CanaryFellBack) == [
        CanaryFellBack("GET /customers/{id}", "the key changed under way")
    ]


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (Does.UNREACHABLE, "new did not answer"),
        (Does.CUT, "new did not answer"),
        (Does.FAIL, "new answered with an error"),
        (Does.BAD_GATEWAY, "new answered with an error"),
    ],
)
async def test_a_canary_that_fails_falls_back(does: Does, reason: str) -> None:
    """The caller gets legacy's answer, and the failure is counted."""
    node = await _shadow(percent=100.0)
    node.world.services[Side.NEW].plan.append(does)

    assert await node.read(read_value(KEY), KEY) == (FakeAnswer(200, "old"), Side.LEGACY)
    assert node.events_of(CanaryFellBack) == [CanaryFellBack("GET /customers/{id}", reason)]


async def test_a_key_outside_the_share_is_no_canary() -> None:
    """By the hash of the key: see the canary's own tests."""
    node = await _shadow(percent=0.0)

    assert (await node.read(read_value(KEY), KEY))[1] is Side.LEGACY


async def test_a_write_is_read_back_whatever_the_share() -> None:
    """A session sees its own writes: while the mirror lags, legacy is read."""
    node = await _shadow(percent=100.0)
    node.world.faults[Side.NEW].dead = True
    await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    before = await node.read(read_value(KEY), KEY)
    node.world.faults[Side.NEW].dead = False
    await drain(node)
    after = await node.read(read_value(KEY), KEY)

    assert (before[0].value, before[1]) == ("fresh", Side.LEGACY)
    assert (after[0].value, after[1]) == ("fresh", Side.NEW)


async def _compared(percent: float) -> Node:
    node = make_node(comparison=ComparisonOptions())
    node.world.services[Side.LEGACY].rows.set(KEY, "old")
    await node.move(Stage.SHADOW)
    assert await node.barrier.step()
    await cover(node)
    node.canary.set_share(CUSTOMERS, percent)
    return node


@pytest.mark.parametrize("percent", [0.0, 100.0])
async def test_a_read_is_compared_off_the_reply_path(percent: float) -> None:
    """The caller has its answer; then the other side is asked, and a difference is told."""
    node = await _compared(percent)
    node.world.services[Side.NEW].rows.set(KEY, "wrong")

    _, side = await node.read(read_value(KEY), KEY)
    asked = [tag.role for tag in node.world.services[side.other].calls]
    await node.quiet()

    assert asked == []
    assert [tag.role for tag in node.world.services[side.other].calls] == ["compare"]
    assert len(node.events_of(MismatchFound)) == 1


async def test_the_share_is_monotone_and_sticky() -> None:
    """A key that is in at 10 % is in at 20 %; nobody is in at 0 %, everybody at 100 %."""
    canary = make_node().canary
    keys: list[Key] = [(number,) for number in range(2000)]
    shares: list[set[Key]] = []
    for percent in (0.0, 10.0, 20.0, 100.0):
        canary.set_share(CUSTOMERS, percent)
        shares.append({key for key in keys if canary.includes(CUSTOMERS, key)})

    nobody, tenth, fifth, everybody = shares
    assert (len(nobody), len(everybody)) == (0, 2000)
    assert tenth < fifth
    assert 140 < len(tenth) < 260
    assert canary.shares() == {CUSTOMERS: 100.0}
    assert not canary.includes("orders", KEY)
