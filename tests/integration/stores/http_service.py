"""A small real HTTP service that keeps invoices, and can be told to misbehave."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from aiohttp import web

from crossfade.codec import decode_exact, encode
from crossfade.model.store_documents import Items
from crossfade.model.store_http import HttpResource
from tests.integration.stores.invoices import Invoice, document_of, invoice_of

Misbehave = Callable[[web.Request], "web.Response | None"]


class HttpInvoices:
    """`/invoices/{id}` and a list of them, with entity tags."""

    def __init__(self) -> None:
        self.documents: dict[int, dict[str, Any]] = {}
        self.requests: list[tuple[str, int | None]] = []
        self.headers: list[dict[str, str]] = []
        self.misbehave: Misbehave = lambda _: None
        self.hang: asyncio.Event | None = None
        """While set and not fired, a PUT waits for it before it acts."""
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/invoices", self._list)
        app.router.add_route("*", "/invoices/{id}", self._item)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def resource(self, **overrides: Any) -> HttpResource:  # noqa: ANN401 - whatever it has
        """As a definition describes it."""
        values: dict[str, Any] = {
            "list": f"{self.url}/invoices?after={{after}}&limit={{limit}}",
            "listed": "$.items",
            "items": {"lines": Items(key="article")},
            "types": {"total": Decimal},
            "answers_within": "0.5s",
        }
        return HttpResource(f"{self.url}/invoices/{{id}}", **values | overrides)

    async def put(self, number: int, invoice: Invoice | None) -> None:
        """What the service does for its own callers."""
        if invoice is None:
            self.documents.pop(number, None)
        else:
            own = {"seen": self.documents.get(number, {}).get("seen", 0) + 1}
            self.documents[number] = document_of(number, invoice) | own

    def everything(self) -> dict[int, Invoice]:
        """What the service holds."""
        return {number: invoice_of(one) for number, one in self.documents.items()}

    async def _list(self, request: web.Request) -> web.Response:
        self._note(request, None)
        refused = self.misbehave(request)
        if refused is not None:
            return refused
        after = int(request.query.get("after", -(2**63)))
        numbers = sorted(number for number in self.documents if number > after)
        page = [self.documents[one] for one in numbers[: int(request.query["limit"])]]
        return web.Response(body=encode({"items": page}), content_type="application/json")

    async def _item(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        self._note(request, number)
        refused = self.misbehave(request)
        if refused is not None:
            return refused
        if request.method == "GET":
            return self._got(number)
        if self.hang is not None and request.method == "PUT":
            await asyncio.shield(self.hang.wait())
        if request.method == "DELETE":
            return web.Response(status=404 if self.documents.pop(number, None) is None else 204)
        wanted = request.headers.get("If-Match")
        if wanted is not None and wanted != self._tag(number):
            return web.Response(status=412)
        body = decode_exact(await request.read())
        if request.method == "PATCH":
            body = self.documents[number] | body
        self.documents[number] = body
        return web.Response(status=204)

    def _got(self, number: int) -> web.Response:
        if number not in self.documents:
            return web.Response(status=404)
        return web.Response(
            body=encode(self.documents[number]),
            content_type="application/json",
            headers={"ETag": self._tag(number)},
        )

    def _tag(self, number: int) -> str:
        return f'"{hash(encode(self.documents.get(number))):x}"'

    def _note(self, request: web.Request, number: int | None) -> None:
        self.requests.append((request.method, number))
        self.headers.append(dict(request.headers))
