"""The two sides of a migration; arguments always come as legacy, new, in that order."""

from enum import StrEnum


class Side(StrEnum):
    """Legacy is what must be replaced, new is what replaces it."""

    LEGACY = "legacy"
    NEW = "new"

    @property
    def other(self) -> "Side":
        """The opposite side."""
        return Side.NEW if self is Side.LEGACY else Side.LEGACY
