"""The demo's story: what it says while it plays, and the board that a view shows beside it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(slots=True)
class Board:
    """The newest figures, for whoever looks on."""

    stage: str = "off"
    tally: dict[str, Any] = field(default_factory=dict)
    """What the callers counted; see `traffic_tally`."""
    requests_per_second: float = 0.0
    dirty_keys: int = 0
    open_intents: int = 0
    copied: dict[str, float] = field(default_factory=dict)
    """Share of each entity that the sweep has copied, in [0, 1]."""
    canary_percent: float = 0.0
    kills: int = 0


class View(Protocol):
    """Where the story is told."""

    def open(self) -> None:
        """Begin."""

    def close(self) -> None:
        """Nothing more will be told; may be repeated."""

    def tell(self, line: str) -> None:
        """One line, already with its time."""

    def show(self, board: Board) -> None:
        """The figures have changed."""


class Story:
    """Tells lines with their time, and keeps the board."""

    def __init__(self, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._clock = clock
        self._began = clock()
        self.board = Board()

    @property
    def seconds(self) -> float:
        """Since the story began."""
        return self._clock() - self._began

    def chapter(self, title: str) -> None:
        """Something new begins."""
        self._view.tell(f"{self.seconds:6.1f} s  {title}")

    def tell(self, line: str) -> None:
        """A sentence of the present chapter."""
        self._view.tell(f"{'':10}{line}")

    def typed(self, command: str) -> None:
        """The command that a user would type for what is done now."""
        self._view.tell(f"{'':10}$ crossfade {command}")

    def refresh(self) -> None:
        """Show the board as it is now."""
        self._view.show(self.board)
