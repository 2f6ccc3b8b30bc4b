"""Whether a side's service is there: it takes a connection."""

import asyncio
import os
from urllib.parse import urlsplit

from crossfade.model.service import HttpService
from crossfade.references import resolve_reference


async def accepts_connections(service: HttpService) -> bool:
    """Whether the service takes a connection within the time that it may take to answer."""
    address = urlsplit(resolve_reference(service.url, os.environ))
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        async with asyncio.timeout(service.answers_within_seconds):
            _, writer = await asyncio.open_connection(address.hostname, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
