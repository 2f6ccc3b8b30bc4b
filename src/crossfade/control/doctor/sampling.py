"""A sample of records, spread over the whole of a table."""

from crossfade.model.key import Key, KeyRange
from crossfade.store.base import Record, RecordReader

PAGES = 10
"""Places of the table that are looked at."""


async def sample_records(store: RecordReader, records_max: int) -> list[tuple[Key, Record]]:
    """At most so many records, from places at about equal distance.

    Raises:
        StoreUnreachableError: no answer.
        StoreError: the store failed.

    """
    per_page = max(1, records_max // PAGES)
    step = max(per_page, await store.rows_estimate() // PAGES)
    found: list[tuple[Key, Record]] = []
    lower: Key | None = None
    while len(found) < records_max:
        rows_max = min(per_page, records_max - len(found))
        found += await store.read_range(KeyRange(lower, None), rows_max)
        lower = await store.key_after(lower, step)
        if lower is None:
            break
    return found
