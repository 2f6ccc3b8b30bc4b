"""Named places where a test, a simulation or an operator's drill may stop the process."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Protocol

from crossfade.errors import ConfigurationError

ENVIRONMENT_VARIABLE = "CROSSFADE_FAILPOINTS"
"""`name=N,...`: die by SIGKILL when the failpoint `name` is reached for the N-th time."""


class Failpoint(Protocol):
    """Called by name between two durable steps; does nothing unless it is armed."""

    async def __call__(self, name: str) -> None:
        """Go on, or never return: the process dies, the simulation raises, the test hangs."""


async def unarmed(name: str) -> None:
    """The failpoint of everyday: goes on."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class ArmedFailpoint:
    """Dies at chosen names, each at its chosen count."""

    def __init__(self, armed: Mapping[str, int], die: Callable[[], None] = _die) -> None:
        self._left = dict(armed)
        self._die = die

    async def __call__(self, name: str) -> None:
        """See `Failpoint`."""
        left = self._left.get(name)
        if left is None:
            return
        self._left[name] = left - 1
        if left == 1:
            self._die()


def failpoint_from_text(text: str) -> Failpoint:
    """`"writer.intent_open=3,chunk.copied=1"` as a failpoint; empty text arms nothing."""
    armed: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        try:
            armed[name.strip()] = int(count or "1")
        except ValueError as error:
            raise ConfigurationError(
                f'{ENVIRONMENT_VARIABLE}: "{part.strip()}" is no place and count. '
                'Write "chunk.put=2".'
            ) from error
    return ArmedFailpoint(armed) if armed else unarmed
