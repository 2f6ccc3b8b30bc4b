"""A database's connections, each used by one thread at a time; the event loop never waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from crossfade.errors import StoreOutcomeUnknownError, StoreUnreachableError
from crossfade.store.sql_dialect import Connection, Cursor, SqlDialect, ViolationError
from crossfade.store.sql_options import SqlOptions

Result = TypeVar("Result")
Work = Callable[[Cursor], Result]
"""What happens inside one transaction."""


class _Lane:
    """Threads of one kind of transaction, and the connections that lie idle between them."""

    def __init__(self, name: str, threads: int) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix=f"crossfade-{name}")
        self.idle: SimpleQueue[Connection] = SimpleQueue()

    def close(self) -> None:
        """Wait for the transaction under way, then close what lies idle."""
        self.executor.shutdown(wait=True, cancel_futures=True)
        while True:
            try:
                self.idle.get_nowait().close()
            except Empty:
                return


class SqlConnections:
    """Runs work in transactions on a bounded number of threads."""

    def __init__(self, dialect: SqlDialect, options: SqlOptions) -> None:
        self._dialect = dialect
        self._options = options
        self._readers = _Lane("read", options.reader_connections_max)
        self._writer = _Lane("put", 1)
        self._waiting = 0
        self._closed = False

    async def read(self, work: Work[Result]) -> Result:
        """Run work in one snapshot.

        Raises:
            ConfigurationError: there is no such database.
            StoreUnreachableError: the database does not answer; may be repeated.
            StoreError: it answers that it cannot do that.

        """
        return await self._run(self._readers, partial(self._read, work))

    async def write(self, prepare: Callable[[], Work[Result]]) -> Result:
        """Run work in one transaction that may put; what it returned is durable then.

        `prepare` gives the work; it runs in the same thread before the transaction, so that no
        lock is held meanwhile. What it raises is raised here.

        Raises:
            ViolationError: a constraint refused it; nothing was changed.
            ConfigurationError: there is no such database.
            StoreUnreachableError: certainly not applied.
            StoreOutcomeUnknownError: the commit was sent and failed without a clear answer.
            StoreError: the database cannot do that; nothing was changed.

        """
        return await self._run(self._writer, partial(self._write, prepare))

    async def close(self) -> None:
        """Wait for the transactions under way, refuse those that wait, close every connection."""
        self._closed = True
        for lane in (self._writer, self._readers):
            await asyncio.to_thread(lane.close)

    async def _run(self, lane: _Lane, job: Callable[[], Result]) -> Result:
        if self._closed:
            raise self._closed_error()
        if self._waiting >= self._options.calls_waiting_max:
            raise StoreUnreachableError(
                f"{self._waiting} calls wait for the database {self._dialect.name}. "
                f"Slow down, or raise calls_waiting_max."
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(lane.executor, job)
        except asyncio.CancelledError:
            if self._was_dropped():
                raise self._closed_error() from None
            raise
        finally:
            self._waiting -= 1

    def _was_dropped(self) -> bool:
        """Whether closing dropped the call before it began: nobody cancelled the caller."""
        task = asyncio.current_task()
        return self._closed and task is not None and not task.cancelling()

    def _closed_error(self) -> StoreUnreachableError:
        return StoreUnreachableError(f"the database {self._dialect.name} was closed here.")

    def _read(self, work: Work[Result]) -> Result:
        connection = self._take(self._readers, for_puts=False)
        try:
            result = self._read_on(connection, work)
        except BaseException:
            connection.close()
            raise
        self._readers.idle.put(connection)
        return result

    def _read_on(self, connection: Connection, work: Work[Result]) -> Result:
        try:
            return self._snapshot(connection, work)
        except self._dialect.errors as error:
            if not self._dialect.repairs_reading(connection, error):
                raise self._dialect.failure(error) from error
        try:
            return self._snapshot(connection, work)
        except self._dialect.errors as error:
            raise self._dialect.failure(error) from error

    def _snapshot(self, connection: Connection, work: Work[Result]) -> Result:
        self._dialect.begin(connection, for_puts=False)
        try:
            return work(connection.cursor())
        finally:
            self._dialect.roll_back(connection)

    def _write(self, prepare: Callable[[], Work[Result]]) -> Result:
        work = prepare()
        connection = self._take(self._writer, for_puts=True)
        try:
            result = self._apply(connection, work)
            self._commit(connection)
        except ViolationError:
            self._writer.idle.put(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self._writer.idle.put(connection)
        return result

    def _apply(self, connection: Connection, work: Work[Result]) -> Result:
        try:
            self._dialect.begin(connection, for_puts=True)
            return work(connection.cursor())
        except self._dialect.errors as error:
            self._dialect.roll_back(connection)
            raise self._translated(error) from error
        except BaseException:
            self._dialect.roll_back(connection)
            raise

    def _commit(self, connection: Connection) -> None:
        # Crash before: nothing of it took place. Crash after: all of it, token and epoch too.
        try:
            self._dialect.commit(connection)
        except self._dialect.errors as error:
            self._dialect.roll_back(connection)
            if self._dialect.refused_commit(error):
                raise self._translated(error) from error
            raise StoreOutcomeUnknownError(
                f"the database {self._dialect.name} failed while it committed: the put may or may "
                f"not have taken place. It is put again with a higher token."
            ) from error

    def _translated(self, error: Exception) -> Exception:
        violation = self._dialect.violation(error)
        return ViolationError(violation) if violation else self._dialect.failure(error)

    def _take(self, lane: _Lane, *, for_puts: bool) -> Connection:
        try:
            connection = lane.idle.get_nowait()
        except Empty:
            return self._dialect.connect(for_puts=for_puts)
        try:
            current = self._dialect.is_current(connection)
        except BaseException:
            connection.close()
            raise
        if current:
            return connection
        connection.close()
        return self._dialect.connect(for_puts=for_puts)
