"""What differs between engines when they compute digests, and what they have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, case, literal_column
from sqlalchemy.sql import func

from crossfade.model.key import Key
from crossfade.store.digests import Forms
from crossfade.store.sql_dialect import ColumnFacts, Cursor, Raw

Expression = ColumnElement[Any]

NUMBER, TEXT, BYTES = "number", "text", "bytes"
DATE, MOMENT, INSTANT = "date", "moment", "instant"
"""Portable forms: a number is written with the fewest digits, bytes as an x and hexadecimal
digits, a moment as `2026-01-31 12:00:00.000000AD`, an instant as the moment that it is in UTC.
"""

AS_DECLARED = "as "
"""Before a declared type: the text that the server writes of it, of which the record is made."""

FACTOR = 8
"""Binds more closely than plus and minus do."""

HEX_DIGITS = 15
"""Of an MD5, which are kept: 60 bits fit into every engine's whole numbers."""

_NULL = "~"
_STRANGE = "!"
"""Begins a value that has not the form that its column promises; it equals only itself."""
_END = "|"


@dataclass(frozen=True, slots=True)
class Form:
    """How one column takes part in a digest."""

    function: str
    name: str
    seed: int
    """Another one for each column, so that values which change places are seen."""


class EngineDigest(Protocol):
    """One engine's SQL for digests."""

    def forms(self, column: ColumnFacts) -> Forms:
        """The column's forms by function; the first function is the engine's own."""

    def value(self, column: Expression, facts: ColumnFacts, form: Form) -> Expression:
        """What stands for the column's value in that form, among the function's arguments."""

    def row(
        self, function: str, values: Sequence[Expression], forms: Sequence[str], seed: int
    ) -> Expression:
        """The digest of a row: a whole number of 64 bits."""

    def sums(self, digest: Expression) -> tuple[Expression, ...]:
        """Aggregates from which `joined` makes the sum of all digests."""

    def joined(self, sums: Sequence[Raw]) -> int:
        """The sum of all digests; without rows 0."""

    def quotient(self, number: Expression, by: Expression) -> Expression:
        """How many times one whole number is in another; neither is below zero."""

    def place(self, key: Expression, bounds: Sequence[Key]) -> Expression | None:
        """How many of the ascending bounds are below the key, whose JSON text it is given.

        None: the engine cannot tell for keys like these.
        """

    def slices(self, cursor: Cursor, fences: str) -> Sequence[tuple[Raw, Raw]] | None:
        """Bounds of parts of the fence table that are read one by one; None: by key."""

    def in_slice(self) -> Expression:
        """Whether a row lies in a slice, whose bounds are the parameters `from` and `to`."""


def quoted(text: str) -> Expression:
    """A constant text that is no parameter; only for constants of this package."""
    return literal_column(f"'{text}'")


def portable_part(
    column: Expression, value: Expression, form: str, written: Expression
) -> Expression:
    """One value of a portable row: told apart from its neighbours, from NULL, from empty text.

    Args:
        column: the column.
        value: the column in its form; NULL where a value has none, such as an infinite date.
        form: the form's name.
        written: the column as the engine writes it, for values that have not the form.

    """
    shown = func.concat(func.char_length(value), quoted(":"), value) if form == TEXT else value
    known = func.coalesce(shown, func.concat(quoted(_STRANGE), written))
    return func.concat(case((column.is_(None), quoted(_NULL)), else_=known), quoted(_END))


def portable_text(parts: Sequence[str | None]) -> str:
    """The same for values in Python."""
    return "".join([f"{_NULL if part is None else part}{_END}" for part in parts])


def portable_seed(seed: int) -> Expression:
    """How a portable row begins."""
    return quoted(f"{seed}{_END}")


def single_kind(bounds: Sequence[Key]) -> type | None:
    """`int` or `str` where every bound is one such part."""
    kinds = {tuple(map(type, bound)) for bound in bounds}
    if kinds == {(int,)}:
        return int
    return str if kinds == {(str,)} else None
