"""Where one side keeps an entity as documents: Redis, MongoDB; pure values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Self
from uuid import UUID

from crossfade.errors import DefinitionError
from crossfade.model.key_pattern import KeyPattern
from crossfade.model.store_description import without_secrets

FIELD_TYPES = (Decimal, bytes, datetime, date, time, UUID)
"""What a field may be declared to hold besides what JSON itself can tell apart."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list inside a document whose items have a key of their own, such as an invoice's lines."""

    key: str | tuple[str, ...]
    """The fields that identify an item within its document; items are kept in this order."""
    fields: tuple[str, ...] | None = None
    """Only these fields of an item are read and written; None is all of them."""

    @property
    def key_fields(self) -> tuple[str, ...]:
        """The fields of the key in order."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What the documents of one entity look like, wherever they are kept.

    Raises:
        DefinitionError: the description contradicts itself; nothing was opened.

    """

    key: Mapping[str, type] = field(default_factory=lambda: {"id": int})
    """The fields that identify a document, in order, each `int` or `str`."""
    fields: tuple[str, ...] | None = None
    """Only these fields, the key and the lists of `items` are read and written; None is all."""
    items: Mapping[str, Items] = field(default_factory=dict)
    """Lists whose items are put and compared one by one; any other list is one value."""
    types: Mapping[str, type] = field(default_factory=dict)
    """Field (`total`, `lines.price`) to what it holds, where JSON cannot say so itself: `Decimal`,
    `bytes`, `datetime`, `date`, `time`, `UUID`."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Field to value for documents that are made by a record that does not name the field."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        check_key_types(self.key)
        for path, type_ in self.types.items():
            if type_ not in FIELD_TYPES:
                names = ", ".join(one.__name__ for one in FIELD_TYPES)
                raise DefinitionError(f"types= of {path!r} must be one of {names}.")
        if set(self.items) & set(self.key):
            raise DefinitionError("a field of key= cannot be a list of items=. Rename one.")
        for name, items in self.items.items():
            if not items.key_fields or "" in items.key_fields:
                raise DefinitionError(f"items= of {name!r} need key=, which tells them apart.")

    @property
    def key_names(self) -> tuple[str, ...]:
        """The fields of the key in order."""
        return tuple(self.key)

    @property
    def key_types(self) -> tuple[type, ...]:
        """`int` or `str` for each field of the key."""
        return tuple(self.key.values())


def check_key_types(key: Mapping[str, type]) -> None:
    """Refuse a key without fields, or with a field that is no whole number and no text.

    Raises:
        DefinitionError: says how to write it.

    """
    if not key or not all(name and type_ in (int, str) for name, type_ in key.items()):
        raise DefinitionError('key= names fields with int or str, such as key={"id": int}.')


@dataclass(frozen=True, slots=True)
class _Addressed(Documents):
    """Documents behind one URL."""

    url: str
    """The server's address; may hold references such as `${env:NAME}`."""

    def with_url(self, resolve: Callable[[str], str]) -> Self:
        """The same description with its references resolved."""
        return replace(self, url=resolve(self.url))


@dataclass(frozen=True, slots=True, repr=False)
class RedisDocuments(_Addressed):
    """JSON documents in Redis or Valkey, one string value each; fenced by a script.

    The documents may be the service's own: fields that a mapping does not name are left alone.
    """

    documents: str
    """The Redis key of a document, with the fields of the key in braces: `customer:{id}`."""
    sequence: str | None = None
    """The Redis key of the counter that the service makes ids with (`INCR`), if it does: a flip
    moves it past the highest id."""
    durable: bool | None = None
    """Whether the server keeps every write that it confirmed through a restart of its own
    (`appendonly yes` and `appendfsync always`). None asks the server; say True only where it does
    not let itself be asked. Where it is not so, everything is copied again after a restart."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        Documents.__post_init__(self)
        if KeyPattern(self.documents, self.key).literal_start.startswith("crossfade:"):
            raise DefinitionError("keys that begin with crossfade: are ours. Use other ones.")

    def __repr__(self) -> str:
        """The description without the secrets of its URL."""
        return f"RedisDocuments({without_secrets(self.url)!r}, {self.documents!r})"


@dataclass(frozen=True, slots=True, repr=False)
class MongoCollection(_Addressed):
    """A collection of a MongoDB replica set; documents and fences change in one transaction.

    Not tested against a real server by this project: none could be had where it is built.
    """

    collection: str
    """The collection's name; the database is the one that the URL names."""

    def __repr__(self) -> str:
        """The description without the secrets of its URL."""
        return f"MongoCollection({without_secrets(self.url)!r}, {self.collection!r})"
