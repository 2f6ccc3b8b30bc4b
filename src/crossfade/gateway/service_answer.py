"""The answer of a side as execution needs it: judged, compared, and sent to the caller."""

from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus

from crossfade.codec import CodecError, decode
from crossfade.gateway.problem import Header
from crossfade.gateway.upstream import UpstreamAnswer
from crossfade.model.comparison import Observed
from crossfade.model.key import Key
from crossfade.model.operation import JsonField, Operation

_INTERMEDIARY = frozenset({502, 504})


class ServiceAnswer:
    """A complete answer; its body is here, or still streams when it is too large to keep."""

    __slots__ = ("_body", "_key_types", "_operation", "_upstream_answer", "headers", "reason",
                 "status")  # fmt: skip

    def __init__(
        self,
        answer: UpstreamAnswer,
        body: bytes | None,
        operation: Operation,
        key_types: tuple[type, ...],
    ) -> None:
        self.status = answer.status
        self.reason = answer.reason
        self.headers: Sequence[Header] = answer.headers
        self._upstream_answer = answer
        self._body = body
        self._operation = operation
        self._key_types = key_types

    @property
    def acknowledged(self) -> bool:
        """Whether the side says that it did what was asked (2xx)."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def failed(self) -> bool:
        """Whether the side says that it failed (5xx)."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def refused(self) -> bool:
        """Whether the side says that it did not do what was asked (4xx)."""
        return HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def deferred(self) -> bool:
        """Whether the side only says that it will act (202)."""
        return self.status == HTTPStatus.ACCEPTED

    @property
    def ambiguous(self) -> bool:
        """Whether an intermediary may have made this answer (502, 504)."""
        return self.status in _INTERMEDIARY

    def observed(self) -> Observed | None:
        """Status, content type and body; None where the body still streams."""
        if self._body is None:
            return None
        return Observed(self.status, self._content_type(), self._body)

    def created_key(self) -> Key | None:
        """The key in the answer to a create; None where the answer has none of the right type."""
        if self._operation.created is None or self._body is None:
            return None
        try:
            value = _field(decode(self._body), self._operation.created)
        except CodecError:
            return None
        right_type = isinstance(value, self._key_types[0]) and not isinstance(value, bool)
        if value is None or len(self._key_types) != 1 or not right_type:
            return None
        return (value,)

    def whole_body(self) -> bytes | None:
        """See `UpstreamAnswer`; what was read whole is given again, any number of times."""
        return self._body

    def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces as they come, where it was not read whole."""
        return self._upstream_answer.chunks()

    async def aclose(self) -> None:
        """Done with this answer."""
        await self._upstream_answer.aclose()

    def _content_type(self) -> str:
        for name, value in self.headers:
            if name.lower() == b"content-type":
                return value.decode("latin-1")
        return ""


def _field(document: object, field: JsonField) -> int | str | None:
    for name in field.names:
        if not isinstance(document, dict) or name not in document:
            return None
        document = document[name]
    return document if isinstance(document, int | str) else None
