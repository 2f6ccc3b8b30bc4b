"""Writes without intent: counted while under way, doubtful for a while where nobody knows."""

import asyncio

import pytest

from crossfade.errors import OutcomeUnknownError, UpstreamFailedError, WritesHeldError
from crossfade.execution.calls import CallFailedError
from crossfade.execution.untracked import UntrackedWrites
from crossfade.ledger.transitions.moves import retire
from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.testing.manual_clock import ManualClock
from tests.builders import ANSWERS_WITHIN_SECONDS, DECISION, make_node
from tests.fake_services import Does, put_value
from tests.settling import start_live

KEY: Key = (1,)


async def test_in_off_a_write_goes_to_legacy_alone() -> None:
    """No intent, no mirror, no ledger."""
    node = make_node()
    node.ledger.down = True

    answer = await node.write(put_value(KEY, "fresh"), KEY)

    assert (answer.status, node.untracked.ended()) == (200, True)
    assert node.world.services[Side.LEGACY].calls[0].intent is None
    assert node.world.values(Side.NEW) == {}


async def test_a_retired_migration_writes_new_alone() -> None:
    """Legacy no longer follows."""
    node = await start_live(values={KEY: "old"})
    await node.move(Stage.COMPLETED)
    await node.ledger.transact(lambda rows: retire(rows, DECISION))

    await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    assert node.world.values(Side.NEW) == {KEY: "fresh"}
    assert node.world.values(Side.LEGACY) == {KEY: "old"}


async def test_a_node_that_cannot_count_does_not_write() -> None:
    """Without the count the barrier could not know when such writes have ended."""
    node = make_node()
    node.writer.untracked = None

    with pytest.raises(WritesHeldError):
        await node.write(put_value(KEY, "fresh"), KEY)

    assert node.world.services[Side.LEGACY].calls == []


async def test_a_write_under_way_has_not_ended() -> None:
    """From before the call to its answer."""
    node = make_node()
    service = node.world.services[Side.LEGACY]
    service.plan.append(Does.HANG)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()
    under_way = node.untracked.ended()

    service.go_on()
    await caller

    assert (under_way, node.untracked.ended()) == (False, True)


@pytest.mark.parametrize(
    ("does", "error", "ended"),
    [
        (Does.ACT, None, True),
        (Does.REFUSE, None, True),
        (Does.FAIL_ACTED, None, True),
        (Does.UNREACHABLE, UpstreamFailedError, True),
        (Does.BAD_GATEWAY, None, False),
        (Does.CUT, OutcomeUnknownError, False),
        (Does.LATE, OutcomeUnknownError, False),
        (Does.CRASH, RuntimeError, False),
    ],
)
async def test_a_write_without_an_answer_is_doubtful_for_a_while(
    does: Does, error: type[Exception] | None, *, ended: bool
) -> None:
    """Until `answers_within` has passed on our own clock, it may still be applied."""
    node = make_node()
    node.world.services[Side.LEGACY].plan.append(does)

    result = (await asyncio.gather(node.write(put_value(KEY, 1), KEY), return_exceptions=True))[0]

    assert isinstance(result, error) if error else not isinstance(result, BaseException)
    assert node.untracked.ended() is ended
    node.world.clock.jump(ANSWERS_WITHIN_SECONDS - 0.001)
    assert node.untracked.ended() is ended
    node.world.clock.jump(0.001)
    assert node.untracked.ended()


async def test_a_caller_that_gives_up_leaves_a_doubtful_write() -> None:
    """Cancelling the call does not take it back."""
    node = make_node()
    node.world.services[Side.LEGACY].plan.append(Does.HANG)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()

    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)

    assert node.untracked.seconds_left() == ANSWERS_WITHIN_SECONDS


def test_a_node_that_died_is_waited_for() -> None:
    """Its writes may be in flight: counted from when this process first knew (rule 13)."""
    clock = ManualClock()
    untracked = UntrackedWrites(clock, 10.0, dead_nodes=True)

    clock.jump(9.0)
    left = untracked.seconds_left()
    clock.jump(1.0)

    assert (left, untracked.ended()) == (1.0, True)


def test_a_later_doubt_is_counted_from_its_own_time() -> None:
    """The last doubtful write counts."""
    clock = ManualClock()
    untracked = UntrackedWrites(clock, 10.0, dead_nodes=False)
    for _ in range(2):
        with pytest.raises(CallFailedError), untracked.write():
            raise CallFailedError("cut.", sent=True)
        clock.jump(6.0)

    assert untracked.seconds_left() == 4.0
