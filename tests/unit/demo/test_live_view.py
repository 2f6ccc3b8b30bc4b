"""The demo is shown as fits where it is shown."""

import io

from rich.console import Console

from crossfade.demo.live_view import PlainView, TerminalView, make_view, panel
from crossfade.demo.story import Board, Story


def drawn(board: Board) -> str:
    """The panel as text."""
    stream = io.StringIO()
    Console(file=stream, width=110).print(panel(board))
    return stream.getvalue()


def test_off_a_terminal_there_are_plain_lines() -> None:
    """A log gets the story and no control characters."""
    stream = io.StringIO()
    view = make_view(stream)
    story = Story(view, clock=lambda: 5.0)
    view.open()
    story.chapter("off")
    story.typed("up")
    story.tell("all is well")
    story.refresh()
    view.close()

    assert isinstance(view, PlainView)
    assert stream.getvalue().splitlines() == [
        "   0.0 s  off",
        "          $ crossfade up",
        "          all is well",
    ]


def test_in_a_terminal_lines_are_told_above_the_panel() -> None:
    """The story stays when the panel has gone."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    view = TerminalView(console)
    view.open()
    view.show(Board(stage="shadow"))
    view.tell("          a line [of] the story")
    view.close()
    view.close()

    assert "a line [of] the story" in stream.getvalue()


def test_the_panel_shows_stage_traffic_and_progress() -> None:
    """What somebody wants to see who looks on."""
    board = Board(
        stage="shadow",
        requests_per_second=178.4,
        tally={"acknowledged_writes": 1234, "failed": 1, "unknown": 2},
        dirty_keys=17,
        copied={"customer": 1.0, "order": 0.25},
        canary_percent=10,
        kills=2,
    )
    text = drawn(board)

    for figure in (
        "● shadow",
        "○ live",
        "178",
        "1,234",
        "3 failed",
        "17",
        "25%",
        "10 %",
        "2 kill",
    ):
        assert figure in text


def test_progress_goes_when_everything_is_copied() -> None:
    """A full bar says nothing."""
    assert "copied" in drawn(Board(copied={"customer": 0.5}))
    assert "copied" not in drawn(Board(copied={"customer": 1.0}))
    assert "copied" not in drawn(Board())
