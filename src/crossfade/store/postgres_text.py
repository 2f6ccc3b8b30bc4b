"""Text of PostgreSQL's columns, and what else is shown as one: exactly, or not at all."""

import ipaddress
import re
from datetime import date, time
from decimal import Decimal
from uuid import UUID

from crossfade.store.sql_dialect import CannotHoldError

NAME_BYTES_MAX = 63

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MAC = re.compile(r"[0-9a-fA-F]{2}(([:-])[0-9a-fA-F]{2})+")
_HEX = "0123456789abcdef"
_NO_UUID = "00000000-0000-0000-0000-000000000000"
_LAST_UUID = _NO_UUID.replace("0", "f")
_DOTTED = (("::", 0), ("::ffff:", 0xFFFF_0000_0000))
"""What is written before the four numbers of an old address, and the first such address."""


def to_text(value: object, encoding: str) -> str:
    """Text that a database of this encoding can hold; dates, decimals and UUIDs become text."""
    text = _text_of(value)
    if "\0" in text:
        raise CannotHoldError("text cannot hold NUL here")
    check_encoding(text, "utf-8")
    check_encoding(text, encoding)
    return text


def to_bounded_text(value: object, encoding: str, length: int) -> str:
    """Text of so many characters at most; the database would cut off spaces by itself."""
    text = to_text(value, encoding)
    if len(text) > length:
        raise CannotHoldError(f"the column holds {length} character(s) at most")
    return text


def to_padded_text(value: object, encoding: str, length: int | None) -> str:
    """Text without the spaces at its end, which mean nothing in a `char(n)`."""
    text = to_text(value, encoding) if length is None else to_bounded_text(value, encoding, length)
    if text.endswith(" "):
        raise CannotHoldError("the column does not keep spaces at the end of a text")
    return text


def to_name(value: object, encoding: str) -> str:
    """The name of something in a schema."""
    text = to_text(value, encoding)
    if len(text.encode(encoding)) > NAME_BYTES_MAX:
        raise CannotHoldError(f"the column holds {NAME_BYTES_MAX} bytes at most")
    return text


def to_uuid(value: object) -> str:
    """A UUID in small letters."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and _UUID.fullmatch(value):
        return value.lower()
    raise CannotHoldError("the column holds UUIDs")


def to_bytes(value: object) -> bytes:
    """Bytes."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise CannotHoldError(f"the column holds bytes, not a {type(value).__name__}")


def to_network(value: object) -> str:
    """A network, as `cidr` writes it."""
    try:
        network = ipaddress.ip_network(str(value))
    except ValueError as error:
        raise CannotHoldError("the column holds networks") from error
    return f"{_address_text(network.network_address)}/{network.prefixlen}"


def to_address(value: object) -> str:
    """An address, with its network where that is not the address alone, as `inet` writes it."""
    try:
        whole = ipaddress.ip_interface(str(value))
    except ValueError as error:
        raise CannotHoldError("the column holds network addresses") from error
    alone = whole.network.prefixlen == whole.max_prefixlen
    return _address_text(whole.ip) + ("" if alone else f"/{whole.network.prefixlen}")


def to_hardware_address(value: object) -> str:
    """An address of a network card."""
    if isinstance(value, str) and _MAC.fullmatch(value):
        return value.lower().replace("-", ":")
    raise CannotHoldError("the column holds hardware addresses, as 08:00:2b:01:02:03")


def text_up_to(bound: str) -> str:
    """The highest text without NUL that is not above a text."""
    return bound.partition("\0")[0]


def uuid_up_to(bound: str) -> str:
    """The highest UUID, as text, that is not above a text; the lowest one where there is none."""
    kept = ""
    for place, own in enumerate(_NO_UUID):
        allowed = own if own == "-" else _HEX
        wanted = bound[place : place + 1]
        if wanted and wanted in allowed:
            kept += wanted
            continue
        below = [character for character in allowed if character < wanted]
        if below:
            return kept + below[-1] + _LAST_UUID[place + 1 :]
        return _uuid_before(kept)
    return kept


def _uuid_before(start: str) -> str:
    """The highest UUID below all those that start so."""
    for place in range(len(start) - 1, -1, -1):
        below = [character for character in _HEX if character < start[place]]
        if start[place] != "-" and below:
            return start[:place] + below[-1] + _LAST_UUID[place + 1 :]
    return _NO_UUID


def check_encoding(text: str, encoding: str) -> None:
    """Refuse what an encoding does not have."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError as error:
        if encoding == "utf-8":
            raise CannotHoldError("text with a lone surrogate is no text") from error
        raise CannotHoldError("the database's encoding does not have a character") from error


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value if type(value) is str else "".join(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise CannotHoldError("NaN and infinities are no values of a column")
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise CannotHoldError(f"the column holds text, not a {type(value).__name__}")


def _address_text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as PostgreSQL writes it: one of version 4 inside one of version 6 stays that."""
    for start, first in _DOTTED:
        embedded = int(address) - first
        if address.version == 6 and 2**16 <= embedded < 2**32:  # noqa: PLR2004 - of the protocol
            return f"{start}{ipaddress.IPv4Address(embedded)}"
    return str(address)
