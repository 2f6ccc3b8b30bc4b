"""Records behind plain functions, sync or async; what cannot fence is `UnfencedStore`'s care."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from crossfade.errors import (
    ConfigurationError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_pattern import fits
from crossfade.model.store_functions import Functions
from crossfade.store.base import OK, PutResult, PutStatus, Record
from crossfade.store.listed_keys import checked_page
from crossfade.store.sql_dialect import CannotHoldError
from crossfade.store.table_shape import ColumnShape, TableShape

THREADS_MAX = 8
"""Functions that block run on so many threads."""


class FunctionRecords:
    """A `PlainStore` over the functions of one entity."""

    def __init__(self, description: Functions) -> None:
        self._functions = description
        self._seconds = description.answers_within_seconds
        self._threads: ThreadPoolExecutor | None = None
        self._running: dict[Key, Future[Any]] = {}
        """Puts on threads, by key: one that was given up goes on, and may write late."""

    @property
    def name(self) -> str:
        """See `PlainStore.name`."""
        return self._functions.name

    @property
    def key_types(self) -> tuple[type, ...]:
        """See `PlainStore.key_types`."""
        return self._functions.key_types

    @property
    def ordered(self) -> bool:
        """See `PlainStore.ordered`."""
        return self._functions.ordered

    @property
    def enumerable(self) -> bool:
        """See `PlainStore.enumerable`."""
        return self._functions.keys is not None

    @property
    def shape(self) -> TableShape:
        """See `PlainStore.shape`."""
        names = tuple(self._functions.key)
        columns = tuple(
            ColumnShape(name, type="", nullable=False, has_default=False, generated=False)
            for name in names
        )
        return TableShape(self.name, columns, key=names, ordered=self.ordered, open=True)

    def as_read(self, key: Key, record: Record) -> Record:
        """See `PlainStore.as_read`; functions keep values as they are."""
        if not fits(key, self.key_types):
            raise CannotHoldError("the key is not of the functions' key")
        identity = self._identity(key)
        for name, part in identity.items():
            given = record.get(name, part)
            if given != part or type(given) is not type(part):
                raise CannotHoldError(f"field {name!r} differs from the record's key")
        return {**record, **identity}

    async def answers(self) -> None:
        """See `PlainStore.answers`; functions are always there."""

    async def read(self, key: Key) -> Record | None:
        """See `PlainStore.read`."""
        if not fits(key, self.key_types):
            return None
        record = await self._asked(self._functions.read, _given(key))
        if record is None:
            return None
        if not isinstance(record, dict):
            raise StoreError(f"read of {self.name} gave no dict. Return the record, or None.")
        return {**self._identity(key), **record, **self._identity(key)}

    async def records(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `PlainStore.records`."""
        found: list[tuple[Key, Record]] = []
        left: KeyRange | None = range_
        while left is not None and len(found) < rows_max:
            limit = rows_max - len(found)
            keys = await self.keys(left, limit)
            # What was deleted since it was listed is left out, and the page filled up.
            for key in keys:
                record = await self.read(key)
                if record is not None:
                    found.append((key, record))
            left = KeyRange(keys[-1], range_.upper) if len(keys) >= limit else None
        return found

    async def keys(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `PlainStore.keys`."""
        if self._functions.keys is None:
            raise ConfigurationError(
                f"the keys of {self.name} cannot be listed. Give keys= of the Functions."
            )
        after = None if range_.lower is None else _given(range_.lower)
        listed = await self._asked(self._functions.keys, after, rows_max)
        keys = self._keys(listed)
        checked_page(keys, range_.lower, rows_max, ordered=self.ordered, name=self.name)
        if range_.upper is None or not self.ordered:
            return keys
        return [key for key in keys if range_.contains(key)]

    async def put(self, key: Key, record: Record | None, token: int) -> PutResult:  # noqa: ARG002 - they know none
        """See `PlainStore.put`."""
        if not fits(key, self.key_types):
            reason = "the key is not of the functions' key"
            return OK if record is None else PutResult(PutStatus.REFUSED, reason)
        if record is None:
            function = partial(self._functions.delete, _given(key))
        else:
            function = partial(self._functions.put, _given(key), dict(record))
        if key in self._running:
            raise StoreUnreachableError(f"{self.name}: an earlier call for the key still runs.")
        refused, unreachable = self._functions.refused, self._functions.unreachable
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                await self._call(function, key=key)
        except (*refused, *unreachable) as error:
            if limit.expired():
                # Ours, of a kind that they may name: the call was cut off and may go on.
                raise self._unknown(error) from error
            if isinstance(error, refused):
                reason = f"the function refuses the record ({type(error).__name__})"
                return PutResult(PutStatus.REFUSED, reason)
            raise StoreUnreachableError(f"{self.name}: {type(error).__name__}.") from error
        except Exception as error:
            raise self._unknown(error) from error
        return OK

    async def close(self) -> None:
        """See `PlainStore.close`; a function that runs is not waited for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _unknown(self, error: Exception) -> StoreOutcomeUnknownError:
        return StoreOutcomeUnknownError(
            f"{self.name} raised {type(error).__name__}: the put may or may not have taken place. "
            "Name what certainly did nothing in unreachable=, or in refused=."
        )

    async def _asked(self, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - what users return
        try:
            async with asyncio.timeout(self._seconds):
                return await self._call(function, *arguments)
        except TimeoutError as error:
            raise StoreUnreachableError(
                f"{self.name} did not return within {self._seconds:g} s."
            ) from error
        except self._functions.unreachable as error:
            raise StoreUnreachableError(f"{self.name}: {type(error).__name__}.") from error
        except Exception as error:
            raise StoreError(f"{self.name} raised {type(error).__name__}. Mend it.") from error

    async def _call(
        self, function: Callable[..., Any], *arguments: object, key: Key | None = None
    ) -> Any:  # noqa: ANN401 - what users return
        """Await it, or run it on a thread; one that waits for a thread is not begun late."""
        if iscoroutinefunction(getattr(function, "func", function)):
            return await function(*arguments)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(
                THREADS_MAX, thread_name_prefix="crossfade-functions"
            )
        future = self._threads.submit(function, *arguments)
        if key is not None:
            self._running[key] = future
            future.add_done_callback(lambda _: self._running.pop(key, None))
        result = await asyncio.wrap_future(future)
        # A callable object may be async without being a coroutine function.
        return await result if isawaitable(result) else result

    def _keys(self, listed: object) -> list[Key]:
        if not isinstance(listed, Iterable):
            raise StoreError(f"keys of {self.name} gave no list. Return keys, ascending.")
        keys = [tuple(one) if isinstance(one, tuple | list) else (one,) for one in listed]
        if not all(fits(key, self.key_types) for key in keys):
            raise StoreError(f"keys of {self.name} gave what is no key. Correct it, or key=.")
        return keys

    def _identity(self, key: Key) -> Record:
        return dict(zip(self._functions.key, key, strict=True))


def _given(key: Key) -> object:
    """The key as a function takes it."""
    return key[0] if len(key) == 1 else key
