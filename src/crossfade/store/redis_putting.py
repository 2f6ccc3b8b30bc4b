"""Puts of documents in Redis: read, merge, and write by a script only what was not changed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.errors import ConfigurationError, StoreError, StoreUnreachableError
from crossfade.model.key import Key, encode_key
from crossfade.model.key_pattern import KeyPattern
from crossfade.store import redis_scripts
from crossfade.store.base import OK, BatchResult, Fence, PutResult, PutStatus, Record
from crossfade.store.document_form import Document, DocumentForm, encoded, parsed
from crossfade.store.ordered_text import ordered_bytes
from crossfade.store.redis_connection import Answer
from crossfade.store.redis_database import RedisDatabase
from crossfade.store.sql_dialect import CannotHoldError

FENCED = PutResult(PutStatus.FENCED, "a higher token was seen for this key")
_EPOCHS = {
    b"no epoch": "the server has no epoch of the migration",
    b"ledger": "the server is fenced by another ledger or incarnation",
    b"epoch": "the server has another epoch",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One document as it shall be; without a form only the token is kept."""

    fence_key: str
    index_key: str
    place: str
    """The document's Redis key; empty where no document can have that key."""
    name: bytes
    """The key in the hash of tokens."""
    token: int
    member: bytes
    """The key in the sorted index."""
    form: DocumentForm | None = None
    document: Document | None = None
    """The mapped fields; None deletes."""

    @property
    def only_token(self) -> bool:
        """Whether no document is touched."""
        return self.form is None


def member_of(key: Key, place: str) -> bytes:
    """A key in the sorted index: bytes that sort as the key does, and where its document is."""
    order = ordered_bytes(key)
    return order + place.encode() + b"%08x" % len(order)


class RedisPutting:
    """What the stores of one entity do to put; a put is one script."""

    def __init__(
        self, database: RedisDatabase, entity: str, form: DocumentForm, pattern: KeyPattern
    ) -> None:
        self._database = database
        self._form = form
        self._pattern = pattern
        self._fence_key = database.fence_key(entity)
        self._index_key = database.index_key(entity)

    def wanted(self, key: Key, record: Record | None, token: int) -> Wanted:
        """What a record asks for.

        Raises:
            CannotHoldError: the documents cannot hold it.

        """
        place = self._pattern.format(key)
        if record is None:
            return self._wanted(key, place, token, touches=place is not None)
        if place is None:
            raise CannotHoldError("the key has no text of its own in the documents' keys")
        document = self._form.bound(key, record)
        return self._wanted(key, place, token, touches=True, document=document)

    async def put(self, records: Sequence[tuple[Key, Record | None]], fence: Fence) -> BatchResult:
        """Put all records but the fenced ones, or none."""
        try:
            wanted = [self.wanted(key, record, fence.token) for key, record in records]
            result, fenced = await self.run(wanted, fence.epoch)
        except CannotHoldError as error:
            return BatchResult(PutResult(PutStatus.REFUSED, str(error)))
        return BatchResult(result, tuple(records[number][0] for number in fenced))

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """Keep the token of one key."""
        wanted = self._wanted(key, self._pattern.format(key), fence.token, touches=False)
        result, fenced = await self.run([wanted], fence.epoch)
        return FENCED if fenced else result

    async def run(
        self, wanted: Sequence[Wanted], epoch: int, *, all_or_none: bool = False
    ) -> tuple[PutResult, Sequence[int]]:
        """Put documents of any entities of the database; gives the numbers of the fenced ones.

        Raises:
            CannotHoldError: too much at once, or a document that is there is not to be merged.
            StoreOutcomeUnknownError: the script was sent and not answered.
            StoreUnreachableError: certainly not applied.

        """
        if len(wanted) > self._database.options.documents_at_once:
            raise CannotHoldError("more documents at once than one script should put")
        for _ in range(self._database.options.changed_tries):
            values = await self._script_values(wanted)
            keys = [self._database.state_key]
            keys += [text for one in wanted for text in (one.fence_key, one.index_key, one.place)]
            ledger, incarnation = self._database.ledger or ("", "")
            head = [ledger, str(incarnation), str(epoch)]
            tail = "all" if all_or_none else "some"
            answer = await self._run_script(keys, [*head, *values, tail])
            if answer[0] != b"changed":
                return self._ended(answer)
        raise StoreUnreachableError(
            f"documents on {self._database.name} change faster than they can be put. "
            "They are put again later."
        )

    def _ended(self, answer: Answer) -> tuple[PutResult, Sequence[int]]:
        state = answer[0]
        if state in (b"unprepared", b"restarted"):
            raise StoreUnreachableError(str(self._database.unprepared(state.decode())))
        if state in _EPOCHS:
            return PutResult(PutStatus.FENCED_EPOCH, _EPOCHS[state]), ()
        if state == b"wrong":
            raise CannotHoldError("what is stored under the document's key is no text value")
        return OK, [number - 1 for number in answer[1]]

    async def _script_values(self, wanted: Sequence[Wanted]) -> list[str | bytes]:
        places = [one.place for one in wanted if one.document is not None]
        found = dict(zip(places, await self._found(places), strict=True)) if places else {}
        values: list[str | bytes] = []
        size = 0
        for one in wanted:
            action, before, after = _change(one, found.get(one.place))
            size += len(after)
            self._check_size(len(after), size, len(wanted))
            values += [one.name, str(one.token), one.member, action, before, after]
        return values

    def _check_size(self, document: int, together: int, count: int) -> None:
        options = self._database.options
        if document > options.document_bytes_max:
            raise CannotHoldError(f"the document has over {options.document_bytes_max} bytes")
        if together > options.put_bytes_max and count > 1:
            raise CannotHoldError(f"the documents have over {options.put_bytes_max} bytes")

    async def _found(self, places: Sequence[str]) -> Answer:
        try:
            return await self._database.connections.read("MGET", *places)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    async def _run_script(self, keys: Sequence[str], values: Sequence[str | bytes]) -> Answer:
        try:
            return await self._database.script(redis_scripts.PUT, keys, values)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    def _wanted(
        self,
        key: Key,
        place: str | None,
        token: int,
        *,
        touches: bool,
        document: Document | None = None,
    ) -> Wanted:
        return Wanted(
            fence_key=self._fence_key,
            index_key=self._index_key,
            place=place or "",
            name=encode_key(key).encode(errors="surrogatepass"),
            token=token,
            member=b"" if place is None else member_of(key, place),
            form=self._form if touches else None,
            document=document,
        )


def _change(one: Wanted, found: bytes | None) -> tuple[str, str, bytes]:
    """What the script does, the hash of what it must find, and the document it writes."""
    if one.form is None:
        return "token", "", b""
    if one.document is None:
        return "delete", "", b""
    before = _parsed(found)
    after = encoded(one.form.merged(before, one.document))
    same = before is not None and encoded(before) == after
    return ("keep" if same else "set"), _hash(found), b"" if same else after


def _parsed(found: bytes | None) -> Document | None:
    try:
        return None if found is None else parsed(found)
    except StoreError as error:
        raise CannotHoldError("the document that is there is no JSON object") from error


def _hash(found: bytes | None) -> str:
    """Tells two states of a document apart; Redis offers no other hash."""
    return "" if found is None else hashlib.sha1(found, usedforsecurity=False).hexdigest()
