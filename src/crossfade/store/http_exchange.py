"""One HTTP exchange with a service that keeps records: bounded, exact, nothing followed."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from crossfade.errors import StoreError, StoreOutcomeUnknownError, StoreUnreachableError

CONNECTIONS_MAX = 16
BODY_BYTES_MAX = 16 * 1024 * 1024
"""A longer answer is no record, and no page of some hundred."""
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete answer."""

    status: int
    tag: str
    """The strong entity tag; empty where there is none."""
    body: bytes


class HttpExchange:
    """Sends requests of one store; what an error means depends on whether one was sent."""

    def __init__(self, name: str, headers: Mapping[str, str], seconds_max: float) -> None:
        """Open nothing.

        Args:
            name: what messages call the service; holds no secret.
            headers: sent with each request.
            seconds_max: longest wait for one answer.

        """
        self._name = name
        self._headers = {"Accept-Encoding": "identity", "Accept": "application/json", **headers}
        self._seconds = seconds_max
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        address: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send one request and read the whole answer.

        Raises:
            StoreUnreachableError: there was no connection: certainly not sent.
            StoreOutcomeUnknownError: sent, and not answered completely.
            StoreError: the answer is longer than a record can be, or compressed unasked.

        """
        try:
            async with self._opened().request(
                method,
                URL(address, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                return HttpAnswer(answer.status, _tag(answer), await self._body(answer))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise StoreUnreachableError(
                f"{self._name} takes no connection ({type(error).__name__}). "
                "See whether the service runs."
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise StoreOutcomeUnknownError(
                f"{self._name} did not answer a {method} completely ({type(error).__name__}): "
                "it may or may not take place."
            ) from error

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise StoreError(f"{self._name} compresses its answers unasked. Turn that off for us.")
        pieces, size = [], 0
        async for piece in answer.content.iter_chunked(_PIECE_BYTES):
            size += len(piece)
            if size > BODY_BYTES_MAX:
                raise StoreError(f"an answer of {self._name} has over {BODY_BYTES_MAX} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._seconds),
                auto_decompress=False,
                headers=self._headers,
                trust_env=False,
                middlewares=(_sent_once,),
            )
        return self._session


class _CutOffError(aiohttp.ClientError):
    """The connection was cut behind a request; not of the kinds after which the client repeats."""


async def _sent_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep the client from sending a PUT or a DELETE again by itself: the first may act late."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == "GET":
            raise
        raise _CutOffError(type(error).__name__) from error


def _tag(answer: aiohttp.ClientResponse) -> str:
    tag = answer.headers.get("ETag", "")
    return "" if tag.startswith("W/") else tag
