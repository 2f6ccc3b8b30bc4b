"""The shadow call: the new service asked over HTTP, its answer as the old service's own value."""

import json
import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from old_service import Outcome

SECONDS_MAX = 2.0


def outcome(flight: str) -> "Outcome":
    """What the new service says; same parameters and same result as the old function."""
    from old_service import Outcome, UnknownFlightError  # noqa: PLC0415 - it imports us

    url = f"{os.environ['NEW_URL']}/outcomes/{flight}"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS_MAX) as answer:  # noqa: S310 - ours
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:  # noqa: PLR2004 - not found
            raise UnknownFlightError(flight) from error
        raise
    except urllib.error.URLError as error:
        # Nobody answered: that says nothing about the new logic.
        raise ConnectionError(str(error.reason)) from error
    return Outcome(**found)
