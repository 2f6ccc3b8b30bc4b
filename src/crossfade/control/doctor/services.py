"""Look at both services: whether each takes a connection."""

import asyncio
import os
from urllib.parse import urlsplit

from crossfade.control.doctor.findings import Finding, fine, problem
from crossfade.control.exit_codes import ExitCode
from crossfade.errors import CrossfadeError
from crossfade.model.service import HttpService
from crossfade.model.side import Side
from crossfade.references import resolve_reference

CONNECT_SECONDS_MAX = 5.0
PORTS = {"http": 80, "https": 443}


async def look_at_service(side: Side, service: HttpService) -> list[Finding]:
    """Whether the service's address can be read, and somebody answers there."""
    what = f"{side} service"
    try:
        url = resolve_reference(service.url, os.environ)
        seconds = service.answers_within_seconds
    except CrossfadeError as error:
        return [problem(what, str(error), error.exit_code)]
    place = urlsplit(url)
    if place.scheme not in PORTS or not place.hostname:
        return [problem(what, "its address is no http:// or https:// URL: correct it")]
    host, port = place.hostname, place.port or PORTS[place.scheme]
    try:
        async with asyncio.timeout(min(CONNECT_SECONDS_MAX, seconds)):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or "no answer in time"
        return [
            problem(
                what,
                f"nobody answers at {host}:{port} ({reason}): start it, or correct its address",
                ExitCode.UNREACHABLE,
            )
        ]
    writer.close()
    return [fine(what, f"answers at {host}:{port}, calls end within {seconds:g} s")]
