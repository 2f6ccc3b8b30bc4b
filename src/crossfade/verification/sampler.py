"""Which keys belong to a share of the keys: sticky, so that a larger share holds a smaller one."""

import xxhash

from crossfade.model.key import Key, encode_key

_RANGE = 1 << 64


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
        self._below = int(fraction * _RANGE)

    @property
    def everything(self) -> bool:
        """Whether every key is in the share."""
        return self._below >= _RANGE

    def includes(self, key: Key) -> bool:
        """Whether the key is in the share."""
        text = f"{self._entity}:{encode_key(key)}"
        return xxhash.xxh3_64_intdigest(text.encode()) < self._below
