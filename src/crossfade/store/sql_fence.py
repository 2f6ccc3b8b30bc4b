"""The two tables that crossfade keeps beside the rows: fences of keys, epochs of migrations."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable, DropTable, ExecutableDDLElement
from sqlalchemy.sql import ClauseElement

from crossfade.errors import ForeignLedgerError
from crossfade.store.base import OK, PutResult, PutStatus, StoreEpoch
from crossfade.store.sql_dialect import Cursor, SqlDialect
from crossfade.store.sql_statements import Statement, compiled, in_batches

_METADATA = MetaData()

MYSQL_KEY_CHARACTERS_MAX = 640
"""Longest text of a key in MySQL and MariaDB, whose indexes take 3,072 bytes."""

# Compared byte by byte in every engine, and quickly: no locale has a say.
_NAME = (
    Text()
    .with_variant(postgresql.TEXT(collation="C"), "postgresql")
    .with_variant(mysql.VARCHAR(63, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
)
_KEY = (
    Text()
    .with_variant(postgresql.TEXT(collation="C"), "postgresql")
    .with_variant(
        mysql.VARCHAR(MYSQL_KEY_CHARACTERS_MAX, charset="utf8mb4", collation="utf8mb4_bin"),
        *("mysql", "mariadb"),
    )
)

FENCES = Table(
    "crossfade_fence",
    _METADATA,
    Column("migration", _NAME, primary_key=True),
    Column("entity", _NAME, primary_key=True),
    Column("key", _KEY, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("authority_digest", BigInteger, nullable=True),
    Column("mirror_digest", BigInteger, nullable=True),
    # One tree instead of two: half the cost of a fence.
    sqlite_with_rowid=False,
    mysql_engine="InnoDB",
)
"""A row stays when its record is deleted: the tombstone refuses late copies (rule 6).

The digests are those of the authority's row that was copied and of the row that was put; NULL
where nobody computed them.
"""

EPOCHS = Table(
    "crossfade_epoch",
    _METADATA,
    Column("migration", _NAME, primary_key=True),
    Column("ledger_id", _NAME, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    mysql_engine="InnoDB",
)

_EPOCH_COLUMNS = (EPOCHS.c.ledger_id, EPOCHS.c.incarnation, EPOCHS.c.epoch)


class SqlFence:
    """One migration's rows in the two tables; all methods run in the caller's transaction."""

    def __init__(self, migration: str, dialect: SqlDialect) -> None:
        self._migration = migration
        self._dialect = dialect
        mine = EPOCHS.c.migration == bindparam("m")
        found = select(*_EPOCH_COLUMNS).where(mine)
        self._plain = self._compiled(found, "m")
        # A put may share the epoch row with other puts; a change of epoch waits for them all.
        self._shared = self._compiled(found.with_for_update(read=True), "m")
        self._exclusive = self._compiled(found.with_for_update(), "m")
        self._keep = self._compiled(
            dialect.keep_higher_token(FENCES).values(
                migration=bindparam("m"),
                entity=bindparam("e"),
                key=bindparam("k"),
                token=bindparam("t"),
                authority_digest=null(),
                mirror_digest=null(),
            ),
            *("m", "e", "k", "t"),
        )

    @property
    def migration(self) -> str:
        """The migration's name, as its rows have it."""
        return self._migration

    def epoch(self, cursor: Cursor) -> StoreEpoch | None:
        """The epoch row as it is."""
        return self._epoch(cursor, self._plain)

    def check_epoch(self, cursor: Cursor, epoch: int, ledger: tuple[str, int] | None) -> PutResult:
        """Whether a put of that epoch, by that ledger and incarnation if known, may go on."""
        found = self._epoch(cursor, self._shared)
        if found is None:
            return PutResult(PutStatus.FENCED_EPOCH, "the database has no epoch of the migration")
        if ledger is not None and ledger != (found.ledger_id, found.incarnation):
            return PutResult(
                PutStatus.FENCED_EPOCH, "the database is fenced by another ledger or incarnation"
            )
        if found.epoch != epoch:
            return PutResult(
                PutStatus.FENCED_EPOCH,
                f"the put has epoch {epoch}, the database epoch {found.epoch}",
            )
        return OK

    def keep_tokens(
        self, cursor: Cursor, entity: str, keys: Sequence[str], token: int
    ) -> frozenset[str]:
        """Keep the token for each key; returns the keys that have a higher one."""
        # In one order, so that two batches wait for each other's fences in turn.
        rows = [(self._migration, entity, key, token) for key in sorted(keys)]
        cursor.executemany(self._keep.sql, self._keep.many(rows))
        if self._dialect.kept_all(cursor, len(rows)):
            return frozenset()
        return self._higher(cursor, entity, keys, token)

    def raise_epoch(self, cursor: Cursor, wanted: StoreEpoch) -> StoreEpoch:
        """See `FencedDatabase.raise_epoch`."""
        found = self._epoch(cursor, self._exclusive)
        if found is None:
            self.set_epoch(cursor, wanted)
            return wanted
        result = raised_epoch(found, wanted, self._dialect.name)
        if result != found:
            self.set_epoch(cursor, result)
        return result

    def set_epoch(self, cursor: Cursor, wanted: StoreEpoch) -> None:
        """Make the row so, whatever it was."""
        row = (wanted.ledger_id, wanted.incarnation, wanted.epoch, self._migration)
        values: dict[Any, Any] = {
            EPOCHS.c.ledger_id: bindparam("l"),
            EPOCHS.c.incarnation: bindparam("i"),
            EPOCHS.c.epoch: bindparam("n"),
        }
        names = ("l", "i", "n", "m")
        changed = self._compiled(
            update(EPOCHS).where(EPOCHS.c.migration == bindparam("m")).values(values), *names
        )
        cursor.execute(changed.sql, changed.parameters(row))
        if cursor.rowcount:
            return
        new = self._compiled(
            insert(EPOCHS).values({**values, EPOCHS.c.migration: bindparam("m")}), *names
        )
        cursor.execute(new.sql, new.parameters(row))

    def highest_token(self, cursor: Cursor) -> int:
        """See `FencedDatabase.highest_token`."""
        highest = self._compiled(
            select(func.max(FENCES.c.token)).where(FENCES.c.migration == bindparam("m")), "m"
        )
        cursor.execute(highest.sql, highest.parameters((self._migration,)))
        row = cursor.fetchone()
        return int(row[0] or 0)

    def look(self, cursor: Cursor) -> None:
        """Read one row of each table, to see that they are there."""
        for table in (EPOCHS, FENCES):
            statement = self._compiled(select(table.c.migration).limit(1))
            cursor.execute(statement.sql, statement.parameters(()))
            cursor.fetchone()

    def prepare(self, cursor: Cursor) -> None:
        """Create the two tables where they are missing."""
        for statement in self._definitions():
            cursor.execute(statement)

    def remove(self, cursor: Cursor) -> None:
        """Delete the migration's rows, and the tables where no other migration has any."""
        for table in (FENCES, EPOCHS):
            mine = self._compiled(delete(table).where(table.c.migration == bindparam("m")), "m")
            cursor.execute(mine.sql, mine.parameters((self._migration,)))
        self._dialect.keep_out(cursor, [table.name for table in (FENCES, EPOCHS)])
        if any(self._has_rows(cursor, table) for table in (FENCES, EPOCHS)):
            return
        for table in (FENCES, EPOCHS):
            cursor.execute(self._compiled(DropTable(table)).sql)

    def ddl(self) -> str:
        """See `FencedDatabase.ddl`."""
        return "".join(f"{statement};\n" for statement in self._definitions())

    def _definitions(self) -> list[str]:
        texts = [
            self._compiled(CreateTable(table, if_not_exists=True)).sql
            for table in (_fences_of(self._dialect), EPOCHS)
        ]
        return [text.strip().replace("\t", "    ") for text in texts]

    def _higher(
        self, cursor: Cursor, entity: str, keys: Sequence[str], token: int
    ) -> frozenset[str]:
        found: list[str] = []
        for batch in in_batches([(key,) for key in keys], 1):
            names = [f"k{index}" for index in range(len(batch))]
            statement = self._compiled(
                select(FENCES.c.key).where(
                    FENCES.c.migration == bindparam("m"),
                    FENCES.c.entity == bindparam("e"),
                    FENCES.c.token > bindparam("t"),
                    FENCES.c.key.in_([bindparam(name) for name in names]),
                ),
                *("m", "e", "t", *names),
            )
            given = (self._migration, entity, token, *(key for (key,) in batch))
            cursor.execute(statement.sql, statement.parameters(given))
            found += [key for (key,) in cursor.fetchall()]
        return frozenset(found)

    def _epoch(self, cursor: Cursor, statement: Statement) -> StoreEpoch | None:
        cursor.execute(statement.sql, statement.parameters((self._migration,)))
        row = cursor.fetchone()
        return None if row is None else StoreEpoch(row[0], int(row[1]), int(row[2]))

    def _compiled(self, statement: ClauseElement | ExecutableDDLElement, *names: str) -> Statement:
        return compiled(statement, names, self._dialect)

    def _has_rows(self, cursor: Cursor, table: Table) -> bool:
        cursor.execute(self._compiled(select(func.max(table.c.migration))).sql)
        return cursor.fetchone()[0] is not None


def _fences_of(dialect: SqlDialect) -> Table:
    """The fence table as the engine keeps it best.

    PostgreSQL reads it by block, never by key: with the part first that tells rows apart, its
    index costs a third less to keep. The others keep the rows in the order of the key.
    """
    if dialect.compiler.name != "postgresql":
        return FENCES
    columns = [Column(one.name, one.type, nullable=one.nullable) for one in FENCES.columns]
    first = ("key", "entity", "migration")
    return Table(FENCES.name, MetaData(), *columns, PrimaryKeyConstraint(*first))


def raised_epoch(found: StoreEpoch, wanted: StoreEpoch, database: str) -> StoreEpoch:
    """The row after a wish to raise it: never lower, never another ledger's.

    Raises:
        ForeignLedgerError: the row belongs to another ledger, or to a later incarnation.

    """
    if found.ledger_id != wanted.ledger_id:
        raise ForeignLedgerError(
            f"the database {database} is fenced by another ledger ({found.ledger_id}, this one is "
            f"{wanted.ledger_id}). Use that ledger, or run `crossfade ledger adopt`."
        )
    if found.incarnation > wanted.incarnation:
        raise ForeignLedgerError(
            f"the database {database} knows incarnation {found.incarnation} of this ledger, which "
            f"is at {wanted.incarnation}: an older copy of it was restored. "
            f"Run `crossfade ledger adopt`."
        )
    return StoreEpoch(wanted.ledger_id, wanted.incarnation, max(found.epoch, wanted.epoch))
