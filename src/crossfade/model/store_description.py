"""Where one side keeps one entity, described as a pure value; the assembly makes a store of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode, urlsplit

from crossfade.errors import DefinitionError

_SECRET_WORDS = ("pass", "secret", "token", "key")


@dataclass(frozen=True, slots=True, repr=False)
class SqlTable:
    """One table of a database; with `children` an aggregate of several tables.

    Raises:
        DefinitionError: the description contradicts itself; nothing was opened.

    """

    url: str
    """`postgresql://user@host:5432/database`, `mariadb://user@host:3306/database` (or `mysql://`),
    `sqlite:///relative.db`, `sqlite:////absolute.db`, or the path of an SQLite file."""
    table: str
    """The table's exact name; of PostgreSQL `schema.table` where the search path does not find it.
    """
    key: str | tuple[str, ...] = ()
    """The columns that identify a row; a child's default is its primary key."""
    children: Mapping[str, "SqlTable"] | None = None
    """Name in the record to the table whose rows belong to a row of this one."""
    parent: str | tuple[str, ...] | None = None
    """For a child: its columns that point to the parent's key, in the order of that key."""
    columns: tuple[str, ...] | None = None
    """Only these columns, and the key, are read and written; None is all of them."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Column to value for rows that are inserted by a record that does not name the column."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.table == "":
            raise DefinitionError(f"{self!r} names no table. Give the table's exact name.")
        for name in (self.table, *self.key_columns, *self.parent_columns):
            if "\0" in name:
                raise DefinitionError(f"{self!r} has a name with a NUL. Give the exact names.")
        _refuse_repeated("key=", self.key_columns, self.table)
        _refuse_repeated("parent=", self.parent_columns, self.table)
        for name, child in (self.children or {}).items():
            self._check_child(name, child)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The key's columns in order; empty where the primary key is meant."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def parent_columns(self) -> tuple[str, ...]:
        """The columns that point to the parent's key; empty for what is no child."""
        if self.parent is None:
            return ()
        return (self.parent,) if isinstance(self.parent, str) else tuple(self.parent)

    def with_url(self, resolve: Callable[[str], str]) -> "SqlTable":
        """The same description with every URL resolved, children's included."""
        children = {name: child.with_url(resolve) for name, child in (self.children or {}).items()}
        return replace(self, url=resolve(self.url), children=children)

    def __repr__(self) -> str:
        """The description without the secrets of its URL."""
        parts = [repr(without_secrets(self.url)), repr(self.table)]
        if self.key_columns:
            parts.append(f"key={self.key!r}")
        if self.children:
            parts.append(f"children={dict(self.children)!r}")
        if self.parent is not None:
            parts.append(f"parent={self.parent!r}")
        if self.columns is not None:
            parts.append(f"columns={self.columns!r}")
        if self.defaults:
            parts.append(f"defaults for {sorted(self.defaults)!r}")
        return f"SqlTable({', '.join(parts)})"

    def _check_child(self, name: str, child: "SqlTable") -> None:
        where = f"the child {name!r} of table {self.table!r}"
        if not child.parent_columns:
            raise DefinitionError(
                f"{where} needs parent=: its columns that hold the parent's key."
            )
        if child.children:
            raise DefinitionError(f"{where} has children of its own. Make it an entity instead.")
        if child.url != self.url:
            raise DefinitionError(f"{where} is in another database. Use the parent's URL.")
        if self.key_columns and len(child.parent_columns) != len(self.key_columns):
            raise DefinitionError(
                f"{where} points to its parent by {len(child.parent_columns)} column(s), the "
                f"parent's key has {len(self.key_columns)}. Name as many, in the same order."
            )


def without_secrets(url: str) -> str:
    """The URL as it may be shown: no password, no secret parameter."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an unreadable URL)"
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    shown = f"{user}:***" if colon else user
    query = parts.query
    if any(word in query.lower() for word in _SECRET_WORDS):
        pairs = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(name, _masked(name, value)) for name, value in pairs], safe="*")
    question = f"?{query}" if query else ""
    return f"{parts.scheme}://{shown}{at}{host}{parts.path}{question}"


def _masked(name: str, value: str) -> str:
    secret = any(word in name.lower() for word in _SECRET_WORDS)
    return "***" if secret else value


def _refuse_repeated(argument: str, names: Sequence[str], table: str) -> None:
    if len(set(names)) != len(names):
        raise DefinitionError(f"{argument} of table {table!r} names a column twice. Remove one.")
    if "" in names:
        raise DefinitionError(f"{argument} of table {table!r} names no column. Give its name.")
