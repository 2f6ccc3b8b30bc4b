"""The foreign keys between the tables that a migration's entities have in one database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crossfade.model.entity_graph import EntityLinks, LinkedTable, Reference, entity_graph
from crossfade.model.key import Key, RecordName
from crossfade.model.store_description import SqlTable
from crossfade.store.sql_dialect import Cursor, Raw, SqlDialect, TableFacts

Address = tuple[str | None, str]
"""Schema, if a statement must name it, and table."""


@dataclass(frozen=True, slots=True)
class Pointing:
    """A foreign key, as seen from the table that it points to."""

    entity: str
    """Whose rows point."""
    table: str
    owner: tuple[str, ...]
    """The columns there that hold its entity's key."""
    reference: Reference


@dataclass(frozen=True, slots=True)
class _Known:
    """What the catalogue said of the tables that were described so far."""

    tables: Mapping[tuple[str, str], LinkedTable] = field(default_factory=dict)
    """Group and table."""
    entities: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Group and table to the entity."""
    addresses: Mapping[str, Address] = field(default_factory=dict)
    """Of those tables, and of the ones that they point to."""
    pointing: dict[str, tuple[Pointing, ...]] = field(default_factory=dict)
    """Of tables that were asked for."""


class SchemaLinks:
    """Who points to whom in one database, by its catalogue; one object for all its stores.

    Two sides may live in one database: each is a group of its own, since an entity has tables of
    both. Foreign keys of tables that no entity has are not known here.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._described: dict[tuple[str, str], SqlTable] = {}
        self._groups: dict[str, str] = {}
        self._known = _Known()

    def describe(self, entity: str, description: SqlTable, group: str = "") -> None:
        """Make a table of an entity known before it is read; one that is known stays as it is."""
        children = description.children or {}
        if description.table in self._groups:
            return
        for one in (description, *children.values()):
            self._groups.setdefault(one.table, group)
        self._described.setdefault((group, entity), description)

    def group_of(self, table: str) -> str:
        """The group of a table that was described."""
        return self._groups.get(table, "")

    def read(self, cursor: Cursor, dialect: SqlDialect) -> None:
        """Read the foreign keys of every table that was described and is not known yet."""
        tables, entities = dict(self._known.tables), dict(self._known.entities)
        addresses = dict(self._known.addresses)
        existing: Mapping[str, bool] | None = None
        for (group, entity), description in list(self._described.items()):
            for one in (description, *(description.children or {}).values()):
                if (group, one.table) in tables:
                    continue
                existing = dialect.tables(cursor) if existing is None else existing
                # What is missing or a view is told where its own store is opened.
                if existing.get(one.table, True):
                    continue
                facts = dialect.table_facts(cursor, one.table)
                owner = one.parent_columns or one.key_columns or facts.primary_key
                tables[group, one.table] = _linked(facts, owner, existing)
                entities[group, one.table] = entity
                addresses[one.table] = (facts.schema, facts.table or facts.name)
        for linked in tables.values() if existing is not None else ():
            for reference in linked.references:
                if reference.table not in addresses:
                    address = _address_of(cursor, dialect, reference.table, existing or {})
                    addresses[reference.table] = address
        self._known = _Known(tables, entities, addresses)

    def of(self, entity: str, group: str) -> EntityLinks:
        """The tables of one entity."""
        known = self._known
        tables = [
            linked
            for (its_group, name), linked in known.tables.items()
            if its_group == group and known.entities[its_group, name] == entity
        ]
        return EntityLinks(entity, f"{self._place} {group}", tuple(tables))

    def address(self, table: str) -> Address:
        """Where a table is that was described, or that one of those points to."""
        return self._known.addresses.get(table, (None, table))

    def table(self, name: str) -> LinkedTable | None:
        """One table."""
        return self._known.tables.get((self.group_of(name), name))

    def pointing_to(self, table: str) -> tuple[Pointing, ...]:
        """The foreign keys that point to a table, those of the same table too."""
        known = self._known
        found = known.pointing.get(table)
        if found is None:
            known.pointing[table] = found = self._find_pointing(known, table)
        return found

    def _find_pointing(self, known: _Known, table: str) -> tuple[Pointing, ...]:
        group = self.group_of(table)
        return tuple(
            Pointing(known.entities[place], linked.name, linked.owner, reference)
            for place, linked in known.tables.items()
            for reference in linked.references
            if place[0] == group and reference.table == table
        )

    def name_of(
        self, reference: Reference, values: Sequence[Raw], group: str
    ) -> RecordName | None:
        """The record that values of a foreign key point to, if they tell its key."""
        place = (group, reference.table)
        linked = self._known.tables.get(place)
        if linked is None or not set(linked.owner).issubset(reference.referred):
            return None
        by_column = dict(zip(reference.referred, values, strict=True))
        key: Key = tuple(by_column[column] for column in linked.owner)
        if not all(type(part) in (int, str) for part in key):
            return None
        return RecordName(self._known.entities[place], key)

    def parents_first(self, entities: Sequence[str], group: str) -> tuple[str, ...]:
        """The entities in the order in which their rows may be inserted."""
        return entity_graph(entities, [self.of(entity, group) for entity in entities]).order


def _address_of(
    cursor: Cursor, dialect: SqlDialect, table: str, existing: Mapping[str, bool]
) -> Address:
    """Where a table is that no entity has; outside of what we see it is `database.table`."""
    if existing.get(table) is False:
        facts = dialect.table_facts(cursor, table)
        return facts.schema, facts.table or facts.name
    schema, dot, name = table.partition(".")
    return (schema, name) if dot else (None, table)


def _linked(
    facts: TableFacts, owner: tuple[str, ...], existing: Mapping[str, bool]
) -> LinkedTable:
    references = []
    for one in facts.foreign_keys:
        # SQLite keeps the name as it was written in the constraint.
        table = one.table if one.table in existing else _same_name(one.table, existing)
        columns = tuple(_same_name(name, [c.name for c in facts.columns]) for name in one.columns)
        found = [facts.column(name) for name in columns]
        optional = any(column is not None and column.nullable for column in found)
        references.append(Reference(columns, table, one.referred, one.cascades, optional))
    return LinkedTable(facts.name, owner, tuple(references))


def _same_name(name: str, names: "Sequence[str] | Mapping[str, bool]") -> str:
    if name in names:
        return name
    return next((one for one in names if one.casefold() == name.casefold()), name)
