"""Keys of things, their text in the ledger, and ranges of them."""

import json
from dataclasses import dataclass
from typing import NamedTuple

KeyPart = int | str
"""One column of a key: a whole number or text."""

Key = tuple[KeyPart, ...]
"""What identifies one thing of an entity; one part a key column, in the declared order."""


_DECODER = json.JSONDecoder()
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode_key(key: Key) -> str:
    """The key as compact JSON text, `[17]` or `["de",17]`; equal keys give equal text."""
    return _ENCODER.encode(key)


def decode_key_at(text: str) -> Key:
    """The key that `encode_key` wrote at the beginning of a text."""
    parts, _ = _DECODER.raw_decode(text)
    return tuple(parts)


class RecordName(NamedTuple):
    """One record of a migration: its entity and its key."""

    entity: str
    key: Key

    def __str__(self) -> str:
        """`customer [17]`: keys may be shown, values never."""
        return f"{self.entity} {encode_key(self.key)}"


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys above `lower` up to and including `upper`; None is no bound.

    Python's order of the parts must be the store's order: whole numbers, and text compared by
    code point (a store says whether its keys are ordered so).
    """

    lower: Key | None = None
    upper: Key | None = None

    def contains(self, key: Key) -> bool:
        """Whether the key lies in the range."""
        above = self.lower is None or key > self.lower
        return above and (self.upper is None or key <= self.upper)


EVERY_KEY = KeyRange()
