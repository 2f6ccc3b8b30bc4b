"""From the bytes of a service to one answer: framing, interim answers, what follows it."""

import httptools

from crossfade.gateway.answer_body import BodySender, HttpAnswer
from crossfade.gateway.problem import Header

INTERIM_ANSWERS_MAX = 16
"""1xx answers before the real one; more are an attack or a loop."""
_BODILESS = frozenset({204, 304})
_FIRST_FINAL, _LAST_FINAL = 200, 599
_SWITCHING = 101


class AnswerMalformedError(Exception):
    """What came is not one HTTP answer; the connection translates it."""


class AnswerParser:
    """Reads the answers of one connection, one after the other."""

    def __init__(self, sender: BodySender, head_bytes_max: int) -> None:
        self._sender = sender
        self._head_bytes_max = head_bytes_max
        self._parser = httptools.HttpResponseParser(self)
        self.expect(b"GET")

    def expect(self, method: bytes) -> None:
        """The next bytes answer a request with this method."""
        self._bodiless = method == b"HEAD"
        self._headers: list[Header] = []
        self._reason = b""
        self._interim = 0
        self._lines_bytes = 0
        self.answer: HttpAnswer | None = None
        """The answer once its head is complete."""
        self.complete = False
        self.keep_alive = False
        """Whether the connection can carry another request once the answer is complete."""
        self.framed = False
        """Whether the end of the body can be told from the end of the connection."""
        self.head_bytes = 0
        """Bytes received before the head was complete, rounded up to what came with its end."""

    def feed(self, data: bytes) -> None:
        """Parse; raises AnswerMalformedError. What follows a complete answer only ends reuse."""
        if self.answer is None:
            self.head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.keep_alive = False
            if not self.complete:
                raise AnswerMalformedError from error
        if self.answer is None and self.head_bytes > self._head_bytes_max:
            raise AnswerMalformedError

    # Called by httptools.

    def on_message_begin(self) -> None:
        """A status line begins; after a complete answer it is one that nobody asked for."""
        if self.complete:
            self.keep_alive = False
            return
        self._headers = []
        self._reason = b""
        self.framed = False

    def on_status(self, reason: bytes) -> None:
        """Some of the words after the status."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; trailers come after the head and are dropped."""
        if self.answer is not None:
            return
        self._headers.append((name, value))
        length = len(name)
        self._lines_bytes += length + len(value) + 4
        if self._lines_bytes > self._head_bytes_max:
            raise AnswerMalformedError
        if length == 17 and name.lower() == b"transfer-encoding":  # noqa: PLR2004
            if value.strip(b" \t").lower() != b"chunked":
                raise AnswerMalformedError
            self.framed = True
        elif length == 14 and name.lower() == b"content-length":  # noqa: PLR2004
            self.framed = True

    def on_headers_complete(self) -> None:
        """The head of an answer, or of an interim one."""
        if self.complete:
            return
        status: int = self._parser.get_status_code()
        if status < _FIRST_FINAL:
            self._interim += 1
            if status == _SWITCHING or self._interim > INTERIM_ANSWERS_MAX:
                raise AnswerMalformedError
            return
        if status > _LAST_FINAL:
            raise AnswerMalformedError
        self.answer = HttpAnswer(status, self._reason, self._headers, self._sender)
        self.keep_alive = self._parser.should_keep_alive()
        if self._bodiless:
            # The parser still expects the body that a GET would have had, and so may the service.
            self.keep_alive = False
        if self._bodiless or status in _BODILESS:
            self.framed = self.complete = True

    def on_body(self, body: bytes) -> None:
        """Some bytes of the body."""
        if self.complete or self.answer is None:
            self.keep_alive = False
        else:
            self.answer.push(body)

    def on_message_complete(self) -> None:
        """The answer is complete; an interim one does not count."""
        if self.answer is not None:
            self.complete = True
