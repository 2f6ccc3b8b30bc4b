"""The program's own code: two functions, once on legacy's database and once on new's."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from migration import profiles, shop

LEGACY = "data/legacy.db"
NEW = "data/new.db"
BUSY_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class Profile:
    """What the rest of the program works with, whichever database it came from."""

    user_id: int
    name: str
    credit_cents: int


@contextmanager
def _database(file: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS_MAX)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def legacy_get_profile(user_id: int) -> Profile | None:
    """What the program did until now."""
    with _database(LEGACY) as database:
        row = database.execute(
            "SELECT FullName, Credit FROM Profile WHERE Id = ?", (user_id,)
        ).fetchone()
    return None if row is None else Profile(user_id, row[0], round(row[1] * 100))


def legacy_put_profile(profile: Profile) -> None:
    """What the program did until now."""
    with _database(LEGACY) as database:
        database.execute(
            "INSERT INTO Profile (Id, FullName, Credit) VALUES (?, ?, ?) ON CONFLICT (Id) "
            "DO UPDATE SET FullName = excluded.FullName, Credit = excluded.Credit",
            (profile.user_id, profile.name, profile.credit_cents / 100),
        )


@shop.operation(reads=profiles, key="user_id", legacy=legacy_get_profile)
def get_profile(user_id: int) -> Profile | None:
    """Read a profile; the body is the new way."""
    with _database(NEW) as database:
        row = database.execute(
            "SELECT first_name, last_name, credit_cents FROM people WHERE id = ?", (user_id,)
        ).fetchone()
    return None if row is None else Profile(user_id, f"{row[0]} {row[1]}".strip(), row[2])


@shop.operation(writes=profiles, key="profile.user_id", legacy=legacy_put_profile)
def put_profile(profile: Profile) -> None:
    """Write a profile; the body is the new way."""
    first, _, last = profile.name.partition(" ")
    with _database(NEW) as database:
        database.execute(
            "INSERT INTO people (id, first_name, last_name, credit_cents) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET first_name = excluded.first_name, "
            "last_name = excluded.last_name, credit_cents = excluded.credit_cents",
            (profile.user_id, first, last, profile.credit_cents),
        )
