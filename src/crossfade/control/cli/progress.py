"""Progress of long work on stderr: a bar on a terminal, a plain line every ten seconds off it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from crossfade.control.cli.desk import Desk
from crossfade.control.cli.output import coloured, harmless, note
from crossfade.seams.clock import SystemClock

TERMINAL_SECONDS = 0.2
"""Pause between two looks; a bar that moves seldom looks dead."""
PLAIN_SECONDS = 10.0
"""Pause between two lines off a terminal, so that a log stays readable."""
MINUTE = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """How far one entity is."""

    name: str
    done: int
    total: int
    rows_per_second: float
    eta_seconds: float | None
    waits_for: str | None

    def text(self) -> str:
        """Pace and time left, or what it waits for."""
        if self.waits_for and not self.rows_per_second:
            return f"waits: {harmless(self.waits_for)}"
        eta = f", {span(self.eta_seconds)} left" if self.eta_seconds is not None else ""
        return f"{self.rows_per_second:,.0f} rows/s{eta}"

    def line(self) -> str:
        """The same as one plain line."""
        done = min(self.done, self.total)
        share = f" ({100 * done / self.total:.0f} %)" if self.total else ""
        return f"{self.name}: {done:,} of about {self.total:,} rows{share}, {self.text()}"


Look = Callable[[], tuple[bool, list[Bar]]]
"""Whether the work has ended, and how far each entity is."""


def follow(desk: Desk, look: Look) -> None:
    """Show progress until the work has ended. Raises KeyboardInterrupt."""
    with _shower() as shower:
        while True:
            ended, bars = look()
            shower(bars)
            if ended:
                return
            desk.wait(TERMINAL_SECONDS)


class Telltale:
    """One line that says what is being looked at, on a terminal only."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    def tell(self, what: str) -> None:
        """Say it in place of what was said before."""
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{harmless(what)} …")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def span(seconds: float) -> str:
    """Seconds as a person says them: `40 s`, `12 min`, `3.5 h`."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < MINUTE * MINUTE:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / MINUTE / MINUTE:.1f} h"


@contextmanager
def _shower() -> Iterator[Callable[[list[Bar]], None]]:
    if sys.stderr.isatty():
        with _bars() as shower:
            yield shower
    else:
        yield _plain()


def _plain() -> Callable[[list[Bar]], None]:
    clock = SystemClock()
    told_at = clock.monotonic()

    def shower(bars: list[Bar]) -> None:
        nonlocal told_at
        if clock.monotonic() - told_at < PLAIN_SECONDS:
            return
        told_at = clock.monotonic()
        for bar in bars:
            note(bar.line())

    return shower


@contextmanager
def _bars() -> Iterator[Callable[[list[Bar]], None]]:
    console = Console(file=sys.stderr, no_color=not coloured(sys.stderr))
    tasks: dict[str, TaskID] = {}
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}", markup=False),
    )
    with Progress(*columns, console=console) as progress:

        def shower(bars: list[Bar]) -> None:
            for bar in bars:
                if bar.name not in tasks:
                    tasks[bar.name] = progress.add_task(bar.name, total=None, told="")
                total = max(bar.total, bar.done) or None
                progress.update(tasks[bar.name], completed=bar.done, total=total, told=bar.text())

        yield shower
