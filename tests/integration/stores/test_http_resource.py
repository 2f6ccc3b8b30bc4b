"""Invoices behind an HTTP service: moved there and back; what it answers, and what it does not."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from crossfade.control.outline import Level, level_of
from crossfade.errors import (
    ConfigurationError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.model.key import EVERY_KEY, KeyRange
from crossfade.model.side import Side
from crossfade.model.store_http import HttpResource
from crossfade.opening import open_sides
from crossfade.store.base import Fence, PutStatus, StoreEpoch
from crossfade.store.from_url import Databases, open_store, resolved
from crossfade.store.unfenced import Standing
from crossfade.testing.manual_clock import ManualClock
from tests.integration.stores.http_service import HttpInvoices
from tests.integration.stores.invoices import LegacyService
from tests.integration.stores.walk import eventually, shop, walk_there_and_back

EPOCH = StoreEpoch("ledger-1", 1, 3)
WITHIN = 0.5
DOCUMENT = {"id": 7, "customer": {"name": "Ada"}, "total": Decimal("1.10"), "lines": []}


@pytest.fixture
async def service() -> AsyncIterator[HttpInvoices]:
    """A service that runs."""
    service = HttpInvoices()
    await service.start()
    yield service
    await service.stop()


class Opened:
    """A store of the service, on a clock that is moved by hand."""

    def __init__(self, description: HttpResource) -> None:
        self.clock = ManualClock()
        self.databases = Databases(
            "shop", standing=lambda: Standing(EPOCH, Side.LEGACY), clock=self.clock
        )
        self.description = description
        self.store: Any = None

    async def open(self) -> "Opened":
        """Open it, and let pass what an earlier process may have sent."""
        self.store = await open_store(self.description, "invoice", self.databases)
        await self.clock.advance(WITHIN + 0.01)
        return self

    def database(self) -> Any:  # noqa: ANN401 - of this kind
        """Its database in name."""
        return self.store._database  # noqa: SLF001 - to raise its epoch


@pytest.fixture
async def opened(service: HttpInvoices) -> AsyncIterator[Opened]:
    """A store of the service."""
    made = await Opened(service.resource()).open()
    yield made
    await made.databases.close()


async def test_an_aggregate_moves_behind_a_service_and_comes_back(
    service: HttpInvoices, tmp_path: Path
) -> None:
    """Level L3: no acknowledged write is lost on either side, through every stage and back."""
    legacy = LegacyService(tmp_path)
    migration = shop(legacy, service.resource())

    written = await walk_there_and_back(
        migration,
        tmp_path,
        {Side.LEGACY: legacy.put, Side.NEW: service.put},
        {Side.LEGACY: legacy.everything, Side.NEW: service.everything},
    )

    assert written > 200
    assert level_of(migration.entities["invoice"]) is Level.L3


async def test_a_mirror_that_lists_nothing_is_filled_all_the_same(
    service: HttpInvoices, tmp_path: Path
) -> None:
    """It is walked by the other side's keys; as legacy's store it is refused at opening."""
    legacy = LegacyService(tmp_path)
    unlisted = service.resource(list=None)
    migration = shop(legacy, unlisted)

    sides = await open_sides(migration, databases := Databases("shop"))
    await legacy.put(1, {"customer": "Ada", "total": Decimal(1), "lines": {}})
    await legacy.put(2, {"customer": "Bob", "total": Decimal(2), "lines": {}})
    await service.put(2, {"customer": "Bob", "total": Decimal(2), "lines": {}})
    await service.put(3, {"customer": "Eve", "total": Decimal(3), "lines": {}})
    found = await sides.entities["invoice"].new.keys_in_range(EVERY_KEY, 10)
    await databases.close()

    assert found == [(2,)]
    turned = shop(legacy, legacy.table())
    turned.entities["invoice"] = turned.entities["invoice"].__class__(
        name="invoice", legacy=unlisted, new=legacy.table(), to_new=dict, to_legacy=dict
    )
    with pytest.raises(ConfigurationError, match=r"cannot be listed.*Give list="):
        await open_sides(turned, Databases("shop"))


async def test_a_put_changes_the_mapped_fields_alone(
    service: HttpInvoices, opened: Opened
) -> None:
    """What the service has besides stays, and what is there already is not sent again."""
    await service.put(7, {"customer": "Bob", "total": Decimal(9), "lines": {"a": 1}})

    first = await opened.store.put((7,), DOCUMENT, Fence(5, 3))
    service.requests.clear()
    again = await opened.store.put((7,), DOCUMENT, Fence(6, 3))

    assert [first.status, again.status] == [PutStatus.OK, PutStatus.OK]
    assert service.documents[7] == {**DOCUMENT, "seen": 1}
    assert service.requests == [("GET", 7)]
    assert await opened.store.read((7,)) == {**DOCUMENT, "seen": 1}


async def test_a_patch_sends_the_mapped_fields(service: HttpInvoices) -> None:
    """For services that want it so; a record that does not exist is PUT."""
    opened = await Opened(service.resource(update="PATCH", items={})).open()
    await service.put(7, {"customer": "Bob", "total": Decimal(9), "lines": {}})

    await opened.store.put((7,), {"total": Decimal("2.50")}, Fence(5, 3))
    await opened.store.put((8,), {"id": 8, "total": Decimal(1)}, Fence(5, 3))
    await opened.databases.close()

    assert [service.documents[7]["total"], service.documents[8]["total"]] == [Decimal("2.50"), 1]
    assert service.documents[7]["customer"] == {"name": "Bob"}
    assert [method for method, _ in service.requests if method != "GET"] == ["PATCH", "PUT"]


@pytest.mark.parametrize("status", [400, 409, 422])
async def test_a_refusal_is_a_reason_without_the_answers_text(
    service: HttpInvoices, opened: Opened, status: int
) -> None:
    """The body of the answer may hold anything of anybody."""
    service.misbehave = lambda request: (
        web.Response(status=status, text="hunter2") if request.method == "PUT" else None
    )

    result = await opened.store.put((7,), DOCUMENT, Fence(5, 3))

    assert result.status is PutStatus.REFUSED
    assert str(status) in result.reason
    assert "hunter2" not in result.reason


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, StoreError),
        (301, StoreError),
        (500, StoreError),
        (429, StoreUnreachableError),
        (202, StoreOutcomeUnknownError),
        (502, StoreOutcomeUnknownError),
        (504, StoreOutcomeUnknownError),
    ],
)
async def test_what_an_answer_leaves_open_is_told(
    service: HttpInvoices, opened: Opened, status: int, error: type[StoreError]
) -> None:
    """Only what an intermediary may have made, or what was put off, may still act."""
    service.misbehave = lambda request: (
        web.Response(status=status) if request.method == "PUT" else None
    )

    with pytest.raises(StoreError) as raised:
        await opened.store.put((7,), DOCUMENT, Fence(5, 3))

    assert type(raised.value) is error


async def test_a_service_that_is_down_was_certainly_not_asked(
    service: HttpInvoices, opened: Opened
) -> None:
    """No connection, no doubt: the next put may go at once when it is back."""
    await service.stop()

    with pytest.raises(StoreUnreachableError):
        await opened.store.put((7,), DOCUMENT, Fence(5, 3))
    with pytest.raises(StoreUnreachableError):
        await opened.database().epoch()


async def test_nobody_puts_a_key_while_a_lost_put_may_act(
    service: HttpInvoices, opened: Opened
) -> None:
    """The late call lands first; what converges after `answers_within` is what stays."""
    service.hang = asyncio.Event()
    with pytest.raises(StoreOutcomeUnknownError):
        await opened.store.put((7,), DOCUMENT, Fence(5, 3))
    newer = {**DOCUMENT, "customer": {"name": "Newer"}}

    with pytest.raises(StoreUnreachableError, match="may still take place"):
        await opened.store.put((7,), newer, Fence(6, 3))
    with pytest.raises(StoreUnreachableError, match="may still take place"):
        await opened.database().raise_epoch(StoreEpoch("ledger-1", 1, 4))
    service.hang.set()
    service.hang = None
    other = await opened.store.put((8,), {**DOCUMENT, "id": 8}, Fence(7, 3))
    await opened.clock.advance(WITHIN + 0.01)
    late = await opened.store.put((7,), newer, Fence(8, 3))

    assert [other.status, late.status] == [PutStatus.OK, PutStatus.OK]
    assert service.documents[7]["customer"] == {"name": "Newer"}


@pytest.mark.parametrize("record", [DOCUMENT, None])
async def test_a_put_whose_connection_is_cut_is_not_sent_again(
    service: HttpInvoices, opened: Opened, record: dict[str, Any] | None
) -> None:
    """The first one may act late: after whatever a repetition was answered."""
    await opened.store.read((7,))

    def cut(request: web.Request) -> web.Response | None:
        if request.method != "GET" and request.transport is not None:
            request.transport.close()
        return None

    service.misbehave = cut
    with pytest.raises(StoreOutcomeUnknownError):
        await opened.store.put((7,), record, Fence(5, 3))
    service.misbehave = lambda _: None

    assert len([one for one, _ in service.requests if one != "GET"]) == 1
    with pytest.raises(StoreUnreachableError, match="may still take place"):
        await opened.store.put((7,), record, Fence(6, 3))


async def test_a_raised_epoch_that_was_given_up_is_waited_for_again(
    service: HttpInvoices, opened: Opened
) -> None:
    """Else a put of the epoch before would land on what has authority by then."""
    service.hang = asyncio.Event()
    put = asyncio.ensure_future(opened.store.put((7,), DOCUMENT, Fence(5, 3)))
    await eventually(lambda: ("PUT", 7) in service.requests, "the put is under way")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await opened.database().raise_epoch(StoreEpoch("ledger-1", 1, 4))
    service.hang.set()

    assert (await put).status is PutStatus.OK
    raised = await opened.database().raise_epoch(StoreEpoch("ledger-1", 1, 4))
    assert raised.epoch == 4


async def test_nothing_is_put_before_the_calls_of_an_earlier_process_have_ended(
    service: HttpInvoices,
) -> None:
    """A process that was killed may have sent a put a moment ago."""
    made = Opened(service.resource())
    made.store = await open_store(made.description, "invoice", made.databases)

    with pytest.raises(StoreUnreachableError, match="may still take place"):
        await made.store.put((7,), DOCUMENT, Fence(5, 3))
    await made.databases.close()

    assert ("PUT", 7) not in service.requests


async def test_a_lower_token_and_another_epoch_are_refused_from_memory(
    service: HttpInvoices, opened: Opened
) -> None:
    """Within one process nothing old comes after something newer."""
    await opened.store.put((7,), DOCUMENT, Fence(9, 3))

    lower = await opened.store.put((7,), {**DOCUMENT, "total": Decimal(0)}, Fence(8, 3))
    many = await opened.store.put_many([((7,), DOCUMENT), ((8,), {"id": 8})], Fence(8, 3))
    await opened.database().raise_epoch(StoreEpoch("ledger-1", 1, 4))
    before = await opened.store.put((7,), DOCUMENT, Fence(10, 3))

    assert lower.status is PutStatus.FENCED
    assert many.fenced == ((7,),)
    assert before.status is PutStatus.FENCED_EPOCH
    assert service.documents[7]["total"] == Decimal("1.10")


async def test_a_change_in_between_is_merged_and_not_overwritten(
    service: HttpInvoices, opened: Opened
) -> None:
    """With entity tags the put is made anew on what the service has by then."""
    await service.put(7, {"customer": "Bob", "total": Decimal(9), "lines": {}})
    changed: list[bool] = []

    def change_once(request: web.Request) -> web.Response | None:
        if request.method == "PUT" and not changed:
            changed.append(True)
            service.documents[7]["seen"] = 99
        return None

    service.misbehave = change_once

    await opened.store.put((7,), DOCUMENT, Fence(5, 3))

    assert service.documents[7]["seen"] == 99
    assert service.documents[7]["customer"] == {"name": "Ada"}


async def test_pages_of_the_list_are_walked_and_checked(
    service: HttpInvoices, opened: Opened
) -> None:
    """A list that does not go on, or is not sorted, is an error and no short walk."""
    for number in range(1, 8):
        await service.put(number, {"customer": "x", "total": Decimal(1), "lines": {}})

    assert await opened.store.keys_in_range(KeyRange((2,), (6,)), 10) == [(3,), (4,), (5,), (6,)]
    assert await opened.store.last_key() == (7,)
    assert await opened.store.key_after((1,), 3) == (4,)
    service.misbehave = lambda _: web.json_response({"items": [{"id": 2}, {"id": 1}]})
    with pytest.raises(StoreError, match="not sorted"):
        await opened.store.keys_in_range(EVERY_KEY, 10)
    with pytest.raises(StoreError, match="does not go on"):
        await opened.store.keys_in_range(KeyRange((2,)), 10)


async def test_secrets_come_by_reference_and_are_never_shown(
    service: HttpInvoices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the description nor in an error."""
    monkeypatch.setenv("SHOP_TOKEN", "hunter2")
    described = service.resource(headers={"Authorization": "Bearer ${env:SHOP_TOKEN}"})
    description = resolved(described, lambda text: text)
    assert isinstance(description, HttpResource)
    opened = await Opened(description).open()
    service.misbehave = lambda _: web.Response(status=403, text="hunter2")

    with pytest.raises(StoreError) as raised:
        await opened.store.read((7,))
    await opened.databases.close()

    assert service.headers[-1]["Authorization"] == "Bearer hunter2"
    assert service.headers[-1]["X-Crossfade-Via"] == "shop"
    assert "hunter2" not in f"{raised.value}{description!r}"


async def test_an_idempotency_key_tells_puts_apart(service: HttpInvoices, opened: Opened) -> None:
    """The same put has the same one; another token, key or body another."""
    for key, name, token in ((7, "a", 5), (7, "b", 6), (8, "a", 6)):
        record = {"id": key, "customer": {"name": name}}
        await opened.store.put((key,), record, Fence(token, 3))

    sent = [one["Idempotency-Key"] for one in service.headers if "Idempotency-Key" in one]
    assert len(set(sent)) == 3
    assert all(one.startswith("shop.invoice.") for one in sent)
