"""Each test of the gateway's sockets runs on every event loop that it may run on."""

import asyncio
import importlib.util
from collections.abc import Callable, Mapping


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of the standard library, and uvloop (an extra) where it is installed."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415 - an extra

        factories["uvloop"] = uvloop.new_event_loop
    return factories
