"""How callers' bytes become requests: uvicorn's HTTP protocol, exact and with limits.

What differs from uvicorn's: case and order of header lines and the target stay as sent, no
trailers among the headers, no chunks for HTTP/1.0, limits on heads and times, problem+json for
what is refused, a call back when a caller leaves.
"""

import asyncio
from collections import deque
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from crossfade.gateway.caller_exchange import App, CallerExchange, rendered
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.problem import Problem

_VERSIONS = frozenset({"1.0", "1.1"})
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})


def _problem(status: int, name: str, title: str, detail: str) -> Problem:
    return Problem(status=status, name=name, title=title, detail=detail, close=True)


_NO_HTTP = _problem(
    400, "malformed-request", "Malformed request", "What was sent is not one valid HTTP request."
)
_LINE_TOO_LONG = _problem(
    414, "target-too-long", "Target too long", "The request line is longer than allowed."
)
_HEAD_TOO_LARGE = _problem(
    431,
    "head-too-large",
    "Header too large",
    "The request has more or longer headers than allowed.",
)
_VERSION = _problem(
    505, "version-unknown", "HTTP version not supported", "The gateway speaks HTTP/1.1 and 1.0."
)
_METHOD = _problem(
    501, "method-refused", "Method refused", "The gateway does not pass on this method."
)
_TARGET = _problem(
    400, "malformed-target", "Malformed target", "The request target is not a path of this host."
)


class _RefusedError(Exception):
    """Raised inside parser callbacks to stop parsing; the problem is kept beside it."""


class GatewayProtocol(HttpToolsProtocol):
    """One connection of a caller."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        options: GatewayOptions,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._options = options
        self._application = cast("App", self.app)
        self._exchange: CallerExchange | None = None
        """The request whose bytes are being parsed, or were last."""
        self._running: CallerExchange | None = None
        """The request that is being answered."""
        self._queue: deque[CallerExchange] = deque()
        self._problem = _NO_HTTP
        self._head_timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0
        self._discarded = 0
        self._deaf = False
        self._stopping = False
        self._expects = False

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio; a connection over the limit is closed at once."""
        super().connection_made(transport)
        self._keep_alive_from_now()
        if len(self.connections) > self._options.connections_max:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio; everybody who works for this caller is told."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._stop_head_timer()
        for exchange in (self._running, *self._queue):
            if exchange is not None:
                exchange.caller_gone()
        self._queue.clear()

    def data_received(self, data: bytes) -> None:
        """Parse some bytes of the caller."""
        if self._deaf or self.parser is None:
            self._discard(len(data))
            return
        running = self._running
        if running is not None or self._exchange is None or not self._exchange.more_body:
            self._unset_keepalive_if_required()
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The caller may have sent something in another protocol behind its request.
            self._last_request()
        except httptools.HttpParserError:
            self._refuse(self._problem)
            return
        if self._in_head:
            self._watch_head()

    def _watch_head(self) -> None:
        """Only some of a head has come: bound how much may come, and how long it may take."""
        options = self._options
        if self._head_bytes > options.request_line_bytes_max + options.request_head_bytes_max:
            self._refuse(_HEAD_TOO_LARGE)
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(options.head_seconds_max, self._too_slow)

    def _last_request(self) -> None:
        self._deaf = True
        if self._exchange is not None:
            self._exchange.keep_alive = False

    def _too_slow(self) -> None:
        self._head_timer = None
        self._last_request()
        if self._running is None:
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _keep_alive_from_now(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self._options.keep_alive_seconds_max, self.timeout_keep_alive_handler
        )

    def _refuse(self, problem: Problem) -> None:
        """Say no and close, but never into the middle of another answer."""
        self._deaf = True
        self._stop_head_timer()
        running = self._running
        if running is None:
            self.transport.write(rendered(problem))
            self._linger()
        elif running is not self._exchange or not running.more_body:
            # Garbage behind a complete request: that one still gets its answer.
            running.keep_alive = False
        else:
            started = running.response_started
            running.caller_gone()
            if not started:
                self.transport.write(rendered(problem))
            self._linger()

    def _linger(self) -> None:
        """Close our half, then the whole: what a caller still sends must not reset its answer."""
        self._deaf = True
        self._unset_keepalive_if_required()
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(self._options.refusal_linger_seconds, self.transport.close)

    # Called by the parser.

    def on_message_begin(self) -> None:
        """A request begins."""
        self.url = b""
        self.headers = []
        self._in_head = True
        self._head_bytes = 0
        self._discarded = 0
        self._expects = False

    def on_url(self, url: bytes) -> None:
        """Some of the target."""
        self.url += url
        if len(self.url) > self._options.request_line_bytes_max - len(" HTTP/1.1"):
            self._stop(_LINE_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; trailers come after the head and are dropped."""
        if not self._in_head:
            return
        headers = self.headers
        headers.append((name, value))
        self._head_bytes += len(name) + len(value) + 4
        options = self._options
        if (
            len(headers) > options.request_headers_max
            or self._head_bytes > options.request_head_bytes_max + options.request_line_bytes_max
        ):
            self._stop(_HEAD_TOO_LARGE)
        if len(name) == 6 and name.lower() == b"expect":  # noqa: PLR2004
            self._expects = True

    def on_headers_complete(self) -> None:
        """The head is complete: answer it, or queue it behind the request before it."""
        self._in_head = False
        self._stop_head_timer()
        version = self.parser.get_http_version()
        method = self.parser.get_method().decode("ascii")
        if version not in _VERSIONS:
            self._stop(_VERSION)
        if method in _REFUSED_METHODS:
            self._stop(_METHOD)
        if len(self._queue) >= self._options.pipelined_requests_max:
            self._stop(_NO_HTTP)
        exchange = CallerExchange(
            self._scope(method, version),
            self.url,
            self.headers,
            self.transport,
            self.flow,
            self.on_response_complete,
        )
        exchange.keep_alive = (
            not self._stopping and version != "1.0" and self.parser.should_keep_alive()
        )
        exchange.waits_for_continue = self._expects and version != "1.0"
        exchange.write_seconds_max = self._options.body_idle_seconds_max
        self._exchange = exchange
        if self._running is None:
            self._answer(exchange)
        else:
            self.flow.pause_reading()
            self._queue.append(exchange)

    def _scope(self, method: str, version: str) -> dict[str, Any]:
        path, _, query = self.url.partition(b"?")
        if not path.startswith(b"/"):
            path = self._origin_form(path, method)
        text = path.decode("latin-1")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": method,
            "scheme": self.scheme,
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self.headers],
            "client": self.client,
            "server": self.server,
        }

    def _origin_form(self, path: bytes, method: str) -> bytes:
        """The path of `http://host/path` where the host is the one of the Host header."""
        if path == b"*" and method == "OPTIONS":
            return path
        hosts = [value for name, value in self.headers if name.lower() == b"host"]
        prefix = (self.scheme or "http").encode("ascii") + b"://"
        rest = path[len(prefix) :]
        authority, slash, tail = rest.partition(b"/")
        named = path[: len(prefix)].lower() == prefix and len(hosts) == 1
        if not named or hosts[0].lower() != authority.lower():
            self._stop(_TARGET)
        query = self.url.partition(b"?")[1:]
        self.url = b"".join([b"/", tail, *query])
        return b"/" + tail if slash else b"/"

    def _stop(self, problem: Problem) -> None:
        self._problem = problem
        raise _RefusedError

    def on_body(self, body: bytes) -> None:
        """Some bytes of a body; after an early answer they are read and dropped."""
        exchange = self._exchange
        if exchange is None:
            return
        if not exchange.response_complete:
            exchange.body_came(body)
            return
        self._discard(len(body))

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self._options.discarded_body_bytes_max:
            self._deaf = True
            self.transport.abort()

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self._exchange is not None:
            self._exchange.body_ended()

    # Answering.

    def _answer(self, exchange: CallerExchange) -> None:
        self._running = exchange
        task = self.loop.create_task(exchange.run(self._application))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """The next request of this connection may be answered."""
        self.server_state.total_requests += 1
        answered, self._running = self._running, None
        if self.transport.is_closing():
            return
        if answered is not None and not answered.keep_alive:
            self._end(answered)
            return
        self.flow.resume_reading()
        if self._queue:
            self._answer(self._queue.popleft())
        elif self._deaf:
            self.transport.close()
        else:
            self._keep_alive_from_now()

    def _end(self, answered: CallerExchange) -> None:
        """That was the last answer of this connection."""
        if answered.more_body:
            self._linger()
        else:
            self._deaf = True
            self.transport.close()

    def shutdown(self) -> None:
        """Stop soon: what runs is answered, what is on its way too, then the connection closes."""
        self._stopping = True
        for exchange in (self._running, *self._queue):
            if exchange is not None and not exchange.response_started:
                exchange.keep_alive = False
        self.loop.call_later(self._options.stop_linger_seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._running is None and not self.transport.is_closing():
            self.transport.close()
