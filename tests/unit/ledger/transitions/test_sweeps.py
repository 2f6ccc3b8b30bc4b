"""Sweeps in the ledger: who asked for them, how they end, and what a chunk may not hide."""

from dataclasses import replace
from functools import partial

import pytest

from crossfade.errors import GateError
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import RowsView
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.ledger.transitions.sweeps import (
    BadRow,
    ChunkTally,
    OpenedChunk,
    Sweep,
    SweepState,
    bound_sweep,
    close_sweep_chunk,
    finish_sweep,
    look_sweep,
    open_sweep_chunk,
    pause_sweep,
    renew_sweep,
    set_rows_aside,
    start_sweep,
)
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.model.key_state import NEEDS_OTHERS, DirtyReason, KeyState
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage

THINGS = "things"


def _ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    state = MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True)
    ledger.apply(lambda rows: rows.set_migration(state))
    return ledger


def _started(ledger: MemoryLedger) -> Sweep:
    return ledger.apply(partial(start_sweep, entity=THINGS, at=1.0))


def _opened(ledger: MemoryLedger, range_: KeyRange = EVERY_KEY) -> OpenedChunk:
    sweep = ledger.look(partial(look_sweep, entity=THINGS))
    assert sweep is not None
    return ledger.apply(partial(open_sweep_chunk, sweep=sweep, range_=range_, owner="node-1"))


def _void(ledger: MemoryLedger) -> None:
    state = ledger.look(lambda rows: rows.entity(THINGS))
    voided = replace(state, generation=state.generation + 1, coverage=())
    ledger.apply(lambda rows: rows.set_entity(voided))


def _mark(ledger: MemoryLedger, key: Key) -> None:
    mark = partial(mark_dirty, keys=[key], reason=DirtyReason.WRITE, at=1.0)
    ledger.apply(partial(mark, entity=THINGS))


def _set_aside(ledger: MemoryLedger, opened: OpenedChunk, *bad: BadRow) -> tuple[BadRow, ...]:
    return ledger.apply(partial(set_rows_aside, chunk=opened.chunk, bad_rows=bad, at=1.0))


def test_a_sweep_is_kept_as_it_was_written() -> None:
    """All its fields, the bound's key among them."""
    ledger = _ledger()
    sweep = _started(ledger)
    ledger.apply(partial(bound_sweep, sweep=sweep, bound=("de", 17), rows_estimate=5))

    kept = ledger.look(partial(look_sweep, entity=THINGS))

    assert kept == replace(sweep, bounded=True, bound=("de", 17), rows_estimate=5)


def test_a_bound_is_fixed_once() -> None:
    """A second one, and one of another generation, change nothing."""
    ledger = _ledger()
    sweep = _started(ledger)
    ledger.apply(partial(bound_sweep, sweep=sweep, bound=(5,), rows_estimate=5))
    ledger.apply(partial(bound_sweep, sweep=sweep, bound=(9,), rows_estimate=9))
    stale = replace(sweep, generation=7)
    ledger.apply(partial(bound_sweep, sweep=stale, bound=(1,), rows_estimate=1))

    kept = ledger.look(partial(look_sweep, entity=THINGS))
    assert kept is not None
    assert kept.bound == (5,)


def test_only_a_sweep_that_runs_can_be_paused() -> None:
    """One that was never asked for, or is done, says so."""
    ledger = _ledger()
    with pytest.raises(GateError, match="never started"):
        ledger.apply(partial(pause_sweep, entity=THINGS))
    _started(ledger)
    opened = _opened(ledger)
    ledger.apply(partial(close_sweep_chunk, chunk=opened.chunk, tally=ChunkTally(3), at=2.0))

    with pytest.raises(GateError, match="done"):
        ledger.apply(partial(pause_sweep, entity=THINGS))


def test_no_chunk_opens_for_a_sweep_that_rests() -> None:
    """Until it is started again."""
    ledger = _ledger()
    _started(ledger)
    ledger.apply(partial(pause_sweep, entity=THINGS))

    with pytest.raises(GateError, match="not running"):
        _opened(ledger)
    _started(ledger)
    assert _opened(ledger).authority is Side.LEGACY


def test_no_chunk_opens_for_a_generation_that_is_over() -> None:
    """The sweep has to start anew first."""
    ledger = _ledger()
    _started(ledger)
    _void(ledger)

    with pytest.raises(GateError, match="voided"):
        _opened(ledger)
    renewed = ledger.apply(partial(renew_sweep, entity=THINGS, at=5.0))
    assert renewed is not None
    assert (renewed.generation, renewed.bounded, renewed.started_at) == (1, False, 5.0)
    assert _opened(ledger).chunk.generation == 1


def test_no_chunk_opens_while_keys_are_held() -> None:
    """Their newest values are on the mirror."""
    ledger = _ledger()
    _started(ledger)
    held = replace(ledger.migration, holds_keys=True)
    ledger.apply(lambda rows: rows.set_migration(held))

    with pytest.raises(GateError, match="held"):
        _opened(ledger)


def test_a_done_sweep_is_renewed_and_a_paused_one_stays_paused() -> None:
    """When coverage was voided."""
    for state, expected in (
        (SweepState.DONE, SweepState.RUNNING),
        (SweepState.PAUSED, SweepState.PAUSED),
    ):
        ledger = _ledger()
        _started(ledger)
        document = ledger.look(lambda rows: rows.document("sweeps", THINGS))
        written = {**document, "state": state.value}
        ledger.apply(lambda rows, value=written: rows.set_document("sweeps", THINGS, value))  # type: ignore[misc] # value is bound
        _void(ledger)

        renewed = ledger.apply(partial(renew_sweep, entity=THINGS, at=5.0))
        assert renewed is not None
        assert renewed.state is expected


def test_a_sweep_is_not_done_while_a_chunk_is_left_behind() -> None:
    """Though every key is covered: the chunk's puts may still be under way."""
    ledger = _ledger()
    _started(ledger)
    whole, part = _opened(ledger), _opened(ledger, KeyRange((3,), (5,)))
    close = partial(close_sweep_chunk, tally=ChunkTally(), at=2.0)

    ledger.apply(partial(close, chunk=whole.chunk))
    finish = partial(finish_sweep, entity=THINGS, at=3.0)
    still = ledger.apply(finish)
    ledger.apply(partial(close, chunk=part.chunk))
    done = ledger.apply(finish)

    assert still is not None
    assert done is not None
    assert (still.state, done.state) == (SweepState.RUNNING, SweepState.DONE)


def test_a_bad_row_is_quarantined_with_its_reason() -> None:
    """Before its range is covered."""
    ledger = _ledger()
    _started(ledger)
    opened = _opened(ledger)
    bad = BadRow((3,), "a constraint", final=True)

    assert _set_aside(ledger, opened, bad) == (bad,)
    state = ledger.look(lambda rows: rows.key(THINGS, (3,)))
    assert (state.dirty, state.quarantine) == (True, "a constraint")


def test_a_bad_row_that_was_touched_since_is_left_to_convergence() -> None:
    """What the chunk read is old."""
    ledger = _ledger()
    _started(ledger)
    opened = _opened(ledger)
    _mark(ledger, (3,))

    assert _set_aside(ledger, opened, BadRow((3,), "a constraint", final=True)) == ()
    state = ledger.look(lambda rows: rows.key(THINGS, (3,)))
    assert (state.dirty, state.quarantine) == (True, None)


def test_a_bad_row_is_never_hidden_by_rows_that_were_forgotten() -> None:
    """A floor above the chunk's token looks like a touch: the key is dirty all the same."""
    ledger = _ledger()
    _started(ledger)
    opened = _opened(ledger)
    state = ledger.look(lambda rows: rows.entity(THINGS))
    ledger.apply(lambda rows: rows.set_entity(replace(state, floor=rows.next_sequence())))

    _set_aside(ledger, opened, BadRow((3,), "a constraint", final=True))

    assert ledger.look(lambda rows: rows.key(THINGS, (3,))).dirty


def test_a_row_in_the_way_of_another_makes_both_dirty() -> None:
    """Convergence then waits for the one to move."""
    ledger = _ledger()
    _started(ledger)
    opened = _opened(ledger)

    _set_aside(ledger, opened, BadRow((3,), "unique", final=False, other_key=(8,)))

    for key in ((3,), (8,)):
        state = ledger.look(partial(_key_state, key=key))
        assert (state.dirty, state.quarantine) == (True, None)


def _key_state(rows: RowsView, key: Key) -> KeyState:
    return rows.key(THINGS, key)


@pytest.mark.parametrize(
    ("quarantine", "waived", "again"),
    [
        (f"{NEEDS_OTHERS}no such parent", False, True),
        (f"{NEEDS_OTHERS}no such parent", True, False),
        ("too long", False, False),
    ],
)
def test_a_finished_sweep_gives_keys_that_lacked_a_parent_another_chance(
    quarantine: str, *, waived: bool, again: bool
) -> None:
    """Of whichever entity; it may just have copied what they need."""
    ledger = _ledger()
    child = KeyState("children", (1,), seq=7, quarantine=quarantine, waived=waived)
    ledger.apply(lambda rows: rows.set_key(child))
    _started(ledger)
    opened = _opened(ledger)

    ledger.apply(partial(close_sweep_chunk, chunk=opened.chunk, tally=ChunkTally(), at=2.0))

    after = ledger.look(lambda rows: rows.key("children", (1,)))
    assert after.dirty
    assert (after.quarantine is None) is again
