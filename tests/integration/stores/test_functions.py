"""Invoices behind plain functions, sync and async: moved there and back; what they raise."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from crossfade.errors import StoreError, StoreOutcomeUnknownError, StoreUnreachableError
from crossfade.model.key import EVERY_KEY, KeyRange
from crossfade.model.side import Side
from crossfade.model.store_functions import Functions
from crossfade.store.base import Fence, PutStatus, StoreEpoch
from crossfade.store.from_url import Databases, open_store
from crossfade.store.unfenced import Standing
from crossfade.testing.manual_clock import ManualClock
from tests.integration.stores.invoices import Invoice, LegacyService, document_of, invoice_of
from tests.integration.stores.walk import eventually, shop, walk_there_and_back

EPOCH = StoreEpoch("ledger-1", 1, 3)


class Kept:
    """A dict that functions read and put."""

    def __init__(self) -> None:
        self.documents: dict[int, dict[str, Any]] = {}

    def read(self, number: int) -> dict[str, Any] | None:
        """See `Functions.read`."""
        return self.documents.get(number)

    def put(self, number: int, record: dict[str, Any]) -> None:
        """See `Functions.put`."""
        self.documents[number] = {**self.documents.get(number, {}), **record}

    def delete(self, number: int) -> None:
        """See `Functions.delete`."""
        self.documents.pop(number, None)

    def keys(self, after: int | None, limit: int) -> list[int]:
        """See `Functions.keys`."""
        numbers = sorted(self.documents)
        return [one for one in numbers if after is None or one > after][:limit]

    async def service_put(self, number: int, invoice: Invoice | None) -> None:
        """What the new service does for its callers."""
        if invoice is None:
            self.delete(number)
        else:
            self.put(number, document_of(number, invoice))

    def everything(self) -> dict[int, Invoice]:
        """What is kept."""
        return {number: invoice_of(one) for number, one in self.documents.items()}


def _awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    async def awaited(*arguments: Any) -> Any:  # noqa: ANN401 - as the function
        await asyncio.sleep(0)
        return function(*arguments)

    return awaited


def _functions(kept: Kept, *, asynchronous: bool, **more: Any) -> Functions:  # noqa: ANN401 - same
    wrap = _awaited if asynchronous else (lambda function: function)
    names = ("read", "put", "delete", "keys")
    calls = {name: wrap(getattr(kept, name)) for name in names}
    return Functions(**{**calls, "answers_within": "0.3s", **more})


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_aggregate_moves_through_functions_and_comes_back(
    tmp_path: Path, *, asynchronous: bool
) -> None:
    """No acknowledged write is lost on either side, through every stage and back."""
    legacy, kept = LegacyService(tmp_path), Kept()
    migration = shop(legacy, _functions(kept, asynchronous=asynchronous))

    written = await walk_there_and_back(
        migration,
        tmp_path,
        {Side.LEGACY: legacy.put, Side.NEW: kept.service_put},
        {Side.LEGACY: legacy.everything, Side.NEW: kept.everything},
    )

    assert written > 200


class Opened:
    """A store of functions, on a clock that is moved by hand."""

    def __init__(self, functions: Functions) -> None:
        self.clock = ManualClock()
        self.databases = Databases(
            "shop", standing=lambda: Standing(EPOCH, Side.LEGACY), clock=self.clock
        )
        self.functions = functions

    async def store(self) -> Any:  # noqa: ANN401 - of this kind
        """Open it, and let pass what an earlier process may have sent."""
        store = await open_store(self.functions, "invoice", self.databases)
        await self.clock.advance(2.0)
        return store


async def test_declared_exceptions_say_what_happened() -> None:
    """Refused for good, certainly not done, or open."""
    kept = Kept()

    def put(number: int, record: dict[str, Any]) -> None:
        raise {1: ValueError, 2: ConnectionRefusedError, 3: KeyError}[number](record)

    opened = Opened(_functions(kept, asynchronous=False, put=put, refused=(ValueError,)))
    store = await opened.store()

    refused = await store.put((1,), {"secret": "hunter2"}, Fence(5, 3))
    with pytest.raises(StoreUnreachableError):
        await store.put((2,), {}, Fence(5, 3))
    with pytest.raises(StoreOutcomeUnknownError) as raised:
        await store.put((3,), {"secret": "hunter2"}, Fence(5, 3))
    await opened.databases.close()

    assert refused.status is PutStatus.REFUSED
    assert "hunter2" not in f"{refused.reason}{raised.value}"


async def test_a_function_that_hangs_leaves_its_key_alone() -> None:
    """Given up after `answers_within`; its key waits, others do not."""
    kept, go_on = Kept(), Event()

    def put(number: int, record: dict[str, Any]) -> None:
        if number == 1:
            go_on.wait(5)
        kept.put(number, record)

    opened = Opened(_functions(kept, asynchronous=False, put=put, answers_within="1s"))
    store = await opened.store()
    with pytest.raises(StoreOutcomeUnknownError):
        await store.put((1,), {"name": "late"}, Fence(5, 3))

    with pytest.raises(StoreUnreachableError):
        await store.put((1,), {"name": "newer"}, Fence(6, 3))
    other = await store.put((2,), {"name": "b"}, Fence(6, 3))
    await opened.clock.advance(2.0)
    with pytest.raises(StoreUnreachableError, match="still runs"):
        await store.put((1,), {"name": "newer"}, Fence(6, 3))
    go_on.set()
    await eventually(lambda: kept.documents.get(1) is not None, "the late call lands")
    await eventually(lambda: (1,) not in store.plain._running, "and has ended")  # noqa: SLF001 - a look inside
    late = await store.put((1,), {"name": "newer"}, Fence(7, 3))
    await opened.databases.close()

    assert [other.status, late.status] == [PutStatus.OK, PutStatus.OK]
    assert kept.documents[1]["name"] == "newer"


async def test_our_own_limit_is_none_of_their_exceptions() -> None:
    """A call that was cut off may still act, also where `OSError` is declared unreachable."""
    kept = Kept()

    async def put(number: int, record: dict[str, Any]) -> None:
        await asyncio.Event().wait()
        kept.put(number, record)

    functions = _functions(kept, asynchronous=False, put=put, unreachable=(OSError,))
    opened = Opened(functions)
    store = await opened.store()

    with pytest.raises(StoreOutcomeUnknownError):
        await store.put((1,), {"name": "late"}, Fence(5, 3))
    with pytest.raises(StoreUnreachableError, match="may still take place"):
        await store.put((1,), {"name": "newer"}, Fence(6, 3))
    await opened.databases.close()


async def test_what_functions_return_is_checked() -> None:
    """No dict, no key, no order: an error that names the function, never a short walk."""
    kept = Kept()
    opened = Opened(
        _functions(kept, asynchronous=False, read=lambda _: "text", keys=lambda _, __: [2, 1])
    )
    store = await opened.store()

    with pytest.raises(StoreError, match="gave no dict"):
        await store.read((1,))
    with pytest.raises(StoreError, match="not sorted"):
        await store.keys_in_range(EVERY_KEY, 9)
    await opened.databases.close()


async def test_records_come_by_ascending_key() -> None:
    """Ranges are those of keys; a record has its key in it."""
    kept = Kept()
    opened = Opened(_functions(kept, asynchronous=True))
    store = await opened.store()
    await store.put_many([((number,), {"name": "x"}) for number in (3, 1, 2)], Fence(5, 3))

    found = await store.read_range(KeyRange((1,), (3,)), 9)
    await store.put((2,), None, Fence(6, 3))
    await opened.databases.close()

    assert found == [((2,), {"id": 2, "name": "x"}), ((3,), {"id": 3, "name": "x"})]
    assert await store.keys_in_range(EVERY_KEY, 9) == [(1,), (3,)]
