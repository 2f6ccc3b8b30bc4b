"""How an entity can be compared on both sides: what is asked for, and what was done."""

from enum import StrEnum


class AskedWay(StrEnum):
    """What the asker wants."""

    BEST = "best"
    """The fastest way that there is for each entity."""
    EXACT = "exact"
    FAST = "fast"
    """Any but the exact way, else none."""


class Way(StrEnum):
    """How an entity was compared."""

    EXACT = "exact"
    """Every record was read from both sides."""
    CHECKSUMS = "checksums"
    """Both databases added up their rows; records were read where the sums differ."""
    DIGESTS = "digests"
    """Digests beside the fence vouched for rows; records were read where they do not."""
