"""A process of the backfill: copies the pages that it is asked for until nobody asks any more.

`python -m crossfade.backfill.child`, begun by `BackfillProcesses`. Messages come on standard input
and answers go to what was standard output; whatever a mapping prints goes to standard error.
"""

import asyncio
import gc
import os
import pickle
import struct
import sys
import threading
from dataclasses import replace
from typing import BinaryIO

from crossfade.backfill.page_copy import PageCopier
from crossfade.backfill.processes import Answer, Ask, Begin, OpenedSides, framed
from crossfade.errors import CrossfadeError, StoreError, StoreOutcomeUnknownError
from crossfade.seams.clock import SystemClock
from crossfade.seams.tasks import TaskOwner

_LENGTH = struct.Struct("!I")

GARBAGE_THRESHOLD = 200_000
"""Objects that are made before the collector looks for cycles among them."""
MAP_SLICE_ROWS = 1_000
"""Rows mapped at a stretch: nobody's request waits here."""


def main() -> int:
    """Copy pages until standard input ends."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(_serve(sys.stdin.buffer, answers))
    return 0


async def _serve(messages: BinaryIO, answers: int) -> None:
    # A page makes tens of thousands of objects that die together: no need to look at each.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)
    loop = asyncio.get_running_loop()
    tasks = TaskOwner()
    begin = _next(messages)
    if not isinstance(begin, Begin):
        return
    try:
        opened = await begin.open_sides()
    except CrossfadeError as error:
        _answer(answers, Answer(0, error=_portable(error)))
        return
    pages = _Pages(opened, begin, answers)

    def listen() -> None:
        while isinstance(ask := _next(messages), Ask):
            loop.call_soon_threadsafe(pages.begin, ask, tasks)
        # The node is gone, or wants us to end: a mapping that hangs must not outlive it.
        os._exit(0)

    threading.Thread(target=listen, daemon=True, name="backfill messages").start()
    await asyncio.Event().wait()


class _Pages:
    """Copies pages, each in a task."""

    def __init__(self, opened: OpenedSides, begin: Begin, answers: int) -> None:
        clock = SystemClock()
        options = replace(begin.options, map_slice_rows=MAP_SLICE_ROWS)
        self._copiers = {
            name: PageCopier(stores, clock, options)
            for name, stores in opened.sides.entities.items()
        }
        self._answers = answers

    def begin(self, ask: Ask, tasks: TaskOwner) -> None:
        """Copy a page, beside others."""
        tasks.spawn(self._copy(ask), name="backfill page")

    async def _copy(self, ask: Ask) -> None:
        try:
            copied = await self._copiers[ask.asked.entity].copy(ask.asked)
        except CrossfadeError as error:
            answer = Answer(ask.number, error=_portable(error))
        except TimeoutError:
            late = StoreOutcomeUnknownError("a side did not answer in time.")
            answer = Answer(ask.number, error=late)
        except Exception as error:  # noqa: BLE001 - told to the node, which runs the chunk again
            failed = StoreError(f"a process of the backfill failed: {type(error).__name__}.")
            answer = Answer(ask.number, error=failed)
        else:
            answer = Answer(ask.number, copied)
        _answer(self._answers, answer)


def _portable(error: CrossfadeError) -> CrossfadeError:
    """The error as it can travel: its class and its words."""
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - what we made ourselves
    except Exception:  # noqa: BLE001 - some errors want more than their words
        return StoreError(str(error))
    return again if isinstance(again, CrossfadeError) else StoreError(str(error))


def _next(messages: BinaryIO) -> object:
    """The next message, or None at the end."""
    head = messages.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return pickle.loads(messages.read(_LENGTH.unpack(head)[0]))  # noqa: S301 - of our own node


def _answer(answers: int, answer: Answer) -> None:
    left = memoryview(framed(answer))
    try:
        while left:
            left = left[os.write(answers, left) :]
    except OSError:
        # Nobody listens any more.
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
