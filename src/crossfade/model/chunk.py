"""Chunks: key ranges that are being copied or have been, each under its token."""

from collections.abc import Iterable
from dataclasses import dataclass

from crossfade.model.key import Key, KeyRange


@dataclass(frozen=True, slots=True)
class Chunk:
    """A key range that a worker copies, or has copied, under one token.

    An open chunk that its worker left behind is superseded by a new one over the same range,
    whose close removes both (rule 5). Closed chunks stay for the life of their generation, since
    a lease that is older than a chunk must not clear a key of its range (`opened_since`).
    """

    token: int
    entity: str
    range: KeyRange
    generation: int
    epoch: int
    owner: str
    open: bool = True


def opened_since(chunks: Iterable[Chunk], key: Key, token: int) -> bool:
    """Whether a chunk over the key, open or closed, was opened after `token` was taken.

    Such a chunk may have passed over the key before the lease of `token` read the authority, so
    the lease must not clear it (PROTOCOL.md cases 49 to 51). A chunk opened *before* the lease
    does no harm: the lease's put has the higher token and fences it off.
    """
    return any(chunk.token > token and chunk.range.contains(key) for chunk in chunks)
