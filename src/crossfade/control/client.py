"""Asking a running node over its control API; light, since every command may need it."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import urlencode, urlsplit

from crossfade.codec import CodecError, decode
from crossfade.control.documents import Document
from crossfade.control.endpoints import CHANGES, LOOKS
from crossfade.control.requests import Asked
from crossfade.errors import CrossfadeError, UnreachableError

ANSWER_SECONDS_MAX = 60.0
"""Longest wait for an answer; a change of authority is the longest thing that one waits for."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024
FAILED = 400
"""Statuses from here on are problems."""


class NodeRefusedError(CrossfadeError):
    """The node refused what was asked; carries the exit code of its error."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NodeGoneError(UnreachableError):
    """Nobody listens where the node said that it is."""


class Client:
    """One node's control API."""

    def __init__(self, url: str, token: str) -> None:
        address = urlsplit(url)
        self._host = address.hostname or ""
        self._port = address.port or 0
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def look(self, use_case: str, **asked: object) -> Document:
        """Ask for a document. Raises NodeGoneError, UnreachableError, NodeRefusedError."""
        given = {name: value for name, value in asked.items() if value is not None}
        query = urlencode(given, doseq=True)
        return self._ask("GET", LOOKS[use_case] + (f"?{query}" if query else ""), None)

    def change(self, use_case: str, asked: Asked) -> Document:
        """Ask for a change. Raises as `look`; after UnreachableError its outcome is unknown."""
        return self._ask("POST", CHANGES[use_case], json.dumps(asdict(asked)).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> Document:
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_SECONDS_MAX)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return _document(answer.status, answer.read(ANSWER_BYTES_MAX))
        except ConnectionRefusedError as error:
            raise NodeGoneError(
                f"no node answers at {self._host}:{self._port}. Start it with `crossfade up`."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"the node at {self._host}:{self._port} does not answer: "
                f"{str(error) or type(error).__name__}. See what `crossfade up` printed there."
            ) from error
        finally:
            connection.close()


def _document(status: int, body: bytes) -> Document:
    try:
        content: Mapping[str, object] = decode(body)
    except CodecError as error:
        raise UnreachableError(
            f"the answer ({status}) is no document: something else listens there. "
            "Stop it, or choose another control port."
        ) from error
    if status < FAILED:
        return dict(content)
    detail, code = content.get("detail"), content.get("exit_code")
    if not isinstance(detail, str) or not isinstance(code, int):
        raise UnreachableError(f"the node answered {status}. See what `crossfade up` printed.")
    raise NodeRefusedError(detail, code)
