"""A sticky share of an entity's keys, by one hash: a larger share holds every smaller one."""

import xxhash

from crossfade.model.key import Key, encode_key

_RANGE = 1 << 64


def in_share(entity: str, key: Key, fraction: float) -> bool:
    """Whether a key is in a share of its entity's keys: 0 has none, 1 has all of them."""
    text = f"{entity}:{encode_key(key)}"
    return xxhash.xxh3_64_intdigest(text.encode()) < int(fraction * _RANGE)
