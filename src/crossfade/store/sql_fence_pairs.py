"""The pairs of digests that a database keeps beside its fences; see `FencePairs`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, and_, bindparam, func, literal_column, select, update

from crossfade.errors import ConfigurationError, StoreError, StoreUnreachableError
from crossfade.model.key import Key
from crossfade.store.base import PutStatus
from crossfade.store.digests import DigestPair, PairSum, PairSums, Start
from crossfade.store.sql_binding import key_text
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_dialect import Cursor, Raw, Row, ViolationError
from crossfade.store.sql_digest import engine_digest
from crossfade.store.sql_fence import FENCES
from crossfade.store.sql_statements import Statement, compiled

Result = TypeVar("Result")

KEYS_MAX = 500
"""Keys in one statement."""
SLICE_ROWS = 200_000
"""Fence rows that one statement adds up, where they are read by key."""

_A, _M = FENCES.c.authority_digest, FENCES.c.mirror_digest


class SqlFencePairs:
    """The pairs of one entity in one database."""

    def __init__(self, database: SqlDatabase, entity: str) -> None:
        engine = engine_digest(database.dialect)
        assert engine is not None  # noqa: S101 - `can_digest` was asked
        self._database = database
        self._engine = engine
        self._mine = (database.fences.migration, entity)
        self._own = and_(FENCES.c.migration == bindparam("m"), FENCES.c.entity == bindparam("e"))

    async def sums(self, bounds: Sequence[Key], start: Start = None) -> PairSums | None:
        """See `FencePairs.sums`; a snapshot for each part, since a pair is true at any time."""
        if bounds and self._engine.place(FENCES.c.key, bounds) is None:
            return None
        slices = await self._read(lambda cursor: self._engine.slices(cursor, FENCES.name))
        if slices is None:
            return await self._sum_by_key(bounds, str(start or ""))
        number = int(start or 0)
        if number >= len(slices):
            return PairSums(self._added(bounds, ()), None)
        statement = self._summed(self._rows(bounds).where(self._engine.in_slice()), "from", "to")
        rows = await self._fetched(statement, slices[number])
        left = number + 1 if number + 1 < len(slices) else None
        return PairSums(self._added(bounds, rows), left)

    async def pairs(self, keys: Sequence[Key]) -> Mapping[Key, DigestPair]:
        """See `FencePairs.pairs`."""
        by_text = {key_text(key): key for key in keys}
        found = await self._read(lambda cursor: self._pairs(cursor, list(by_text)))
        return {by_text[text]: pair for text, pair in found.items()}

    async def keep(self, pairs: Mapping[Key, DigestPair], epoch: int) -> int:
        """See `FencePairs.keep`."""
        if not pairs:
            return 0
        rows = [
            (pair.authority, pair.mirror, *self._mine, key_text(key))
            for key, pair in pairs.items()
        ]
        statement = compiled(
            update(FENCES)
            .where(self._own, FENCES.c.key == bindparam("k"))
            .values({_A: bindparam("a"), _M: bindparam("d")}),
            ("a", "d", "m", "e", "k"),
            self._database.dialect,
        )

        def work(cursor: Cursor) -> int:
            checked = self._database.fences.check_epoch(cursor, epoch, self._database.ledger)
            if checked.status is not PutStatus.OK:
                return 0
            cursor.executemany(statement.sql, statement.many(sorted(rows, key=_last)))
            return int(cursor.rowcount)

        try:
            return await self._database.connections.write(lambda: work)
        except ViolationError as error:
            raise StoreError(
                f"the database {self._database.name} does not let digests be kept: {error}. "
                f"Run `crossfade doctor`."
            ) from error
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    async def _sum_by_key(self, bounds: Sequence[Key], after: str) -> PairSums:
        above = FENCES.c.key > bindparam("after")
        rows = self._rows(bounds).where(above).order_by(FENCES.c.key).limit(bindparam("rows"))
        statement = self._summed(rows, "after", "rows")
        sums = await self._fetched(statement, (after, SLICE_ROWS))
        full = sum(row[1] for row in sums) >= SLICE_ROWS
        return PairSums(self._added(bounds, sums), max(row[2] for row in sums) if full else None)

    def _rows(self, bounds: Sequence[Key]) -> Select[Any]:
        place = self._engine.place(FENCES.c.key, bounds) if bounds else literal_column("0")
        assert place is not None  # noqa: S101 - `sums` has asked
        return select(place.label("p"), FENCES.c.key, _A.label("a"), _M.label("d")).where(
            self._own
        )

    def _summed(self, rows: Select[Any], *names: str) -> Statement:
        part = rows.subquery("q").c
        sums = (*self._engine.sums(part.a), *self._engine.sums(part.d))
        counts = (func.count(), func.max(part.key), func.count(part.a))
        statement = select(part.p, *counts, *sums).group_by(part.p)
        return compiled(statement, ("m", "e", *names), self._database.dialect)

    async def _fetched(self, statement: Statement, given: Row) -> list[Row]:
        def work(cursor: Cursor) -> list[Row]:
            cursor.execute(statement.sql, statement.parameters((*self._mine, *given)))
            return cursor.fetchall()

        return await self._read(work)

    def _added(self, bounds: Sequence[Key], rows: Sequence[Row]) -> list[PairSum]:
        found = [PairSum(0, 0, 0)] * (len(bounds) + 1)
        for place, _, _, count, *sums in rows:
            half = len(sums) // 2
            parts = (self._engine.joined(sums[:half]), self._engine.joined(sums[half:]))
            found[place] = PairSum(count, *parts)
        return found

    def _pairs(self, cursor: Cursor, texts: Sequence[str]) -> dict[str, DigestPair]:
        names = [f"k{number}" for number in range(KEYS_MAX)]
        statement = compiled(
            select(FENCES.c.key, _A, _M).where(
                self._own,
                FENCES.c.key.in_([bindparam(name) for name in names]),
                _A.is_not(None),
                _M.is_not(None),
            ),
            ("m", "e", *names),
            self._database.dialect,
        )
        found: dict[str, DigestPair] = {}
        for start in range(0, len(texts), KEYS_MAX):
            batch = list(texts[start : start + KEYS_MAX])
            # One statement for every number of keys: the last one fills it up.
            batch += [batch[-1]] * (KEYS_MAX - len(batch))
            cursor.execute(statement.sql, statement.parameters((*self._mine, *batch)))
            found |= {key: DigestPair(int(one), int(two)) for key, one, two in cursor.fetchall()}
        return found

    async def _read(self, work: Callable[[Cursor], Result]) -> Result:
        try:
            return await self._database.connections.read(work)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error


def _last(row: Row) -> Raw:
    return row[-1]
