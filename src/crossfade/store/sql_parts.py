"""What a transaction over several entities needs of the store of each."""

from dataclasses import dataclass

from crossfade.store.sql_binding import RecordBinder
from crossfade.store.sql_putting import SqlPutting
from crossfade.store.sql_reading import SqlReading


@dataclass(frozen=True, slots=True)
class StoreParts:
    """One entity's table in one database, as its store works on it."""

    entity: str
    reading: SqlReading
    binder: RecordBinder
    putting: SqlPutting
