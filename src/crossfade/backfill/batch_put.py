"""Put many rows at once; what the store refuses is narrowed down to the bad rows by bisection."""

import asyncio
from collections.abc import Sequence

from crossfade.errors import CrossfadeError
from crossfade.ledger.transitions.sweeps import BadRow
from crossfade.model.key import Key
from crossfade.store.base import Digest, Fence, PutResult, PutStatus, Record, RecordWriter

Row = tuple[Key, Record]


class EpochFencedError(CrossfadeError):
    """The store has another epoch than the chunk: it covers nothing, and is run again."""


async def put_rows(
    store: RecordWriter,
    rows: Sequence[Row],
    fence: Fence,
    seconds_max: float,
    digests: Sequence[Digest] | None = None,
) -> list[BadRow]:
    """Put all rows but the bad ones, which are returned; rows fenced by a higher token are fine.

    At most two puts for each bad row and level of bisection. Survives a crash between two puts:
    repeating them under a higher token does no harm.

    Raises:
        EpochFencedError: the store's epoch is another one; nothing more was put.
        StoreOutcomeUnknownError: a batch may still be applied.
        StoreUnreachableError: a batch was certainly not applied, earlier ones may have been.
        TimeoutError: no answer in time; the outcome is unknown.

    """
    bad: list[BadRow] = []
    waiting: list[slice] = [slice(0, len(rows))] if rows else []
    while waiting:
        part = waiting.pop()
        batch = rows[part]
        theirs = None if digests is None else digests[part]
        async with asyncio.timeout(seconds_max):
            result = (await store.put_many(batch, fence, theirs)).result
        if result.status is PutStatus.OK:
            continue
        if result.status is PutStatus.FENCED_EPOCH:
            raise EpochFencedError("the epoch changed while a chunk was copied.")
        if len(batch) == 1:
            bad += _bad_row(batch[0][0], result)
            continue
        middle = part.start + len(batch) // 2
        waiting += [slice(middle, part.stop), slice(part.start, middle)]
    return bad


def _bad_row(key: Key, result: PutResult) -> list[BadRow]:
    if result.status is PutStatus.FENCED:
        return []
    final = result.status is PutStatus.REFUSED
    return [BadRow(key, result.reason or result.status.value, final, result.other_key)]
