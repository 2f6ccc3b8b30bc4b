"""A database's connections, each used by one thread at a time; the event loop never waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from crossfade.errors import StoreError, StoreOutcomeUnknownError, StoreUnreachableError
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
        self._threads = threads
        self._under_way: set[Future[Any]] = set()
        self._left: set[Future[Any]] = set()
        """Jobs that run and that nobody waits for any more: each keeps its thread."""

    def submit(self, job: Callable[[], Result]) -> "Future[Result]":
        """Queue a job for the lane's threads."""
        future = self.executor.submit(job)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def leave(self, future: "Future[Any]") -> None:
        """Nobody waits for a job any more, and it has begun."""
        self._left.add(future)

    @property
    def stuck(self) -> bool:
        """Whether every thread is kept by a job that nobody waits for any more."""
        self._left = {one for one in self._left if not one.done()}
        return len(self._left) >= self._threads

    async def close(self, seconds_max: float) -> None:
        """Wait for the transactions under way, though not for ever; close what lies idle."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        running = [asyncio.wrap_future(one) for one in list(self._under_way)]
        if running:
            await asyncio.wait(running, timeout=seconds_max)
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
        self._writer = _Lane("put", dialect.puts_at_once)
        self._waiting = 0
        self._closed = False

    async def read(self, work: Work[Result], *, seconds_max: float | None = None) -> Result:
        """Run work in one snapshot.

        Args:
            work: what to read.
            seconds_max: how long to wait for it; None is `SqlOptions.call_seconds_max`.

        Raises:
            ConfigurationError: there is no such database.
            StoreUnreachableError: the database does not answer; may be repeated.
            StoreError: it answers that it cannot do that.

        """
        return await self._run(self._readers, partial(self._read, work), seconds_max)

    async def write(self, prepare: Callable[[], Work[Result]]) -> Result:
        """Run work in one transaction that may put; what it returned is durable then.

        `prepare` gives the work; it runs in the same thread before the transaction, so that no
        lock is held meanwhile. What it raises is raised here.

        Raises:
            ViolationError: a constraint refused it; nothing was changed.
            ConfigurationError: there is no such database.
            StoreUnreachableError: certainly not applied.
            StoreOutcomeUnknownError: the commit was sent and failed without a clear answer, or
                the work has begun and does not end in time: it may be applied later.
            StoreError: the database cannot do that; nothing was changed.

        """
        return await self._run(self._writer, partial(self._write, prepare))

    async def close(self) -> None:
        """Wait for the transactions under way, refuse those that wait, close every connection.

        A transaction that hangs keeps its connection, and its thread until the process ends.
        """
        self._closed = True
        for lane in (self._writer, self._readers):
            await lane.close(self._options.call_seconds_max)

    async def _run(
        self, lane: _Lane, job: Callable[[], Result], seconds_max: float | None = None
    ) -> Result:
        if self._closed:
            raise self._closed_error()
        if lane.stuck:
            raise StoreUnreachableError(
                f"the database {self._dialect.name} hangs in every call that may run at once. "
                f"See what it waits for."
            )
        if self._waiting >= self._options.calls_waiting_max:
            raise StoreUnreachableError(
                f"{self._waiting} calls wait for the database {self._dialect.name}. "
                f"Slow down, or raise calls_waiting_max."
            )
        seconds = self._options.call_seconds_max if seconds_max is None else seconds_max
        self._waiting += 1
        future = lane.submit(job)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise self._late_error(lane, future, seconds) from None
        except asyncio.CancelledError:
            if self._was_dropped():
                raise self._closed_error() from None
            raise
        finally:
            if future.running():
                lane.leave(future)
            self._waiting -= 1

    def _late_error(self, lane: _Lane, future: "Future[Any]", seconds: float) -> StoreError:
        """What a call that did not end in time means: whatever waits for a thread never began."""
        late = f"the database {self._dialect.name} does not answer within {seconds:g} s"
        if lane is self._readers or future.cancelled():
            return StoreUnreachableError(f"{late}. See what it waits for.")
        return StoreOutcomeUnknownError(
            f"{late}: what was put may or may not take place. It is put again with a higher token."
        )

    def _was_dropped(self) -> bool:
        """Whether closing dropped the call before it began: nobody cancelled the caller."""
        task = asyncio.current_task()
        return self._closed and task is not None and not task.cancelling()

    def _closed_error(self) -> StoreUnreachableError:
        return StoreUnreachableError(f"the database {self._dialect.name} was closed here.")

    def _read(self, work: Work[Result]) -> Result:
        connection = self._begun(self._readers, for_puts=False)
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
            self._dialect.begin(connection, for_puts=False)
            return self._snapshot(connection, work)
        except self._dialect.errors as error:
            raise self._dialect.failure(error) from error

    def _snapshot(self, connection: Connection, work: Work[Result]) -> Result:
        try:
            return work(connection.cursor())
        finally:
            self._dialect.roll_back(connection)

    def _write(self, prepare: Callable[[], Work[Result]]) -> Result:
        work = prepare()
        connection = self._begun(self._writer, for_puts=True)
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

    def _begun(self, lane: _Lane, *, for_puts: bool) -> Connection:
        """A connection in a transaction that has just begun."""
        connection = self._idle(lane)
        if connection is not None and self._resumed(connection, for_puts=for_puts):
            return connection
        connection = self._dialect.connect(for_puts=for_puts)
        try:
            self._dialect.begin(connection, for_puts=for_puts)
        except self._dialect.errors as error:
            connection.close()
            raise self._dialect.failure(error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _resumed(self, connection: Connection, *, for_puts: bool) -> bool:
        """Whether a transaction began on a connection that lay idle.

        If it was cut meanwhile, it was not asked for anything yet, so another one can be.
        """
        try:
            self._dialect.begin(connection, for_puts=for_puts)
        except self._dialect.errors as error:
            try:
                current = self._dialect.is_current(connection)
            finally:
                connection.close()
            if current:
                raise self._dialect.failure(error) from error
            return False
        except BaseException:
            connection.close()
            raise
        return True

    def _idle(self, lane: _Lane) -> Connection | None:
        """A connection that lies idle and still leads to the database."""
        try:
            connection = lane.idle.get_nowait()
        except Empty:
            return None
        try:
            current = self._dialect.is_current(connection)
        except BaseException:
            connection.close()
            raise
        if not current:
            connection.close()
        return connection if current else None
