"""The migration: where profiles are on both sides, and how a record translates."""

from typing import Any

from crossfade import Migration, SqlTable

shop = Migration("one-function")


def to_new(row: dict[str, Any]) -> dict[str, Any]:
    """A row of legacy's `Profile` as a row of new's `people`."""
    first, _, last = row["FullName"].partition(" ")
    return {
        "id": row["Id"],
        "first_name": first,
        "last_name": last,
        "credit_cents": round(row["Credit"] * 100),
    }


def to_legacy(row: dict[str, Any]) -> dict[str, Any]:
    """The way back, so that rolling back loses nothing."""
    return {
        "Id": row["id"],
        "FullName": f"{row['first_name']} {row['last_name']}".strip(),
        "Credit": row["credit_cents"] / 100,
    }


profiles = shop.entity(
    "profile",
    legacy=SqlTable("sqlite:///data/legacy.db", "Profile", key="Id"),
    new=SqlTable("sqlite:///data/new.db", "people", key="id"),
    to_new=to_new,
    to_legacy=to_legacy,
)
