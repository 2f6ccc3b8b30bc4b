"""A column's declared type, and how a column of it holds values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crossfade.store.sql_dialect import CannotHoldError, KeyKind, Raw

Convert = Callable[[Any], Raw]
"""From a value to what the column stores; raises `CannotHoldError` where it would change it."""

NONE = type(None)
"""The type of NULL."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the catalogue says of a column's type."""

    type: str
    """`bigint`, `varchar`, ... in lower case."""
    arguments: str = ""
    """What stands in parentheses."""
    unsigned: bool = False
    charset: str = ""
    length: int = 0
    """Characters, or bytes where the type counts bytes."""
    auto: bool = False
    """Whether NULL means something else: the next number, or now."""
    json: bool = False
    """Whether a CHECK says that the text is JSON."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers in parentheses."""
        return tuple(int(part) for part in self.arguments.split(",") if part.strip().isdigit())


@dataclass(frozen=True, slots=True)
class MariaDbValues:
    """The values of one column; the connection reads them as they are given on."""

    convert: Convert
    plain: frozenset[type]
    key_kind: KeyKind | None = None
    null_allowed: bool = True

    @property
    def reads_as_stored(self) -> bool:
        """See `ColumnValues.reads_as_stored`."""
        return True

    def to_raw(self, value: object) -> Raw:
        """See `ColumnValues.to_raw`."""
        if value is None:
            if not self.null_allowed:
                raise CannotHoldError("the database would put another value in the place of NULL")
            return None
        return self.convert(value)

    def from_raw(self, raw: Raw) -> object:
        """See `ColumnValues.from_raw`."""
        return raw


def a_kind(value: object) -> str:
    """What a value is, in words that do not show it."""
    return f"a {type(value).__name__}"
