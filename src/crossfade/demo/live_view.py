"""Shows the demo: a live panel in a terminal, plain lines elsewhere."""

from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crossfade.demo.story import Board, View

RAIL = ("off", "shadow", "live", "completed")
"""The stages in the order in which the demo walks them."""
REFRESHES_PER_SECOND = 4
COLUMNS_MIN = 60
"""In a narrower terminal a panel would only be in the way."""


class PlainView:
    """One line after the other; figures are left to the lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def open(self) -> None:
        """See `View.open`."""

    def close(self) -> None:
        """See `View.close`."""

    def tell(self, line: str) -> None:
        """See `View.tell`."""
        self._stream.write(line + "\n")
        self._stream.flush()

    def show(self, board: Board) -> None:
        """See `View.show`."""


class TerminalView:
    """The story scrolls; under it a panel stays with stage, traffic and progress."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def open(self) -> None:
        """See `View.open`."""
        self._live.start()

    def close(self) -> None:
        """See `View.close`; the panel goes, the lines stay."""
        self._live.stop()

    def tell(self, line: str) -> None:
        """See `View.tell`."""
        self._console.print(_styled(line))

    def show(self, board: Board) -> None:
        """See `View.show`."""
        self._live.update(panel(board))


def make_view(stream: TextIO) -> View:
    """The view that fits where the story goes; NO_COLOR and TERM=dumb are heeded."""
    console = Console(file=stream, highlight=False)
    if console.is_terminal and not console.is_dumb_terminal and console.width >= COLUMNS_MIN:
        return TerminalView(console)
    return PlainView(stream)


def panel(board: Board) -> Panel:
    """The figures of the board, drawn."""
    tally = board.tally
    figures = Table.grid(padding=(0, 3))
    figures.add_row(
        f"[b]{board.requests_per_second:,.0f}[/b] requests/s",
        f"[b]{tally.get('acknowledged_writes', 0):,}[/b] writes acknowledged",
        f"[b]{_failures(board):,}[/b] failed",
        f"[b]{board.dirty_keys:,}[/b] dirty keys",
        f"[b]{board.canary_percent:g} %[/b] canary",
        f"[b]{board.kills}[/b] kills" if board.kills else "",
    )
    rows: list[Text | Table] = [_rail(board.stage), figures]
    if board.copied and min(board.copied.values()) < 1:
        rows.append(_sweeps(board.copied))
    return Panel(Group(*rows), title="crossfade demo", title_align="left")


def _failures(board: Board) -> int:
    return int(board.tally.get("failed", 0)) + int(board.tally.get("unknown", 0))


def _rail(stage: str) -> Text:
    rail = Text()
    for number, name in enumerate(RAIL):
        rail.append(" ── " if number else "", style="dim")
        here = name == stage
        rail.append(f"● {name}" if here else f"○ {name}", style="bold green" if here else "dim")
    return rail


def _sweeps(copied: dict[str, float]) -> Table:
    table = Table.grid(padding=(0, 2))
    for entity, share in copied.items():
        bar = ProgressBar(total=1.0, completed=share, width=30)
        table.add_row(f"copied {escape(entity)}", bar, f"{share:.0%}")
    return table


def _styled(line: str) -> Text:
    words = line.strip()
    if words.startswith("$ "):
        return Text(line, style="cyan")
    if not line.startswith(" " * 10):
        return Text(line, style="bold")
    return Text(line)
