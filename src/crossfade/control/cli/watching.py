"""Show something again and again until Ctrl-C: in place on a terminal, else one by one."""

import sys
from collections.abc import Callable
from typing import Any

from crossfade.control.cli.desk import Desk
from crossfade.control.cli.output import show

TERMINAL_SECONDS = 1.0
"""Pause between two looks on a terminal."""
PLAIN_SECONDS = 10.0
"""Pause between two looks off a terminal, so that a log stays readable."""

CLEAR = "\x1b[2J\x1b[H"


def watch(
    desk: Desk,
    look: Callable[[], dict[str, Any]],
    lines: Callable[[dict[str, Any]], list[str]],
    *,
    json: bool,
) -> None:
    """Show until interrupted; with `json` one document a line. Raises KeyboardInterrupt."""
    terminal = sys.stdout.isatty() and not json
    while True:
        document = look()
        if terminal:
            sys.stdout.write(CLEAR)
        show(document, lines(document), json=json)
        desk.wait(TERMINAL_SECONDS if terminal or json else PLAIN_SECONDS)
