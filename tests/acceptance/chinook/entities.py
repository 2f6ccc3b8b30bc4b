"""The ten entities of Chinook's eleven tables, as two definitions that follow one another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crossfade import columns
from tests.acceptance.chinook.mappings import (
    Record,
    employee_from_staff,
    last_employee_from_staff,
    moment,
    moment_text,
    renamed,
    staff_from_employee,
    staff_from_last_employee,
    with_lines,
)

Mapping = Callable[[Record], Record]


@dataclass(frozen=True, slots=True)
class Table:
    """Where one side keeps an entity."""

    name: str
    key: tuple[str, ...]
    children: dict[str, Any]
    """Name in the record -> (table, key, parent)."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One entity of one of the two migrations."""

    entity: str
    legacy: Table
    new: Table
    to_new: Mapping
    to_legacy: Mapping
    lossy: tuple[str, ...] = ()


def _table(name: str, *key: str, **children: tuple[str, str, str]) -> Table:
    return Table(name, key, children)


_ARTIST = {"ArtistId": "id", "Name": "full_name"}
_ALBUM = {"AlbumId": "id", "Title": "title", "ArtistId": "made_by"}
_GENRE = {"GenreId": "id", "Name": "label"}
_MEDIA = {"MediaTypeId": "id", "Name": "label"}
_PLAYLIST = {"PlaylistId": "id", "Name": "label"}
_PLAYLIST_TRACK = {"PlaylistId": "mix_id", "TrackId": "song_id"}
_TRACK = {
    "TrackId": "id", "Name": "title", "AlbumId": "record_id", "MediaTypeId": "format_id",
    "GenreId": "style_id", "Composer": "written_by", "Milliseconds": "length_ms",
    "Bytes": "size_bytes", "UnitPrice": "price",
}  # fmt: skip
_CUSTOMER = {
    "CustomerId": "id", "FirstName": "first_name", "LastName": "last_name", "Company": "company",
    "Address": "street", "City": "city", "State": "state", "Country": "country",
    "PostalCode": "postal_code", "Phone": "phone", "Fax": "fax", "Email": "email",
    "SupportRepId": "cared_for_by",
}  # fmt: skip
_INVOICE = {
    "InvoiceId": "id", "CustomerId": "customer_id", "InvoiceDate": "issued_at",
    "BillingAddress": "street", "BillingCity": "city", "BillingState": "state",
    "BillingCountry": "country", "BillingPostalCode": "postal_code", "Total": "total",
}  # fmt: skip
_LINE = {
    "InvoiceLineId": "id", "InvoiceId": "bill_id", "TrackId": "song_id", "UnitPrice": "price",
    "Quantity": "quantity",
}  # fmt: skip

_LAST_TRACK = {"Unit%Price" if mine == "UnitPrice" else mine: new for mine, new in _TRACK.items()}
"""MariaDB calls the price by a name that needs care."""

_PLAIN = {
    "artist": ("Artist", "artists", _ARTIST),
    "album": ("Album", "records", _ALBUM),
    "genre": ("Genre", "styles", _GENRE),
    "media_type": ("MediaType", "formats", _MEDIA),
    "playlist": ("Playlist", "mixes", _PLAYLIST),
    "playlist_track": ("PlaylistTrack", "mix_songs", _PLAYLIST_TRACK),
    "track": ("Track", "songs", _TRACK),
    "customer": ("Customer", "customers", _CUSTOMER),
}
_KEYS = {"playlist_track": 2}
"""How many of the first columns are the key, where it is not one."""


def first_legs() -> list[Leg]:
    """From the SQLite file to PostgreSQL."""
    legs = []
    for entity, (legacy, new, pairs) in _PLAIN.items():
        # Only names differ: both databases can compare such rows by themselves.
        both = columns(pairs)
        legs.append(_leg(entity, legacy, new, pairs, (both, both.inverse())))
    legs.append(
        Leg(
            "employee",
            _table("Employee", "EmployeeId"),
            _table("staff", "id"),
            staff_from_employee,
            employee_from_staff,
        )
    )
    invoice = renamed(_INVOICE, forth={"InvoiceDate": moment}, back={"InvoiceDate": moment_text})
    forth, back = with_lines(invoice, renamed(_LINE), "lines", "positions")
    legs.append(
        Leg(
            "invoice",
            _table("Invoice", "InvoiceId", lines=("InvoiceLine", "InvoiceLineId", "InvoiceId")),
            _table("bills", "id", positions=("bill_positions", "id", "bill_id")),
            forth,
            back,
        )
    )
    return legs


def second_legs() -> list[Leg]:
    """On from PostgreSQL to MariaDB: what was new is legacy now."""
    legs = []
    for entity, (last, first, pairs) in _PLAIN.items():
        mine = _LAST_TRACK if entity == "track" else pairs
        table = "Media Type" if entity == "media_type" else last
        both = columns(mine)
        leg = _leg(entity, table, first, mine, (both.inverse(), both))
        # PostgreSQL computes this column by itself.
        lossy = ("legacy.is_long",) if entity == "track" else ()
        legs.append(Leg(entity, leg.new, leg.legacy, leg.to_new, leg.to_legacy, lossy))
    legs.append(
        Leg(
            "employee",
            _table("staff", "id"),
            _table("Employee", "EmployeeId"),
            last_employee_from_staff,
            staff_from_last_employee,
        )
    )
    forth, back = with_lines(renamed(_INVOICE), renamed(_LINE), "lines", "positions")
    legs.append(
        Leg(
            "invoice",
            _table("bills", "id", positions=("bill_positions", "id", "bill_id")),
            _table("Invoice", "InvoiceId", lines=("InvoiceLine", "InvoiceLineId", "InvoiceId")),
            back,
            forth,
        )
    )
    return legs


def _leg(
    entity: str, legacy: str, new: str, pairs: dict[str, str], mappings: tuple[Mapping, Mapping]
) -> Leg:
    count = _KEYS.get(entity, 1)
    keys = tuple(pairs)[:count]
    return Leg(
        entity,
        _table(legacy, *keys),
        _table(new, *(pairs[key] for key in keys)),
        *mappings,
    )
