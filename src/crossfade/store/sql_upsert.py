"""A fence row that only rises, for engines that know ON CONFLICT."""

from typing import TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

Upsert = TypeVar("Upsert", postgresql.Insert, sqlite.Insert)


def raised_on_conflict(statement: Upsert, fences: Table) -> Upsert:
    """The insert of a fence row, which raises the token that is there unless it is higher."""
    wanted = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(fences.primary_key),
        set_={
            "token": wanted.token,
            "authority_digest": wanted.authority_digest,
            "mirror_digest": wanted.mirror_digest,
        },
        where=fences.c.token <= wanted.token,
    )
