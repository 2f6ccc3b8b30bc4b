"""Which keys belong to a share of the keys: sticky, so that a larger share holds a smaller one."""

from crossfade.convergence.share import in_share
from crossfade.model.key import Key


class Sampler:
    """A share of the keys of one entity, by a hash of the key."""

    def __init__(self, entity: str, fraction: float) -> None:
        """Choose a share.

        Args:
            entity: the entity's name; other entities sample other keys.
            fraction: above 0, up to 1: every key.

        Raises:
            ValueError: the fraction is outside of that.

        """
        if not 0 < fraction <= 1:
            raise ValueError(f"{fraction} is no share of the keys: give a number above 0, up to 1")
        self._entity = entity
        self._fraction = fraction

    @property
    def everything(self) -> bool:
        """Whether every key is in the share."""
        return self._fraction >= 1

    def includes(self, key: Key) -> bool:
        """Whether the key is in the share."""
        return in_share(self._entity, key, self._fraction)
