"""The writers' log: what each was about to do, and what it was told; never what crossfade says."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.acceptance.chinook.neutral import Key, Row

Outcome = Literal["done", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Change:
    """One row that a write makes, changes or deletes."""

    table: str
    kind: Literal["insert", "update", "delete"]
    key: Key | None
    """None for a row whose id the authority has yet to make."""
    fields: Row = field(default_factory=dict)
    """All columns of a new row, else those that change."""


@dataclass(slots=True)
class Write:
    """One write of one writer, from the first line about it to the last."""

    writer: str
    number: int
    began: int
    changes: list[Change]
    contested: bool = False
    """Whether other writers write the same record at the same time."""
    outcome: Outcome = "unknown"
    """What the writer was told; unknown too where it was killed before it was told anything."""
    ended: int | None = None


class Log:
    """One process's lines: each in one write, so that a kill leaves no half line that misleads."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def begin(self, write: Write) -> None:
        """Before the write."""
        self._line({"begin": asdict(write)})

    def end(self, write: Write) -> None:
        """What the writer was told, with the keys that it knows now."""
        write.ended = now()
        self._line({"end": asdict(write)})

    def wrong(self, told: str) -> None:
        """Something that must never be seen."""
        self._line({"wrong": told})

    def note(self, **told: Any) -> None:  # noqa: ANN401 - any number or text
        """Something to look at when a test has failed."""
        self._line({"note": told})

    def _line(self, document: dict[str, Any]) -> None:
        os.write(self._file, (json.dumps(document) + "\n").encode())


def now() -> int:
    """Nanoseconds on the machine's one monotonic clock, which all processes share."""
    return time.monotonic_ns()


@dataclass(slots=True)
class Told:
    """Everything that the writers of a migration have noted."""

    writes: list[Write] = field(default_factory=list)
    """Each writer's in its order."""
    wrong: list[str] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)


def read_log(files: list[Path]) -> Told:
    """Read the logs of several processes."""
    told = Told()
    for file in files:
        found: dict[tuple[str, int], Write] = {}
        for what, content in _lines(file):
            if what == "wrong":
                told.wrong.append(content)
            elif what == "note":
                told.notes.append(content)
            else:
                write = _write(content)
                found[write.writer, write.number] = write
        told.writes.extend(found.values())
    return told


def _lines(file: Path) -> Iterator[tuple[str, Any]]:
    for line in file.read_text().split("\n")[:-1]:
        yield from json.loads(line).items()


def _write(document: dict[str, Any]) -> Write:
    changes = [
        Change(one["table"], one["kind"], _key(one["key"]), one["fields"])
        for one in document["changes"]
    ]
    return Write(**{**document, "changes": changes})


def _key(found: list[int] | None) -> Key | None:
    return None if found is None else tuple(found)
