"""Both migrations of Chinook with their operations, as a program that uses the library has."""

from collections.abc import Callable
from dataclasses import dataclass

from crossfade import Migration, SqlTable
from crossfade.model.entity import Entity
from tests.acceptance.chinook.entities import Leg, Table, first_legs, second_legs
from tests.acceptance.chinook.neutral import Key, Row
from tests.acceptance.chinook.services import Service, Written, service_at

LEGACY, NEW = "${env:CHINOOK_LEGACY}", "${env:CHINOOK_NEW}"
"""Where the two databases of a migration are."""
ANSWERS_WITHIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Operations:
    """What callers can do with one entity; on whichever side has authority."""

    create: Callable[[Row], Written]
    add: Callable[[Key, Row], Written]
    change: Callable[[Key, Row], Written]
    change_lines: Callable[[Key, str, list[Row], list[int]], Written]
    remove: Callable[[Key], Written]
    find: Callable[[Key], Row | None]


def first_migration() -> Migration:
    """From SQLite to PostgreSQL."""
    return _migration("chinook-first", first_legs())


def second_migration() -> Migration:
    """On from PostgreSQL to MariaDB."""
    return _migration("chinook-second", second_legs())


def declare_operations(
    migration: Migration, legacy_url: str, new_url: str
) -> dict[str, Operations]:
    """Entity -> its operations, each a function of both services."""
    legacy, new = service_at(legacy_url), service_at(new_url)
    return {
        name: _operations(migration, entity, legacy, new)
        for name, entity in migration.entities.items()
    }


def _migration(name: str, legs: list[Leg]) -> Migration:
    migration = Migration(name, answers_within=ANSWERS_WITHIN_SECONDS)
    for leg in legs:
        migration.entity(
            leg.entity,
            legacy=_sql_table(LEGACY, leg.legacy),
            new=_sql_table(NEW, leg.new),
            to_new=leg.to_new,
            to_legacy=leg.to_legacy,
            lossy=leg.lossy,
        )
    return migration


def _sql_table(url: str, table: Table) -> SqlTable:
    children = {
        name: SqlTable(url, child, key=key, parent=parent)
        for name, (child, key, parent) in table.children.items()
    }
    return SqlTable(url, table.name, key=table.key, children=children or None)


def _operations(migration: Migration, entity: Entity, legacy: Service, new: Service) -> Operations:
    """Each function twice: the decorated one is legacy's, as in a service that is to go."""
    mine, theirs = _functions(entity.name, legacy), _functions(entity.name, new)

    def named(what: str) -> str:
        return f"{entity.name}.{what}"

    keyed = migration.operation
    return Operations(
        create=keyed(writes=entity, new=theirs.create, created="id", name=named("create"))(
            mine.create
        ),
        add=keyed(writes=entity, new=theirs.add, key="key", name=named("add"))(mine.add),
        change=keyed(writes=entity, new=theirs.change, key="key", name=named("change"))(
            mine.change
        ),
        change_lines=keyed(
            writes=entity, new=theirs.change_lines, key="key", name=named("change_lines")
        )(mine.change_lines),
        remove=keyed(writes=entity, new=theirs.remove, key="key", name=named("remove"))(
            mine.remove
        ),
        find=keyed(reads=entity, new=theirs.find, key="key", name=named("find"))(mine.find),
    )


def _functions(table: str, service: Service) -> Operations:
    def create(row: Row) -> Written:
        return service.create(table, row)

    def add(key: Key, row: Row) -> Written:  # noqa: ARG001 - what crossfade knows the record by
        return service.add(table, row)

    def change(key: Key, fields: Row) -> Written:
        return service.change(table, key, fields)

    def change_lines(key: Key, total: str, added: list[Row], taken: list[int]) -> Written:
        return service.change_lines(key, total, added, taken)

    def remove(key: Key) -> Written:
        return service.remove(table, key)

    def find(key: Key) -> Row | None:
        return service.find(table, key)

    return Operations(create, add, change, change_lines, remove, find)
