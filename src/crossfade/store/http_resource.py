"""Records behind GET, PUT and DELETE of a service; what cannot fence is `UnfencedStore`'s care."""

import asyncio
import hashlib
from collections.abc import Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from crossfade.codec import CodecError, decode_exact
from crossfade.errors import (
    ConfigurationError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.model.key import Key, KeyRange, encode_key
from crossfade.model.key_pattern import fits
from crossfade.model.store_description import without_secrets
from crossfade.model.store_http import HttpResource
from crossfade.store.base import OK, PutResult, PutStatus, Record
from crossfade.store.document_form import Document, DocumentForm, encoded, parsed
from crossfade.store.http_exchange import HttpAnswer, HttpExchange
from crossfade.store.listed_keys import checked_page
from crossfade.store.sql_dialect import CannotHoldError
from crossfade.store.table_shape import TableShape

_GONE = (404, 410)
_REFUSED = (400, 405, 409, 413, 414, 415, 422)
_NO_RIGHT = (401, 403)
_BETWEEN = (502, 504)
"""Answers that an intermediary may have made: the service itself may still act."""
_CHANGED = 412
_ACCEPTED = 202
_TOO_MANY = 429
_CHANGED_TRIES = 10
_LISTED_AT_ONCE = 500


class HttpRecords:
    """A `PlainStore`: one address a record."""

    def __init__(self, description: HttpResource, *, migration: str, entity: str) -> None:
        self._description = description
        self._form = DocumentForm(description)
        self._label = f"{migration}.{entity}"
        self._exchange = HttpExchange(
            self.name,
            # The gateway of the same migration refuses what comes from ourselves.
            {"X-Crossfade-Via": migration, **description.headers},
            description.answers_within_seconds,
        )

    @property
    def name(self) -> str:
        """See `PlainStore.name`."""
        return without_secrets(self._description.url)

    @property
    def key_types(self) -> tuple[type, ...]:
        """See `PlainStore.key_types`."""
        return self._description.key_types

    @property
    def ordered(self) -> bool:
        """See `PlainStore.ordered`."""
        return self._description.ordered

    @property
    def enumerable(self) -> bool:
        """See `PlainStore.enumerable`."""
        return self._description.list is not None

    @property
    def shape(self) -> TableShape:
        """See `PlainStore.shape`."""
        return self._form.shape(self.name)

    def as_read(self, key: Key, record: Record) -> Record:
        """See `PlainStore.as_read`."""
        return self._form.as_read(key, record)

    async def answers(self) -> None:
        """See `PlainStore.answers`; a connection is all that is asked for."""
        address = urlsplit(self._description.url)
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._description.answers_within_seconds):
                _, writer = await asyncio.open_connection(address.hostname, port)
        except (OSError, TimeoutError) as error:
            raise StoreUnreachableError(
                f"{self.name} takes no connection. See whether the service runs."
            ) from error
        writer.close()

    async def read(self, key: Key) -> Record | None:
        """See `PlainStore.read`."""
        address = self._address(key)
        if address is None:
            return None
        document, _ = await self._found(address)
        return None if document is None else self._form.record(key, document)

    async def records(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `PlainStore.records`."""
        found: list[tuple[Key, Record]] = []
        lower = range_.lower
        while len(found) < rows_max:
            limit = min(_LISTED_AT_ONCE, rows_max - len(found))
            page = await self._page(lower, limit)
            found += [
                (key, self._form.record(key, document))
                for key, document in page
                if range_.upper is None or not self.ordered or key <= range_.upper
            ]
            ended = len(page) < limit or (
                range_.upper is not None and self.ordered and (page[-1][0] >= range_.upper)
            )
            if ended:
                break
            lower = page[-1][0]
        return found

    async def keys(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `PlainStore.keys`."""
        return [key for key, _ in await self.records(range_, rows_max)]

    async def put(self, key: Key, record: Record | None, token: int) -> PutResult:
        """See `PlainStore.put`."""
        address = self._address(key)
        if address is None:
            if record is None:
                return OK
            return PutResult(PutStatus.REFUSED, "the key has no address of its own")
        if record is None:
            answer = await self._exchange.send("DELETE", address, headers=self._tags(key, token))
            return OK if answer.status in _GONE else self._ended(answer)
        try:
            return await self._put(address, key, self._form.bound(key, record), token)
        except CannotHoldError as error:
            return PutResult(PutStatus.REFUSED, str(error))

    async def close(self) -> None:
        """See `PlainStore.close`."""
        await self._exchange.close()

    async def _put(self, address: str, key: Key, wanted: Document, token: int) -> PutResult:
        for _ in range(_CHANGED_TRIES):
            found, tag = await self._found(address)
            whole = self._form.merged(found, wanted)
            if found is not None and encoded(found) == encoded(whole):
                return OK
            patch = found is not None and self._description.update == "PATCH"
            body = encoded(wanted if patch else whole)
            headers = self._tags(key, token, body)
            headers["Content-Type"] = f"application/{'merge-patch+json' if patch else 'json'}"
            if tag:
                headers["If-Match"] = tag
            method = "PATCH" if patch else "PUT"
            answer = await self._exchange.send(method, address, body=body, headers=headers)
            if answer.status != _CHANGED:
                return self._ended(answer)
        raise StoreUnreachableError(
            f"a record of {self.name} changes faster than it can be put. It is tried again."
        )

    async def _found(self, address: str) -> tuple[Document | None, str]:
        """What is there now, and its tag."""
        answer = await self._asked(address)
        if answer.status in _GONE:
            return None, ""
        return parsed(answer.body), answer.tag

    async def _page(self, after: Key | None, limit: int) -> list[tuple[Key, Document]]:
        answer = await self._asked(self._list_address(after, limit))
        try:
            values = decode_exact(answer.body)
        except CodecError as error:
            raise StoreError(f"the list of {self.name} is no JSON. Correct list=.") from error
        for name in self._description.listed.split(".")[1:]:
            values = values.get(name) if isinstance(values, dict) else None
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            raise StoreError(f"the list of {self.name} is no list of records. Correct listed=.")
        keys = [tuple(one.get(name) for name in self._description.key_names) for one in values]
        if not all(fits(key, self.key_types) for key in keys):
            raise StoreError(f"a record in the list of {self.name} has no key. Correct key=.")
        checked_page(keys, after, limit, ordered=self.ordered, name=self.name)
        return list(zip(keys, values, strict=True))

    async def _asked(self, address: str) -> HttpAnswer:
        """A complete answer to a GET that says what is there, or that nothing is."""
        try:
            answer = await self._exchange.send("GET", address)
        except StoreOutcomeUnknownError as error:
            raise StoreUnreachableError(f"{self.name} did not answer a GET.") from error
        if answer.status == 200 or answer.status in _GONE:  # noqa: PLR2004 - OK
            return answer
        if answer.status == _TOO_MANY or answer.status >= 500:  # noqa: PLR2004 - its own failure
            raise StoreUnreachableError(f"{self.name} answered {answer.status} to a GET.")
        raise self._wrong(answer)

    def _ended(self, answer: HttpAnswer) -> PutResult:
        """What the answer to a PUT, PATCH or DELETE says."""
        status = answer.status
        if status == _ACCEPTED or status in _BETWEEN:
            raise StoreOutcomeUnknownError(
                f"{self.name} answered {status}, which settles nothing: it may act later."
            )
        if 200 <= status < 300:  # noqa: PLR2004 - success
            return OK
        if status in _REFUSED:
            return PutResult(PutStatus.REFUSED, f"the service refuses the record ({status})")
        if status == _TOO_MANY:
            raise StoreUnreachableError(f"{self.name} answered 429: it wants fewer requests.")
        raise self._wrong(answer)

    def _wrong(self, answer: HttpAnswer) -> StoreError:
        hint = "See the service's log"
        if answer.status in _NO_RIGHT:
            hint = "Correct headers= of the HttpResource"
        elif 300 <= answer.status < 400:  # noqa: PLR2004 - redirects are not followed
            hint = "Give the address that it redirects to"
        return StoreError(f"{self.name} answered {answer.status}. {hint}.")

    def _tags(self, key: Key, token: int, body: bytes = b"") -> dict[str, str]:
        """The same put repeated has the same tag; another one never."""
        text = encode_key(key).encode(errors="surrogatepass") + b"\n" + body
        digest = hashlib.blake2b(text, digest_size=8).hexdigest()
        return {"Idempotency-Key": f"{self._label}.{token}.{digest}"}

    def _address(self, key: Key) -> str | None:
        """Where one record is; None for keys that no path can hold."""
        if not fits(key, self.key_types) or any(part in ("", ".", "..") for part in key):
            return None
        address = self._description.url
        for name, part in zip(self._description.key_names, key, strict=True):
            address = address.replace(f"{{{name}}}", quote(str(part), safe=""))
        return address

    def _list_address(self, after: Key | None, limit: int) -> str:
        if self._description.list is None:
            raise ConfigurationError(_no_list(self.name))
        parts = urlsplit(self._description.list)
        pieces = parts.query.split("&") if parts.query else []
        if after is None:
            pieces = [piece for piece in pieces if "{after}" not in piece]
        address = urlunsplit(parts._replace(query="&".join(pieces)))
        behind = "" if after is None else quote(str(after[0]), safe="")
        return address.replace("{after}", behind).replace("{limit}", str(limit))


def _no_list(name: str) -> str:
    return f"the records of {name} cannot be listed. Give list= of the HttpResource."
