"""What the coordinator may do next: leave and enter `off`, the barrier, a flip, its undoing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from crossfade.ledger.transitions import flips, moves
from crossfade.model.migration_state import Flip, FlipKind, FlipPhase
from crossfade.model.stage import Stage
from tests.unit.ledger.protocol_world import (
    DECISION,
    Actor,
    Step,
    World,
    attribute,
    index_of,
    with_item,
)


def coordinator(world: World) -> Iterator[Step]:
    """Moves out of and into `off`, the barrier, and one flip with its undoing."""
    actor = world.coordinator
    if not world.scenario.flips and not world.scenario.off_write:
        return
    if actor.at == "idle":
        yield from _coordinator_begins(world)
    elif actor.at != "finished":
        yield from _coordinator_goes_on(world, actor)


def _coordinator_begins(world: World) -> Iterator[Step]:
    state = world.tables.migration
    choices: list[tuple[str, Callable[..., Any]]] = []
    if state.stage is Stage.OFF:
        choices.append(("leaves off", partial(moves.move_stage, wanted=Stage.SHADOW)))
    elif not state.barrier_passed:
        if world.off_write != "flying" or not world.scenario.waits_for_off_writes:
            choices.append(("begins the barrier", partial(flips.begin_barrier)))
    elif world.scenario.flips:
        choices.append(("begins the flip", partial(flips.begin_flip, wanted=Stage.LIVE)))
    if world.scenario.reenters_off and state.decision == 1:
        choices.append(("enters off", partial(moves.move_stage, wanted=Stage.OFF)))
    for label, transition in choices:
        after = world.copy()
        result = after.run(partial(transition, decision=DECISION))
        if isinstance(result, Flip):
            at = "holding" if result.phase is FlipPhase.HOLDING else "fencing mirror"
            after.coordinator = Actor(at).remembering(result)
        yield label, after


def _coordinator_goes_on(world: World, actor: Actor) -> Iterator[Step]:
    flip: Flip = actor.memory
    authority = index_of(world.tables.migration.authority)
    after = world.copy()
    if actor.at == "holding":
        if not after.run(partial(attribute(flips, "drained"), flip=flip)):
            fencing = replace(flip, phase=FlipPhase.FENCING)
            after.coordinator = Actor("fencing authority").remembering(fencing)
            yield "flip goes on: nothing is open", after
    elif actor.at.startswith(("fencing", "undoing")):
        by = 1 if actor.at.startswith("fencing") else 2
        store = authority if actor.at.endswith("authority") else 1 - authority
        after.epochs = with_item(world.epochs, store, max(world.epochs[store], flip.epoch + by))
        after.coordinator = actor._replace(at=_NEXT[actor.at])
        yield f"{actor.at}: epoch {flip.epoch + by}", after
    elif actor.at in ("committing", "committing undo"):
        if actor.at == "committing":
            after.run(partial(flips.commit_flip, flip=flip, decision=DECISION))
        else:
            after.run(partial(flips.commit_undo, flip=flip, decision=DECISION))
        after.coordinator = Actor("idle" if flip.kind is FlipKind.BARRIER else "finished")
        yield f"{actor.at} is done", after
    if flip.kind is FlipKind.FLIP and actor.at in _MAY_UNDO:
        yield _undoing(world, flip)


def _undoing(world: World, flip: Flip) -> Step:
    after = world.copy()
    undoing = after.run(partial(flips.undo_flip, flip=flip, decision=DECISION))
    after.coordinator = (
        Actor("finished") if undoing is None else Actor("undoing authority").remembering(undoing)
    )
    return "flip is undone", after


_NEXT = {
    "fencing authority": "fencing mirror",
    "fencing mirror": "committing",
    "undoing authority": "undoing mirror",
    "undoing mirror": "committing undo",
}
_MAY_UNDO = {"holding", "fencing authority", "fencing mirror", "committing"}
