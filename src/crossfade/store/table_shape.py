"""A table as `doctor` shows and compares it: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column."""

    name: str
    type: str
    """The declared type, as written in the schema; may be empty."""
    nullable: bool
    has_default: bool
    """Whether a row may be inserted that does not name the column, although it is not nullable."""
    generated: bool
    """Computed by the database, so never put."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table, with the tables of an aggregate's children."""

    table: str
    columns: tuple[ColumnShape, ...]
    """Those that records have, in the table's order."""
    key: tuple[str, ...]
    ordered: bool
    """Whether keys are ordered, and equal, as in Python."""
    parent: tuple[str, ...] = ()
    parent_indexed: bool = True
    """For a child: whether its rows are found without reading the whole table."""
    children: Mapping[str, "TableShape"] = field(default_factory=dict)
    open: bool = False
    """Whether records may have columns that are not listed, as documents do."""

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that every inserted record must name."""
        return tuple(
            column.name
            for column in self.columns
            if not (column.nullable or column.has_default or column.generated)
        )
