"""One side's entity behind plain functions of the user's, described as a pure value."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossfade.model.service import seconds_of
from crossfade.model.store_documents import check_key_types

Keyed = Any
"""The key as a function takes it: the value of a key of one field, else a tuple."""

Read = Callable[[Keyed], dict[str, Any] | Awaitable[dict[str, Any] | None] | None]
Put = Callable[[Keyed, dict[str, Any]], object]
Delete = Callable[[Keyed], object]
Keys = Callable[[Keyed | None, int], Iterable[Keyed] | Awaitable[Iterable[Keyed]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """Records that functions read and put, `def` or `async def`; plain dicts, plain exceptions.

    They cannot refuse a copy from the past, so an entity with such a mirror is of level L3 (see
    `HttpResource`). A function that blocks runs on one of a few threads.

    Raises:
        DefinitionError: the description contradicts itself.

    """

    read: Read
    """`read(key)` gives the record, or None."""
    put: Put
    """`put(key, record)` makes the record's fields so and leaves others alone; may be repeated."""
    delete: Delete
    """`delete(key)`; what does not exist is deleted already."""
    keys: Keys | None = None
    """`keys(after, limit)` gives the first keys above one (None: from the start), ascending.
    Without it records can be put there, not copied from there."""
    key: Mapping[str, type] = field(default_factory=lambda: {"id": int})
    """The fields that identify a record, in order, each `int` or `str`."""
    ordered: bool = True
    """Whether `keys` sorts as numbers, or text by code point. It is checked."""
    refused: tuple[type[Exception], ...] = ()
    """What `put` and `delete` raise where a record will never be taken: it is quarantined."""
    unreachable: tuple[type[Exception], ...] = (ConnectionRefusedError,)
    """What they raise where certainly nothing was done. Anything else leaves the outcome open."""
    answers_within: str | float = "10s"
    """After that a call that was given up has certainly ended."""
    name: str = "functions"
    """What messages call them."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        check_key_types(self.key)
        seconds_of(self.answers_within)

    @property
    def fences(self) -> bool:
        """Whether the store refuses copies from the past."""
        return False

    @property
    def answers_within_seconds(self) -> float:
        """`answers_within` in seconds."""
        return seconds_of(self.answers_within)

    @property
    def key_types(self) -> tuple[type, ...]:
        """`int` or `str` for each field of the key."""
        return tuple(self.key.values())

    def with_url(self, resolve: Callable[[str], str]) -> "Functions":
        """The same description: functions have no address."""
        del resolve
        return self

    def __repr__(self) -> str:
        """The name alone."""
        return f"Functions({self.name!r})"
