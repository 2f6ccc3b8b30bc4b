"""A mapping that only renames columns: declared, so that values are known to be the same."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Renames columns, and changes no value: as `to_new=` or `to_legacy=` of an entity.

    A record without one of the columns cannot be mapped; columns that are not named are left
    out, or kept under their names with `others`.
    """

    pairs: tuple[tuple[str, str], ...]
    """The name that a column has, and the name that it gets."""
    others: bool = False
    """Whether columns that are not named keep their names."""

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record under its other names."""
        renamed = {new: record[name] for name, new in self.pairs}
        if self.others:
            named = {name for name, _ in self.pairs}
            renamed |= {name: value for name, value in record.items() if name not in named}
        return renamed

    def inverse(self) -> "ColumnMapping":
        """The way back."""
        return ColumnMapping(tuple((new, name) for name, new in self.pairs), others=self.others)


def columns(
    names: Mapping[str, str] | Iterable[str] = (), *, others: bool = False
) -> ColumnMapping:
    """Declare a mapping that renames columns, such as `columns({"CustomerId": "id"})`.

    Unlike a function it can be turned round (`inverse()`), and both databases can compare the
    rows by themselves, which makes a verification many times as fast.

    Args:
        names: the name that a column has to the name that it gets; or names that stay.
        others: whether columns that are not named are kept, under their names.

    Raises:
        DefinitionError: two columns would get one name, or there is no column at all.

    """
    given = names if isinstance(names, Mapping) else {name: name for name in names}
    pairs = tuple(given.items())
    twice = [new for new in given.values() if list(given.values()).count(new) > 1]
    if twice:
        raise DefinitionError(f'columns() gives two columns the name "{twice[0]}". Rename one.')
    if not pairs and not others:
        raise DefinitionError("columns() names no column. Name them, or say others=True.")
    return ColumnMapping(pairs, others=others)


def renamed_columns(
    mapping: Callable[[dict[str, Any]], dict[str, Any]], names: Iterable[str]
) -> dict[str, str] | None:
    """Which column becomes which, of records with these columns; None where values may change.

    `dict` and `dict.copy` are mappings that change nothing.
    """
    present = tuple(names)
    if mapping in (dict, dict.copy):
        return {name: name for name in present}
    if not isinstance(mapping, ColumnMapping):
        return None
    named = dict(mapping.pairs)
    if not named.keys() <= set(present):
        return None
    if mapping.others:
        named |= {name: name for name in present if name not in named}
    return named if len(set(named.values())) == len(named) else None
