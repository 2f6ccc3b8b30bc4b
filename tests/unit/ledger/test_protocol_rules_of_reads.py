"""Rules 11 and 13 of the protocol: when the mirror may answer, and that no clock decides."""

from collections.abc import Callable
from functools import partial

import pytest

from crossfade.errors import WritesHeldError
from crossfade.ledger.transitions import chunks, keys, moves
from crossfade.model.key_state import DirtyReason
from crossfade.model.migration_state import Hold
from crossfade.model.plan import KeyStanding
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.unit.ledger.rule_steps import DECISION, ENTITY, KEY, Steps

# ---- rule 11: reads


def _wait_in_hold(steps: Steps) -> None:
    steps.begin_flip()


def _write(steps: Steps) -> None:
    steps.open()


def _lose_coverage(steps: Steps) -> None:
    steps.move(Stage.OFF)
    steps.move(Stage.SHADOW)


def _create(steps: Steps) -> None:
    steps.create()


def _hold(steps: Steps) -> None:
    steps.hold_key(Side.LEGACY)


@pytest.mark.parametrize(
    "happen",
    [_wait_in_hold, _write, _lose_coverage, _create, _hold],
    ids=lambda one: one.__name__.strip("_"),
)
def test_the_mirror_serves_only_a_key_that_agrees(happen: Callable[[Steps], None]) -> None:
    """Rule 11, cases 72 to 76: covered, clean, no open intent, nothing held or changing."""
    steps = Steps()
    assert steps.agreement().standing is KeyStanding.AGREES

    happen(steps)

    assert steps.agreement().standing is not KeyStanding.AGREES


def test_a_read_sees_that_its_key_was_written_and_converged_meanwhile() -> None:
    """Rule 11, cases 76, 77: the key agrees again, yet its seq is another one."""
    steps = Steps()
    routed = steps.agreement()
    steps.write()
    steps.converge()

    assert steps.agreement().standing is routed.standing
    assert steps.agreement() != routed


def test_a_read_sees_that_the_row_of_its_key_was_forgotten_meanwhile() -> None:
    """Rule 11: forgetting raises the floor, so no seq comes back that was seen before."""
    steps = Steps()
    routed = steps.agreement()
    steps.write()
    steps.converge()
    written = steps.agreement()

    assert steps.apply(partial(keys.forget_clean_keys, entity=ENTITY, limit=9)) == 1

    assert steps.key().seq >= written.seq > routed.seq
    assert steps.agreement().standing is KeyStanding.AGREES


def test_only_quiet_keys_are_forgotten() -> None:
    """Rule 11: a key on which somebody works keeps its row."""
    steps = Steps()
    steps.open()

    assert steps.apply(partial(keys.forget_clean_keys, entity=ENTITY, limit=9)) == 0


def test_a_read_sees_that_coverage_was_lost_and_won_meanwhile() -> None:
    """Rule 11, case 96: the generation is another one."""
    steps = Steps()
    routed = steps.agreement()
    steps.apply(partial(chunks.declare_entity, name=ENTITY, mapping_version="v2"))
    steps.close_chunk(steps.open_chunk())

    assert steps.agreement().standing is routed.standing
    assert steps.agreement() != routed


def test_a_read_of_the_authority_sees_a_flip_meanwhile() -> None:
    """Rule 11, cases 79 to 81: the epoch changes with every flip, and so does the authority."""
    steps = Steps()
    routed = steps.agreement()
    steps.flip()

    assert steps.agreement().epoch != routed.epoch
    assert steps.agreement().authority != routed.authority


def test_holds_stop_writes_in_their_scope_alone() -> None:
    """Rule 11 and `freeze`: of everything, of one entity, or of one key; set twice, there once."""
    steps = Steps()
    set_hold = partial(moves.set_hold, decision=DECISION)
    for _ in range(2):
        steps.apply(partial(set_hold, hold=Hold("hot", "a hot key", ENTITY, KEY)))
    with pytest.raises(WritesHeldError, match="a hot key"):
        steps.open(KEY)
    steps.close(steps.open((2,)))
    steps.apply(partial(set_hold, hold=Hold(moves.FREEZE, "stock-taking")))
    with pytest.raises(WritesHeldError, match="stock-taking"):
        steps.open((2,))

    for name in ("hot", moves.FREEZE):
        assert steps.apply(partial(moves.remove_hold, name=name, decision=DECISION))
    assert not steps.apply(partial(moves.remove_hold, name="hot", decision=DECISION))
    steps.write()


# ---- rule 13: no decision depends on a clock


@pytest.mark.parametrize("times", [(1.0, 2.0, 3.0, 4.0), (4.0, -3.0, 2.0, 0.0)])
def test_no_transition_decides_by_the_clock(times: tuple[float, ...]) -> None:
    """Rule 13: a clock that jumps back changes what people read, and nothing else."""
    steps = Steps()
    outcome = []
    for at in times:
        steps.apply(
            partial(keys.mark_dirty, entity=ENTITY, keys=[KEY], reason=DirtyReason.REPAIR, at=at)
        )
        grant = steps.apply(
            partial(keys.take_lease, entity=ENTITY, key=KEY, owner="me", at=at - 100)
        )
        assert grant is not None
        outcome.append((grant.lease.token, steps.release(grant), steps.key().seq))

    first = outcome[0][0]
    assert outcome == [(first + 2 * n, True, first + 2 * n) for n in range(4)]
