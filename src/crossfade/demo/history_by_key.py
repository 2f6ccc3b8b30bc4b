"""Sorts a history by key: for each key all that was written to it and all that was seen there."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from crossfade.demo.history import WITHOUT_EFFECT, Kind, Operation, Outcome
from crossfade.demo.key_history import (
    KeyHistory,
    Read,
    Value,
    Write,
    finally_holds,
    initially,
)

EntityKey = tuple[str, int]
FinalValues = dict[EntityKey, str]

NOT_FOUND = 404


def histories_by_key(
    operations: Iterable[Operation],
    initial: Mapping[EntityKey, str],
    final: Mapping[EntityKey, str],
) -> tuple[dict[EntityKey, KeyHistory], dict[str, list[int]]]:
    """Put each operation under its key, between what the key held first and last.

    A create whose answer was lost has no key; wherever its value turns up, it was written there.
    The second result names the creates of which that is true for several keys.
    """
    writes: dict[EntityKey, list[Write]] = defaultdict(list)
    reads: dict[EntityKey, list[Read]] = defaultdict(list)
    unbound: dict[tuple[str, Value], Write] = {}
    for operation in operations:
        for key, read in _reads_of(operation):
            reads[operation.entity, key].append(read)
        write = _write_of(operation)
        if write is None:
            continue
        if operation.key is None:
            unbound[operation.entity, operation.value] = write
        else:
            writes[operation.entity, operation.key].append(write)
    histories = {}
    for entity_key in initial.keys() | final.keys() | writes.keys() | reads.keys():
        first, last = initial.get(entity_key), final.get(entity_key)
        histories[entity_key] = KeyHistory(
            [initially(first), *writes[entity_key]], [*reads[entity_key], finally_holds(last)]
        )
    return histories, _bind(histories, unbound)


def _bind(
    histories: dict[EntityKey, KeyHistory], unbound: dict[tuple[str, Value], Write]
) -> dict[str, list[int]]:
    keys_by_create: dict[str, list[int]] = defaultdict(list)
    for (entity, key), history in histories.items():
        for value in {read.value for read in history.reads}:
            write = unbound.get((entity, value))
            if write is not None:
                history.writes.append(write)
                keys_by_create[write.name].append(key)
    return {name: sorted(keys) for name, keys in keys_by_create.items() if len(keys) > 1}


def _reads_of(operation: Operation) -> Iterable[tuple[int, Read]]:
    if operation.outcome is not Outcome.ACKNOWLEDGED:
        return
    start, end = operation.start, operation.end
    if operation.kind is Kind.LIST:
        for key, value in operation.values.items():
            yield key, Read(operation.name, value, start, end)
    elif operation.key is not None and _saw_the_key(operation):
        yield operation.key, Read(operation.name, operation.value, start, end)


def _saw_the_key(operation: Operation) -> bool:
    # A delete that found nothing has seen that there was nothing.
    found_nothing = operation.kind is Kind.DELETE and operation.status == NOT_FOUND
    return operation.kind is Kind.READ or found_nothing


def _write_of(operation: Operation) -> Write | None:
    is_read = operation.kind in {Kind.READ, Kind.LIST} or _saw_the_key(operation)
    if is_read or operation.outcome in WITHOUT_EFFECT:
        return None
    is_certain = operation.outcome is Outcome.ACKNOWLEDGED
    end = operation.end if is_certain else math.inf
    return Write(operation.name, operation.value, operation.start, end)
