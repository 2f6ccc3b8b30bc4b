"""Fan-out of events; a listener that fails never reaches the caller."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from crossfade.observability.events import Event

Listener: TypeAlias = Callable[[Event], None]


class Hooks:
    """Tells every listener about every event, in the order in which they were added."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """Tell `listener` about everything from now on."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell everybody; never raises."""
        for listener in self._listeners:
            # A broken listener must not break a request, and cannot be told of as an event.
            with suppress(Exception):
                listener(event)
