"""What a command prints: results on stdout, the rest on stderr; hostile text made harmless."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from crossfade.codec import encode

CELL_CHARACTERS_MAX = 100
"""A longer cell is cut, so that a table stays a table."""

BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


def show(document: dict[str, Any], lines: Iterable[str], *, json: bool) -> None:
    """Print a result: the document itself, or the lines that tell it to a person."""
    if json:
        sys.stdout.write(encode(document).decode() + "\n")
    else:
        for line in lines:
            sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Say something beside the result."""
    sys.stderr.write(harmless(text) + "\n")
    sys.stderr.flush()


def complain(text: str) -> None:
    """One line about what went wrong."""
    note(f"error: {' '.join(text.split())}")


def harmless(text: str) -> str:
    """Text without control characters: data must not steer a terminal."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Rows in columns; the head in bold on a terminal. Without rows there is no head."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return []
    widths = [max(len(row[column]) for row in [list(head), *cells]) for column in range(len(head))]
    lines = [_padded(row, widths) for row in [list(head), *cells]]
    return [paint(lines[0], BOLD), *lines[1:]]


def paint(text: str, code: str, stream: TextIO | None = None) -> str:
    """The text in a colour where the stream is a terminal and NO_COLOR is not set."""
    return f"\x1b[{code}m{text}\x1b[0m" if coloured(stream or sys.stdout) else text


def coloured(stream: TextIO) -> bool:
    """Whether colours are wanted there."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def key_text(key: Sequence[object]) -> str:
    """A key as it is typed: one part as it is, several as a list."""
    return str(key[0]) if len(key) == 1 else encode(list(key)).decode()


def moment(at: float | None) -> str:
    """Wall-clock seconds as a time in UTC."""
    if not at:
        return "-"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _cell(value: object) -> str:
    text = harmless("-" if value is None else str(value))
    return text if len(text) <= CELL_CHARACTERS_MAX else text[: CELL_CHARACTERS_MAX - 1] + "…"


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
