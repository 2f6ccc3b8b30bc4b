"""The memory twin of a transaction over several records: all of them, or none."""

from collections.abc import Sequence
from dataclasses import replace

from crossfade.store.base import OK, PutResult, PutStatus, Together
from crossfade.store.memory import MemoryDatabase


def put_together(database: MemoryDatabase, records: Sequence[Together]) -> PutResult:
    """Set every row, then ask what the constraints say; puts everything back where one objects."""
    disk = database.disk
    rows_before = {name: dict(rows) for name, rows in disk.tables.items()}
    fences_before = dict(disk.fences)
    result = _put(database, records)
    if result.status is not PutStatus.OK:
        disk.fences = fences_before
        disk.tables.update(rows_before)
    return result


def _put(database: MemoryDatabase, records: Sequence[Together]) -> PutResult:
    for one in records:
        epoch = database.check_epoch(one.fence)
        if epoch.status is not PutStatus.OK:
            return epoch
        kept = database.keep_token(one.name.entity, one.name.key, one.fence)
        if kept.status is not PutStatus.OK:
            return kept
    for one in records:
        store = database.stores[one.name.entity]
        record = store.without_pointers(one.record) if one.parked else one.record
        done = store.set_row(one.name.key, record)
        if done.status is not PutStatus.OK:
            return replace(done, of=one.name.entity)
    for one in records:
        found = database.stores[one.name.entity].what_holds(one.name.key)
        if found.status is not PutStatus.OK:
            return replace(found, of=one.name.entity)
    return OK
