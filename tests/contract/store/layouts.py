"""Tables that the suite needs, described so that every engine can make them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a column holds, in words that every engine has a type for."""

    WHOLE = "a whole number of 64 bits"
    TEXT = "text"
    NUMBER = "a floating-point number of 64 bits"
    DECIMAL = "a decimal that comes back as `Decimal`"
    BYTES = "bytes"


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    kind: Kind
    nullable: bool = True


@dataclass(frozen=True)
class Layout:
    """One table, and those of its children."""

    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    children: Mapping[str, "Layout"] = field(default_factory=dict)
    parent: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    """Column to the table whose one key column it points to."""
    defaults: Mapping[str, object] = field(default_factory=dict)


SIMPLE = Layout(
    table="customers",
    columns=(
        Column("id", Kind.WHOLE, nullable=False),
        Column("name", Kind.TEXT),
        Column("note", Kind.TEXT),
        Column("cents", Kind.WHOLE),
    ),
    key=("id",),
)

NAMED = Layout(
    table="countries",
    columns=(Column("code", Kind.TEXT, nullable=False), Column("name", Kind.TEXT)),
    key=("code",),
)

COMPOSITE = Layout(
    table="prices",
    columns=(
        Column("market", Kind.TEXT, nullable=False),
        Column("article", Kind.WHOLE, nullable=False),
        Column("cents", Kind.WHOLE),
    ),
    key=("market", "article"),
)

AGGREGATE = Layout(
    table="orders",
    columns=(
        Column("id", Kind.WHOLE, nullable=False),
        Column("status", Kind.TEXT),
    ),
    key=("id",),
    children={
        "lines": Layout(
            table="order_lines",
            columns=(
                Column("order_id", Kind.WHOLE, nullable=False),
                Column("line", Kind.WHOLE, nullable=False),
                Column("sku", Kind.TEXT),
                Column("remark", Kind.TEXT),
            ),
            key=("order_id", "line"),
            parent=("order_id",),
        ),
        "tags": Layout(
            table="order_tags",
            columns=(
                Column("order_number", Kind.WHOLE, nullable=False),
                Column("tag", Kind.TEXT, nullable=False),
            ),
            key=("tag",),
            parent=("order_number",),
        ),
    },
)

COMPOSITE_AGGREGATE = Layout(
    table="shelves",
    columns=(
        Column("house", Kind.TEXT, nullable=False),
        Column("number", Kind.WHOLE, nullable=False),
        Column("label", Kind.TEXT),
    ),
    key=("house", "number"),
    children={
        "books": Layout(
            table="books",
            columns=(
                Column("at_house", Kind.TEXT, nullable=False),
                Column("at_number", Kind.WHOLE, nullable=False),
                Column("title", Kind.TEXT, nullable=False),
            ),
            key=("at_house", "at_number", "title"),
            parent=("at_house", "at_number"),
        )
    },
)

UNIQUE = Layout(
    table="accounts",
    columns=(
        Column("id", Kind.WHOLE, nullable=False),
        Column("email", Kind.TEXT),
        Column("realm", Kind.TEXT),
        Column("login", Kind.TEXT),
    ),
    key=("id",),
    unique=(("email",), ("realm", "login")),
)

OWNERS = Layout(table="owners", columns=(Column("id", Kind.WHOLE, nullable=False),), key=("id",))

PETS = Layout(
    table="pets",
    columns=(Column("id", Kind.WHOLE, nullable=False), Column("owner_id", Kind.WHOLE)),
    key=("id",),
    references={"owner_id": "owners"},
)

VALUES = Layout(
    table="values of all kinds",
    columns=(
        Column("id", Kind.WHOLE, nullable=False),
        Column("whole", Kind.WHOLE),
        Column("text", Kind.TEXT),
        Column("number", Kind.NUMBER),
        Column("decimal", Kind.DECIMAL),
        Column("bytes", Kind.BYTES),
    ),
    key=("id",),
)

DEFAULTED = Layout(
    table="members",
    columns=(
        Column("id", Kind.WHOLE, nullable=False),
        Column("name", Kind.TEXT),
        Column("rank", Kind.TEXT, nullable=False),
    ),
    key=("id",),
    defaults={"rank": "guest"},
)

HOSTILE = Layout(
    table='"; DROP TABLE customers; --',
    columns=(
        Column('id" OR 1=1 --', Kind.WHOLE, nullable=False),
        Column("select", Kind.TEXT),
        Column("%s :p ?", Kind.TEXT),
        Column("Straße [1] `x`", Kind.TEXT),
    ),
    key=('id" OR 1=1 --',),
)
"""Names that a careless statement would run."""
