"""A service over HTTP/1.1: a bounded pool of connections, and nothing is ever sent twice."""

import asyncio
import socket
import ssl
from collections import deque
from urllib.parse import urlsplit

from crossfade.errors import ConfigurationError
from crossfade.gateway.http_connection import ConnectionBounds, HttpConnection, request_head
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.upstream import (
    CallLimits,
    OutgoingRequest,
    UpstreamAnswer,
    UpstreamError,
    UpstreamFailure,
)
from crossfade.seams.tasks import Tasks

_DEFAULT_PORTS = {"http": 80, "https": 443}


class HttpUpstream:
    """The service at `base_url` (`http://host:port`); see `Upstream` for what is promised."""

    def __init__(self, base_url: str, options: GatewayOptions, tasks: Tasks) -> None:
        parts = urlsplit(base_url)
        port = _DEFAULT_PORTS.get(parts.scheme)
        if port is None or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ConfigurationError(
                f"{base_url!r} is no address of a service: write `http://host:port`, no path."
            )
        self.service = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.authority = parts.netloc.rpartition("@")[2].encode("ascii")
        """For requests that come without a `Host`."""
        self._host = parts.hostname
        self._port = parts.port or port
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._options = options
        self._bounds = ConnectionBounds(
            options.answer_head_bytes_max, options.stream_buffer_bytes_max
        )
        self._limits = CallLimits(
            connect_seconds=options.connect_seconds_max,
            answer_seconds=options.answer_seconds_max,
            idle_seconds=options.answer_idle_seconds_max,
        )
        self._tasks = tasks
        self._idle: deque[HttpConnection] = deque()
        """Free connections, the one used last at the right end."""
        self._all: dict[HttpConnection, None] = {}
        self._slots_taken = 0
        """Connections that are open or being opened."""
        self._waiting: deque[asyncio.Future[HttpConnection | None]] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def connections(self) -> int:
        """Connections that are open or being opened."""
        return self._slots_taken

    # The port.

    async def send(self, request: OutgoingRequest) -> UpstreamAnswer:
        """See `Upstream.send`."""
        head = request_head(request)
        limits = request.limits or self._limits
        loop = asyncio.get_running_loop()
        started = loop.time()
        connection = await self._acquire(limits, fresh=False, repeatable=request.repeatable)
        reused = connection.used
        try:
            left = _left(limits, started, loop.time())
            return await connection.exchange(request, head, limits, left)
        except UpstreamError as error:
            closed_while_idle = error.failure is UpstreamFailure.RESET and connection.untouched
            if not (reused and closed_while_idle and request.repeatable):
                raise
        connection = await self._acquire(limits, fresh=True, repeatable=True)
        left = _left(limits, started, loop.time())
        return await connection.exchange(request, head, limits, left)

    async def aclose(self) -> None:
        """See `Upstream.aclose`."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(self._error(UpstreamFailure.UNREACHABLE, "it is closed"))
        self._waiting.clear()
        for connection in list(self._all):
            connection.break_off()
            if connection.open:
                connection.close()
        self._idle.clear()
        await asyncio.sleep(0)

    # Lending connections.

    async def _acquire(
        self, limits: CallLimits, *, fresh: bool, repeatable: bool
    ) -> HttpConnection:
        if self._closed:
            raise self._error(UpstreamFailure.UNREACHABLE, "the gateway has closed it")
        idle = None if fresh else self._take_idle(repeatable=repeatable)
        if idle is not None:
            return idle
        try:
            async with asyncio.timeout(limits.connect_seconds):
                return await self._wait_or_open(fresh=fresh)
        except TimeoutError as error:
            raise self._error(
                UpstreamFailure.CONNECT_TIMEOUT, "no connection could be opened in time"
            ) from error

    def _take_idle(self, *, repeatable: bool) -> HttpConnection | None:
        now = asyncio.get_running_loop().time()
        options = self._options
        age_max = (
            options.upstream_idle_seconds_max
            if repeatable
            else options.write_reuse_idle_seconds_max
        )
        while self._idle and now - self._idle[-1].idle_since <= age_max:
            connection = self._idle.pop()
            if connection.open:
                return connection
        return None

    async def _wait_or_open(self, *, fresh: bool) -> HttpConnection:
        if self._slots_taken < self._options.upstream_connections_max:
            self._slots_taken += 1
            return await self._open()
        if self._idle:
            # All are open, but none is good enough: the oldest makes room for a new one.
            self._idle.popleft().close()
        elif len(self._waiting) >= self._options.upstream_waiting_max:
            raise self._error(UpstreamFailure.FULL, "too many calls wait for a connection")
        waiter: asyncio.Future[HttpConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            connection = await waiter
        except BaseException:
            self._give_back(waiter)
            raise
        if connection is not None and not fresh:
            return connection
        if connection is not None:
            connection.close()
            return await self._wait_or_open(fresh=True)
        return await self._open()

    def _give_back(self, waiter: "asyncio.Future[HttpConnection | None]") -> None:
        """A caller stopped waiting just when it was served: the next one gets its place."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        if waiter.cancelled() or not waiter.done() or waiter.exception() is not None:
            return
        connection = waiter.result()
        if connection is None:
            self._free_slot()
        elif connection.open:
            self.connection_free(connection)

    async def _open(self) -> HttpConnection:
        """Open a connection in a slot that is already counted."""
        loop = asyncio.get_running_loop()
        connection = HttpConnection(self.service, self, self._bounds, self._tasks)
        try:
            await loop.create_connection(lambda: connection, self._host, self._port, ssl=self._ssl)
        except OSError as error:
            self._failed_to_open(connection)
            raise self._error(*_explain(error)) from error
        except BaseException:
            self._failed_to_open(connection)
            raise
        if not connection.open:
            raise self._error(UpstreamFailure.UNREACHABLE, "it closed the new connection")
        self._all[connection] = None
        return connection

    def _failed_to_open(self, connection: HttpConnection) -> None:
        if connection.open:
            connection.close()
        elif not connection.made:
            self._free_slot()

    def _free_slot(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._slots_taken -= 1

    # Called by connections (see `ConnectionOwner`).

    def connection_free(self, connection: HttpConnection) -> None:
        """See `ConnectionOwner.connection_free`."""
        if self._closed:
            connection.close()
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = loop.call_later(self._options.upstream_idle_seconds_max, self._reap)

    def connection_gone(self, connection: HttpConnection) -> None:
        """See `ConnectionOwner.connection_gone`."""
        self._all.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    def _reap(self) -> None:
        """Close what has been idle too long; runs only while something is idle."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        oldest_kept = loop.time() - self._options.upstream_idle_seconds_max
        while self._idle and (not self._idle[0].open or self._idle[0].idle_since <= oldest_kept):
            self._idle.popleft().close()
        if self._idle and not self._closed:
            seconds = max(self._idle[0].idle_since - oldest_kept, 0.05)
            self._reaper = loop.call_later(seconds, self._reap)

    def _error(self, failure: UpstreamFailure, detail: str) -> UpstreamError:
        return UpstreamError(failure, self.service, detail)


def _left(limits: CallLimits, started: float, now: float) -> float | None:
    return None if limits.total_seconds is None else limits.total_seconds - (now - started)


def _explain(error: OSError) -> tuple[UpstreamFailure, str]:
    if isinstance(error, ConnectionRefusedError):
        return UpstreamFailure.REFUSED, "nothing listens there"
    if isinstance(error, socket.gaierror):
        return UpstreamFailure.NAME_UNKNOWN, "its name has no address"
    if isinstance(error, ssl.SSLError):
        return UpstreamFailure.UNREACHABLE, "TLS failed"
    return UpstreamFailure.UNREACHABLE, error.strerror or "it cannot be reached"
