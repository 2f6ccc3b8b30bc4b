"""One connection to a ledger on PostgreSQL, and the named statements that go through it."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from crossfade.errors import ConfigurationError, LedgerUnavailableError
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_place import PostgresPlace
from crossfade.ledger.query_file import parse_queries

if TYPE_CHECKING:
    from psycopg.abc import PQGen

Row = tuple[Any, ...]
Result = TypeVar("Result")

CANNOT_WAIT = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)
"""Somebody else holds a row or a lock that this transaction needs: tried again."""

_WRONG_SETTINGS = (
    errors.InvalidCatalogName,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidPassword,
    errors.InsufficientPrivilege,
    errors.InvalidSchemaName,
)
_SETTLED = {"28P01", "28000", "3D000", "42501", "3F000"}


_GRACE_SECONDS = 1.0
"""How much longer than the server's own limit for a statement its answer may take."""


class BoundedConnection(psycopg.Connection[Row]):
    """A connection on which nobody waits for ever for a server that stands still.

    Neither `statement_timeout` nor the network's own times end that: the server is there, its
    machine takes what is sent, and it says nothing.
    """

    seconds_max: float | None = None

    def wait(
        self, gen: "PQGen[Result]", interval: float = 0.1, timeout: float | None = None
    ) -> Result:
        """See `psycopg.Connection.wait`; what has not answered in time is closed."""
        bound = self.seconds_max if timeout is None else timeout
        try:
            return super().wait(gen, interval=interval, timeout=bound)
        except psycopg.Error:
            # Its answer may come later: nothing else may ever be asked here.
            if timeout is None and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


@dataclass(frozen=True, slots=True)
class Answered:
    """What the server says to one of several statements."""

    rows: list[Row]
    rowcount: int


class PostgresSession:
    """A connection in which nothing is begun unless somebody says so; for one thread at a time."""

    def __init__(
        self, connection: psycopg.Connection[Row], queries: Mapping[str, bytes], name: str
    ) -> None:
        self.connection = connection
        self._queries = queries
        self._cursor = connection.cursor()
        self.name = name
        """The place as it may be shown."""

    def run(self, query: str, *values: object) -> int:
        """Run a statement; returns how many rows it changed."""
        self._cursor.execute(self._queries[query], values or None)
        return self._cursor.rowcount

    def one(self, query: str, *values: object) -> Any:  # noqa: ANN401 - a row of any columns
        """The first row of a statement, or None."""
        return self._cursor.execute(self._queries[query], values or None).fetchone()

    def all(self, query: str, *values: object) -> list[Any]:
        """All rows of a statement."""
        return self._cursor.execute(self._queries[query], values or None).fetchall()

    def named(self, query: str, **values: object) -> list[Any]:
        """All rows of a statement whose values have names."""
        return self._cursor.execute(self._queries[query], values).fetchall()

    def script(self, text: str) -> None:
        """Run the statements of a file; they have no values."""
        self._cursor.execute(text.encode())

    def together(self, statements: Sequence[tuple[str, Sequence[object]]]) -> list[Answered]:
        """Run statements in one trip to the server; a failed one ends them all.

        They are one message: a process that stands still between two of them would otherwise keep
        its transaction, and its locks, while the server takes it for busy and never ends it.
        """
        binding = psycopg.ClientCursor(self.connection)
        texts = [
            binding.mogrify(self._queries[query], values or None) for query, values in statements
        ]
        cursor = self._cursor.execute("; ".join(texts).encode(), prepare=False)
        answered = []
        more: bool | None = True
        while more:
            rows = cursor.fetchall() if cursor.description else []
            answered.append(Answered(rows, cursor.rowcount))
            more = cursor.nextset()
        return answered

    def listen(self, channel: str) -> None:
        """Be told what is notified on a channel from now on."""
        self.connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))

    def commit(self) -> None:
        """Commit; raises where the server rolled back instead."""
        self._cursor.execute(self._queries["commit"])
        if self._cursor.statusmessage != "COMMIT":
            raise psycopg.InternalError("the transaction was rolled back by the server")

    @property
    def usable(self) -> bool:
        """Whether the connection was not lost."""
        return not self.connection.closed and not self.connection.broken

    def give_up(self) -> None:
        """End what is begun; a connection on which that fails is closed."""
        try:
            if self.usable and self.connection.info.transaction_status:
                self.connection.execute(self._queries["rollback"])
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        """Give the connection back; may be repeated."""
        with suppress(psycopg.Error):
            self.connection.close()


def open_session(
    place: PostgresPlace, options: PostgresLedgerOptions, purpose: str, schema: str | None = None
) -> PostgresSession:
    """Connect.

    Args:
        place: the database, and the schema where the settings name one.
        options: how long to wait for what.
        purpose: what the server's list of connections shows.
        schema: the schema as it was found out by another session.

    Raises:
        ConfigurationError: the server knows no such database or user, or refuses the password.
        LedgerUnavailableError: it does not answer.

    """
    with translated(place.shown):
        connection = BoundedConnection.connect(
            place.url,
            autocommit=True,
            row_factory=tuple_row,
            connect_timeout=max(2, round(options.connect_seconds_max)),
            application_name=f"crossfade ledger {purpose}"[:63],
            client_encoding="utf8",
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=10_000,
        )
        connection.seconds_max = options.statement_seconds_max + _GRACE_SECONDS
        try:
            return _prepared(connection, place, options, schema)
        except BaseException:
            connection.close()
            raise


def _prepared(
    connection: psycopg.Connection[Row],
    place: PostgresPlace,
    options: PostgresLedgerOptions,
    schema: str | None,
) -> PostgresSession:
    found = schema or place.schema or _first_schema(connection, place)
    if "%" in found:
        # The driver would take it for the place of a value.
        raise ConfigurationError(f"{place.shown}: a schema's name may hold no percent sign.")
    session = PostgresSession(connection, load_queries(found), place.shown)
    # The last two end what a process that stands still, or is cut off, holds in the server.
    settings = {
        "lock_timeout": options.lock_seconds_max,
        "statement_timeout": options.statement_seconds_max,
        "idle_in_transaction_session_timeout": options.idle_seconds_max,
        "tcp_user_timeout": options.idle_seconds_max,
    }
    session.together(
        [("setting", (name, f"{round(seconds * 1000)}ms")) for name, seconds in settings.items()]
        + [("be_durable", ())]
    )
    return session


def _first_schema(connection: psycopg.Connection[Row], place: PostgresPlace) -> str:
    row = connection.execute(load_queries("")["current_schema"]).fetchone()
    if row is None or row[0] is None:
        raise ConfigurationError(
            f"{place.shown} has no schema in the user's search path. Name one with ?schema=NAME."
        )
    return str(row[0])


def schema_of(session: PostgresSession, place: PostgresPlace) -> str:
    """The schema that holds the ledger's tables."""
    return place.schema or str(session.one("current_schema")[0])


@functools.cache
def load_queries(schema: str) -> Mapping[str, bytes]:
    """Every named statement of a ledger in a schema; two of one name are a mistake of ours."""
    queries: dict[str, bytes] = {}
    for file in sorted(files("crossfade.ledger").joinpath("queries_postgres").iterdir(), key=str):
        for name, statement in parse_queries(file.read_text(encoding="utf-8")):
            if name in queries:
                raise ValueError(f"{file.name}: there are two queries named {name}.")
            queries[name] = in_schema(statement, schema).encode()
    return queries


def in_schema(text: str, schema: str) -> str:
    """SQL of a ledger for the schema that it is in."""
    quoted = '"' + schema.replace('"', '""') + '"'
    return text.replace("{schema_text}", quoted.replace("'", "''")).replace("{schema}", quoted)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Errors of the driver as ours.

    Raises:
        ConfigurationError: rights or names are wrong.
        LedgerUnavailableError: anything else.

    """
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        reason = told(error)
        wrong = isinstance(error, _WRONG_SETTINGS) or state in _SETTLED
        if wrong or "authentication failed" in reason or "does not exist" in reason:
            raise ConfigurationError(
                f"the ledger {name} cannot be used: {reason}. Correct the ledger's URL, or what "
                "the user may do."
            ) from error
        raise LedgerUnavailableError(
            f"the ledger {name} does not answer: {reason}. Nothing was committed; see whether "
            "the server runs."
        ) from error


def told(error: BaseException) -> str:
    """The server's reason in one line, without the values that it may quote."""
    diagnosed = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    text = diagnosed or str(error) or type(error).__name__
    return text.strip().splitlines()[0].rstrip(".")
