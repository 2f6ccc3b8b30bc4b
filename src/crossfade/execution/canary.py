"""The canary: a sticky, monotone share of keys that new serves while legacy has authority."""

from crossfade.convergence.share import in_share
from crossfade.model.key import Key


class Canary:
    """Which keys belong to the canary share; one hash per key, one share per entity."""

    def __init__(self) -> None:
        self._shares: dict[str, float] = {}

    def set_share(self, entity: str, percent: float) -> None:
        """Serve this share of the entity's keys (0 to 100) from new."""
        self._shares[entity] = percent

    def has_share(self, entity: str) -> bool:
        """Whether any key of the entity is served by new."""
        return self._shares.get(entity, 0.0) > 0

    def shares(self) -> dict[str, float]:
        """Percent by entity."""
        return dict(self._shares)

    def includes(self, entity: str, key: Key) -> bool:
        """Whether the key is in the share: a key that is in at 10 % is in at 20 %, too."""
        percent = self._shares.get(entity, 0.0)
        return percent > 0 and in_share(entity, key, percent / 100)
