"""Sweeps: who asked for an entity to be copied, how far that has come, and its chunks."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from crossfade.errors import GateError
from crossfade.ledger.rows import Rows, RowsView
from crossfade.ledger.transitions.chunks import close_chunk, open_chunk
from crossfade.ledger.transitions.keys import (
    mark_dirty,
    quarantine_chunk_row,
    retry_blocked_keys,
)
from crossfade.model.chunk import Chunk
from crossfade.model.coverage import is_complete
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side

SWEEPS = "sweeps"
"""Kind of the documents that hold sweeps, one for each entity."""


class SweepState(StrEnum):
    """What the user wants of a sweep, and whether that is done."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    """Every key was covered in this generation; a new generation starts the sweep anew."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One entity's sweep; its progress is the entity's coverage, the numbers are for people."""

    entity: str
    state: SweepState
    generation: int
    started_at: float
    """Wall-clock seconds."""
    bounded: bool = False
    """Whether the upper bound was fixed (to None where the authority had no record)."""
    bound: Key | None = None
    """The authority's highest key when the sweep began; newer keys come by intents."""
    rows_estimate: int = 0
    rows: int = 0
    """Rows read from the authority in chunks that were closed."""
    quarantined: int = 0
    """Rows that could not be copied; each key is dirty, with its reason."""
    extra: int = 0
    """Keys of the mirror that the authority does not have; converge deletes them."""
    finished_at: float | None = None
    rows_per_second_max: float | None = None
    """The user's limit; None is none."""


@dataclass(frozen=True, slots=True)
class OpenedChunk:
    """A chunk, and the side that had authority when it opened."""

    chunk: Chunk
    authority: Side


@dataclass(frozen=True, slots=True)
class ChunkTally:
    """What a chunk found, counted into its sweep when it closes."""

    rows: int = 0
    quarantined: int = 0
    extra: int = 0


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that a chunk could not copy."""

    key: Key
    reason: str
    """In words that hold no value of the record."""
    final: bool
    """False: another key is in the way, so converge tries again once that has moved."""
    other_key: Key | None = None
    """The key that has the value which must be unique."""


def look_sweep(rows: RowsView, entity: str) -> Sweep | None:
    """The entity's sweep, or None where nobody ever asked for one."""
    value = rows.document(SWEEPS, entity)
    return None if value is None else _decoded(entity, value)


def start_sweep(
    rows: Rows, entity: str, at: float, rows_per_second_max: float | None = None
) -> Sweep:
    """Ask for an entity to be copied, or go on with a paused sweep; may be repeated.

    Nothing is copied before the barrier has passed; the sweep waits for it.
    """
    generation = rows.entity(entity).generation
    sweep = look_sweep(rows, entity)
    if sweep is None or sweep.generation != generation:
        sweep = _anew(entity, generation, at)
    elif sweep.state is SweepState.PAUSED:
        sweep = replace(sweep, state=SweepState.RUNNING)
    return _write(rows, replace(sweep, rows_per_second_max=rows_per_second_max))


def pause_sweep(rows: Rows, entity: str) -> Sweep:
    """Copy nothing more until the sweep is started again; a chunk under way is finished.

    Raises:
        GateError: there is no sweep, or it is not running.

    """
    sweep = look_sweep(rows, entity)
    if sweep is None or sweep.state is SweepState.DONE:
        was = "done" if sweep is not None else "never started"
        raise GateError(
            f"the sweep of {entity} is {was}. Run `crossfade backfill status` to see all sweeps."
        )
    return _write(rows, replace(sweep, state=SweepState.PAUSED))


def renew_sweep(rows: Rows, entity: str, at: float) -> Sweep | None:
    """Start anew where coverage was voided since (a new mapping, a lost side, `off`).

    A paused sweep stays so. Returns the sweep as it is now.
    """
    sweep = look_sweep(rows, entity)
    generation = rows.entity(entity).generation
    if sweep is None or sweep.generation == generation:
        return sweep
    done = sweep.state is SweepState.DONE
    state = SweepState.RUNNING if done else sweep.state
    anew = replace(_anew(entity, generation, at), state=state)
    return _write(rows, replace(anew, rows_per_second_max=sweep.rows_per_second_max))


def bound_sweep(rows: Rows, sweep: Sweep, bound: Key | None, rows_estimate: int) -> None:
    """Fix the upper bound for good; a sweep of another generation is left alone."""
    current = look_sweep(rows, sweep.entity)
    if current is None or current.generation != sweep.generation or current.bounded:
        return
    _write(rows, replace(current, bounded=True, bound=bound, rows_estimate=rows_estimate))


def open_sweep_chunk(rows: Rows, sweep: Sweep, range_: KeyRange, owner: str) -> OpenedChunk:
    """Open a chunk for a sweep that is still wanted, in the generation that it began in.

    Raises:
        GateError: the sweep is not running any more, keys are held (their newest value is on the
            mirror, which a chunk would overwrite), or nothing may be copied now.

    """
    current = look_sweep(rows, sweep.entity)
    if current is None or current.state is not SweepState.RUNNING:
        raise GateError(f"the sweep of {sweep.entity} is not running. Start it again.")
    if current.generation != rows.entity(sweep.entity).generation:
        raise GateError(f"the coverage of {sweep.entity} was voided: its sweep starts anew.")
    migration = rows.migration()
    if migration.holds_keys:
        raise GateError(
            "keys are held since the forced roll-back, so nothing is copied. "
            "Run `crossfade dirty --held` to see them."
        )
    return OpenedChunk(open_chunk(rows, sweep.entity, range_, owner), migration.authority)


def set_rows_aside(
    rows: Rows, chunk: Chunk, bad_rows: Iterable[BadRow], at: float
) -> tuple[BadRow, ...]:
    """Make sure that no row which a chunk could not copy is covered silently.

    A row that cannot be copied is quarantined, unless its key was touched after the chunk opened:
    then what the chunk read is old, and converge decides on what the authority has now. A row
    that only another key stands in the way of is dirty, and so is that other key.

    Returns those that were quarantined. To be called before the chunk closes.
    """
    quarantined: list[BadRow] = []
    for bad in bad_rows:
        if bad.final and rows.key(chunk.entity, bad.key).seq < chunk.token:
            quarantine_chunk_row(rows, chunk.entity, bad.key, bad.reason, at)
            quarantined.append(bad)
        else:
            keys = (bad.key,) if bad.other_key is None else (bad.key, bad.other_key)
            mark_dirty(rows, chunk.entity, keys, DirtyReason.CHUNK, at)
    return tuple(quarantined)


def close_sweep_chunk(rows: Rows, chunk: Chunk, tally: ChunkTally, at: float) -> bool:
    """Close a chunk and count it into its sweep; a sweep that covers every key is done.

    Keys that only the mirror has are dirty already. Returns whether the range counts
    (`close_chunk`).
    """
    before = rows.entity(chunk.entity).coverage
    if not close_chunk(rows, chunk, (), at):
        return False
    sweep = look_sweep(rows, chunk.entity)
    if sweep is None or sweep.generation != chunk.generation:
        return True
    if rows.entity(chunk.entity).coverage == before:
        # A range that was covered already was counted when that was done.
        tally = ChunkTally()
    sweep = replace(
        sweep,
        rows=sweep.rows + tally.rows,
        quarantined=sweep.quarantined + tally.quarantined,
        extra=sweep.extra + tally.extra,
    )
    _write(rows, _finished(rows, sweep, at))
    return True


def finish_sweep(rows: Rows, entity: str, at: float) -> Sweep | None:
    """Note that nothing is left to copy, where that is so; returns the sweep as it is now."""
    sweep = look_sweep(rows, entity)
    if sweep is None or sweep.generation != rows.entity(entity).generation:
        return sweep
    finished = _finished(rows, sweep, at)
    return sweep if finished == sweep else _write(rows, finished)


def _finished(rows: Rows, sweep: Sweep, at: float) -> Sweep:
    """The sweep, done where every key is covered and no chunk was left behind.

    What it has copied may be what keys of other entities were waiting for.
    """
    complete = is_complete(rows.entity(sweep.entity).coverage)
    if not complete or rows.open_chunks(sweep.entity) or sweep.state is SweepState.DONE:
        return sweep
    retry_blocked_keys(rows, at)
    return replace(sweep, state=SweepState.DONE, finished_at=at)


def _anew(entity: str, generation: int, at: float) -> Sweep:
    return Sweep(entity, SweepState.RUNNING, generation, started_at=at)


def _write(rows: Rows, sweep: Sweep) -> Sweep:
    rows.set_document(
        SWEEPS,
        sweep.entity,
        {
            "state": sweep.state.value,
            "generation": sweep.generation,
            "started_at": sweep.started_at,
            "bounded": sweep.bounded,
            "bound": None if sweep.bound is None else list(sweep.bound),
            "rows_estimate": sweep.rows_estimate,
            "rows": sweep.rows,
            "quarantined": sweep.quarantined,
            "extra": sweep.extra,
            "finished_at": sweep.finished_at,
            "rows_per_second_max": sweep.rows_per_second_max,
        },
    )
    return sweep


def _decoded(entity: str, value: dict[str, Any]) -> Sweep:
    bound = value["bound"]
    fields = {
        **value,
        "state": SweepState(value["state"]),
        "bound": None if bound is None else tuple(bound),
    }
    return Sweep(entity=entity, **fields)
