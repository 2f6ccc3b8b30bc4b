"""A sample of records, spread over the whole of a table, of which little is read."""

from operator import itemgetter

from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.store.base import Record, RecordReader

PAGES = 10
"""Places of the table that are looked at."""
STEP_ROWS_MAX = 10_000
"""Keys that are read to get from one place to the next, where no key can be computed."""


async def sample_records(store: RecordReader, records_max: int) -> list[tuple[Key, Record]]:
    """At most so many records, from places at about equal distance.

    Whole numbers are stepped over; other keys have to be read, so that of a very large table
    only the beginning is looked at.

    Raises:
        StoreUnreachableError: no answer.
        StoreError: the store failed.

    """
    per_page = max(1, records_max // PAGES)
    first = await store.keys_in_range(EVERY_KEY, 1)
    last = await store.last_key() if first else None
    if not first or last is None:
        return []
    low, high = first[0][0], last[0]
    if len(last) == 1 and isinstance(low, int) and isinstance(high, int):
        return await _by_number(store, (low, high), per_page, records_max)
    return await _by_reading(store, per_page, records_max)


async def _by_number(
    store: RecordReader, ends: tuple[int, int], per_page: int, records_max: int
) -> list[tuple[Key, Record]]:
    """From keys that divide the numbers between the first and the last evenly."""
    low, high = ends
    found: dict[Key, Record] = {}
    for page in range(PAGES):
        lower = (low - 1 + (high - low) * page // PAGES,) if page else None
        found |= dict(await store.read_range(KeyRange(lower, None), per_page))
    if len(found) < records_max:
        # Numbers that are not spread evenly: the rest from the beginning.
        for key, record in await store.read_range(EVERY_KEY, records_max):
            if len(found) < records_max:
                found.setdefault(key, record)
    return sorted(found.items(), key=itemgetter(0))


async def _by_reading(
    store: RecordReader, per_page: int, records_max: int
) -> list[tuple[Key, Record]]:
    step = min(STEP_ROWS_MAX, max(per_page, await store.rows_estimate() // PAGES))
    found: list[tuple[Key, Record]] = []
    lower: Key | None = None
    while len(found) < records_max:
        rows_max = min(per_page, records_max - len(found))
        found += await store.read_range(KeyRange(lower, None), rows_max)
        lower = await store.key_after(lower, step)
        if lower is None:
            break
    return found
