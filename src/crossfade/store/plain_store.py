"""The port of what can be read and written and cannot refuse a copy from the past."""

from collections.abc import Sequence
from typing import Protocol

from crossfade.model.key import Key, KeyRange
from crossfade.store.base import PutResult, Record
from crossfade.store.table_shape import TableShape


class PlainStore(Protocol):
    """One entity behind an HTTP service or functions; `UnfencedStore` makes a `Store` of it."""

    @property
    def name(self) -> str:
        """Where it is, in words that hold no secret."""

    @property
    def key_types(self) -> tuple[type, ...]:
        """`int` or `str` for each part of the key."""

    @property
    def ordered(self) -> bool:
        """See `Store.ordered`."""

    @property
    def enumerable(self) -> bool:
        """Whether keys can be listed."""

    @property
    def shape(self) -> TableShape:
        """What records look like, for `doctor`."""

    def as_read(self, key: Key, record: Record) -> Record:
        """The fields that a record names, and its key, as a read gives them after a put.

        Raises:
            CannotHoldError: a put would be refused for the same reason.

        """

    async def answers(self) -> None:
        """See that there is somebody; raises `StoreUnreachableError` where nobody answers."""

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""

    async def records(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`; each record is whole, all of them no snapshot."""

    async def keys(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""

    async def put(self, key: Key, record: Record | None, token: int) -> PutResult:
        """Make the record so, or with None delete it; may be repeated.

        Raises:
            StoreOutcomeUnknownError: sent and not answered: it may take place later.
            StoreUnreachableError: certainly not applied.
            StoreError: it has ended, applied or not.

        """

    async def close(self) -> None:
        """Give everything back."""
