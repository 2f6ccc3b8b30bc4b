"""The migration: flight changes in legacy's database and in the new service's own."""

from typing import Any

from crossfade import Migration, SqlTable

area = Migration("my-area")


def to_new(row: dict[str, Any]) -> dict[str, Any]:
    """A row of legacy's `FlightChange` as a row of the new service's `changes`."""
    return {"flight": row["Flight"], "delay_minutes": row["DelayMinutes"], "fare": row["Fare"]}


def to_legacy(row: dict[str, Any]) -> dict[str, Any]:
    """The way back."""
    return {"Flight": row["flight"], "DelayMinutes": row["delay_minutes"], "Fare": row["fare"]}


changes = area.entity(
    "change",
    legacy=SqlTable("sqlite:///data/legacy.db", "FlightChange", key="Flight"),
    new=SqlTable("sqlite:///data/new.db", "changes", key="flight"),
    to_new=to_new,
    to_legacy=to_legacy,
)
