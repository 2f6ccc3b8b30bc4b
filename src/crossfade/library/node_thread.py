"""The node's event loop in a thread of its own: callers may be threads or other loops."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from contextvars import Context, copy_context
from typing import Generic, TypeVar

Opened = TypeVar("Opened")
Opening = Callable[[], AbstractAsyncContextManager[Opened]]


class NodeThread(Generic[Opened]):
    """Opens something on a loop of its own, keeps it open until `close`, and closes it there."""

    def __init__(self, opening: Opening[Opened], name: str) -> None:
        self._opening = opening
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = copy_context()
        self._ending: asyncio.Event | None = None
        self._opened: Future[Opened] = Future()
        self._ended: Future[None] = Future()
        self._close_asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> "Future[Opened]":
        """Begin; the future has what was opened, or what opening raised."""
        self._thread.start()
        return self._opened

    def close(self) -> "Future[None]":
        """Begin to end; the future has what closing raised. May be repeated."""
        self._close_asked.set()
        self.post(self._end)
        return self._ended

    def post(
        self, what: Callable[..., object], *values: object, context: Context | None = None
    ) -> bool:
        """Run something on the loop, in no caller's context unless one is given.

        False where the loop has ended.
        """
        if self._loop is None:
            return False
        context = context or self._context.copy()
        try:
            self._loop.call_soon_threadsafe(what, *values, context=context)
        except RuntimeError:
            return False
        return True

    @property
    def is_here(self) -> bool:
        """Whether the caller is on the loop itself, where waiting for it would never end."""
        return threading.get_ident() == self._thread.ident

    def _end(self) -> None:
        if self._ending is not None:
            self._ending.set()

    def _run(self) -> None:
        try:
            asyncio.run(self._keep_open())
        except BaseException as error:  # noqa: BLE001 - told to whoever started or closes it
            if self._opened.done():
                self._ended.set_exception(error)
                return
            self._ended.set_result(None)
            self._opened.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _keep_open(self) -> None:
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with self._opening() as opened:
            self._opened.set_result(opened)
            if not self._close_asked.is_set():
                await self._ending.wait()
