"""Chinook's rows in neutral terms: the names of its PostgreSQL script, and values as text."""

from typing import Any

Row = dict[str, Any]
Key = tuple[int, ...]

_ADDRESS = ("address", "city", "state", "country", "postal_code", "phone", "fax", "email")

COLUMNS: dict[str, tuple[str, ...]] = {
    "artist": ("artist_id", "name"),
    "album": ("album_id", "title", "artist_id"),
    "genre": ("genre_id", "name"),
    "media_type": ("media_type_id", "name"),
    "track": (
        "track_id", "name", "album_id", "media_type_id", "genre_id", "composer", "milliseconds",
        "bytes", "unit_price",
    ),
    "playlist": ("playlist_id", "name"),
    "playlist_track": ("playlist_id", "track_id"),
    "employee": (
        "employee_id", "last_name", "first_name", "title", "reports_to", "birth_date", "hire_date",
        *_ADDRESS,
    ),
    "customer": (
        "customer_id", "first_name", "last_name", "company", *_ADDRESS, "support_rep_id",
    ),
    "invoice": (
        "invoice_id", "customer_id", "invoice_date", "billing_address", "billing_city",
        "billing_state", "billing_country", "billing_postal_code", "total",
    ),
    "invoice_line": ("invoice_line_id", "invoice_id", "track_id", "unit_price", "quantity"),
}  # fmt: skip
"""Table -> its columns, parents before the tables that point to them."""

KEYS = {table: columns[:1] for table, columns in COLUMNS.items()} | {
    "playlist_track": ("playlist_id", "track_id")
}
"""Table -> the columns that identify a row."""

TEXT = {
    "artist": "name", "album": "title", "genre": "name", "media_type": "name", "track": "name",
    "playlist": "name", "employee": "last_name", "customer": "last_name",
    "invoice": "billing_address",
}  # fmt: skip
"""Table -> the column that gets a text of the writer's own, unlike that of any other write."""

LINES = "lines"
"""Where an invoice's row has its lines, in order of their ids."""


def key_of(table: str, row: Row) -> Key:
    """What identifies a row."""
    return tuple(row[column] for column in KEYS[table])
