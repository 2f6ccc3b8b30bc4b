"""One SQL database that a migration copies into: its connections, epoch row and fence table."""

from typing import TypeVar

from crossfade.errors import ConfigurationError, RightMissingError, StoreError
from crossfade.store.base import PutStatus, StoreEpoch
from crossfade.store.dialects import dialect_of
from crossfade.store.sql_connections import SqlConnections, Work
from crossfade.store.sql_dialect import Cursor, SqlDialect, ViolationError
from crossfade.store.sql_fence import SqlFence
from crossfade.store.sql_links import SchemaLinks
from crossfade.store.sql_options import SqlOptions
from crossfade.store.sql_parts import StoreParts
from crossfade.store.sql_pointing import RowsThatPoint

Result = TypeVar("Result")


class SqlDatabase:
    """A `FencedDatabase`; the stores of all entities in one database share it.

    Making one opens nothing. Once it is known which ledger this process serves (`SqlDatabases`,
    or whoever raises or adopts an epoch), its stores refuse puts into another ledger's database.

    Raises:
        ConfigurationError: the URL names no database that this release knows.

    """

    def __init__(self, url: str, *, migration: str, options: SqlOptions | None = None) -> None:
        limits = options or SqlOptions()
        self.url = url
        self.options = limits
        self.dialect: SqlDialect = dialect_of(url, limits)
        self.connections = SqlConnections(self.dialect, limits)
        self.fences = SqlFence(migration, self.dialect)
        self.schema = SchemaLinks(self.dialect.name)
        self.points = RowsThatPoint(self.schema, self.dialect)
        self.parts: dict[tuple[str, str], StoreParts] = {}
        """What puts together need of each opened store, by group and entity."""
        self.ledger: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """See `FencedDatabase.name`."""
        return self.dialect.name

    async def epoch(self) -> StoreEpoch | None:
        """See `FencedDatabase.epoch`."""
        return await self.connections.read(self.fences.epoch)

    async def raise_epoch(self, wanted: StoreEpoch) -> StoreEpoch:
        """See `FencedDatabase.raise_epoch`."""
        held = await self._write(lambda cursor: self.fences.raise_epoch(cursor, wanted))
        self.ledger = (held.ledger_id, held.incarnation)
        return held

    async def adopt(self, wanted: StoreEpoch) -> None:
        """See `FencedDatabase.adopt`."""
        await self._write(lambda cursor: self.fences.set_epoch(cursor, wanted))
        self.ledger = (wanted.ledger_id, wanted.incarnation)

    async def highest_token(self) -> int:
        """See `FencedDatabase.highest_token`."""
        return await self.connections.read(self.fences.highest_token)

    async def prepare(self) -> None:
        """See `FencedDatabase.prepare`."""
        if not await self._is_prepared():
            await self._write(self.fences.prepare)

    async def remove(self) -> None:
        """See `FencedDatabase.remove`; without the tables there is nothing to remove."""
        await self.prepare()
        await self._write(self.fences.remove)

    def ddl(self) -> str:
        """See `FencedDatabase.ddl`."""
        return self.fences.ddl()

    async def close(self) -> None:
        """See `FencedDatabase.close`."""
        await self.connections.close()

    async def table_names(self) -> tuple[str, ...]:
        """The tables that a definition may name, in order; for `doctor` and `init`."""
        return await self.connections.read(self._table_names)

    async def _is_prepared(self) -> bool:
        """Whether the tables are there: making what is there may need a right that nobody has."""
        try:
            await self.connections.read(self.fences.look)
        except RightMissingError:
            raise
        except ConfigurationError:
            return False
        return True

    def _table_names(self, cursor: Cursor) -> tuple[str, ...]:
        tables = self.dialect.tables(cursor)
        return tuple(sorted(name for name, is_view in tables.items() if not is_view))

    async def _write(self, work: Work[Result]) -> Result:
        try:
            try:
                return await self.connections.write(lambda: work)
            except ViolationError as error:
                if error.violation.status is not PutStatus.UNIQUE:
                    raise
                # Another process made the same row or table just now: look once more.
                return await self.connections.write(lambda: work)
        except ViolationError as error:
            raise StoreError(
                f"the database {self.name} refuses what the fence tables need: {error}. "
                f"Run `crossfade doctor`."
            ) from error
