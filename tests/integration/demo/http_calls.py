"""One HTTP call, plainly, as a demo test makes it."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

CALL_SECONDS_MAX = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The body's value."""
        return json.loads(self.body)


def call(method: str, url: str, body: object = None) -> Answer:
    """Send JSON, or bytes as they are, or nothing; any status is an answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        url, method=method, data=None if body is None else content
    )
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS_MAX) as response:  # noqa: S310
            return Answer(response.status, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read())
